/** A SQLite file as an application has it, and the writes that it makes to it: the same for every file made with the same seed. */
import Database from 'better-sqlite3'
import { createRandom, type Random } from '../measuring/random.ts'

export const writeKinds = ['mix', 'insert', 'update', 'delete', 'upsert', 'replace'] as const
export type WriteKind = (typeof writeKinds)[number]

export interface AppFileOptions {
  readonly path: string
  /** Rows that stand in it before each round. */
  readonly rows: number
  /** Whether a column besides the key is unique. */
  readonly isUnique: boolean
  readonly seed: number
}

/** About 250 bytes in seven columns. */
const createTable = `CREATE TABLE orders (id INTEGER PRIMARY KEY, code TEXT NOT NULL, name TEXT NOT NULL, amount REAL NOT NULL,
  quantity INTEGER NOT NULL, created TEXT NOT NULL, note TEXT NOT NULL)`

const note = 'x'.repeat(180)

/** Spread over the whole index, as codes are that nobody counts up. */
const codeOf = (id: number): string => `code-${(id * 7919) % 1_000_003}-${id}`

export class AppFile {
  readonly #db: Database.Database
  readonly #random: Random
  readonly #statements: Readonly<Record<'insert' | 'update' | 'delete' | 'upsert' | 'replace', Database.Statement>>
  readonly #rows: number
  /** The rows stand from the first of these numbers to before the second. */
  #first = 1
  #next = 1
  #turn = 0
  #writes = 0

  constructor({ path, rows, isUnique, seed }: AppFileOptions) {
    const db = new Database(path)
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = NORMAL')
    db.exec(createTable)
    if (isUnique) db.exec('CREATE UNIQUE INDEX orders_code ON orders (code)')
    const values = 'INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)'
    this.#statements = {
      insert: db.prepare(`INSERT ${values}`),
      update: db.prepare('UPDATE orders SET name = ?, quantity = quantity + 1 WHERE id = ?'),
      delete: db.prepare('DELETE FROM orders WHERE id = ?'),
      upsert: db.prepare(`INSERT ${values} ON CONFLICT (id) DO UPDATE SET name = excluded.name, quantity = quantity + 1`),
      replace: db.prepare(`INSERT OR REPLACE ${values}`),
    }
    this.#db = db
    this.#random = createRandom(seed)
    this.#rows = rows
    this.settle()
  }

  /** Writes made so far. */
  get writes(): number {
    return this.#writes
  }

  /** The rows that stand in it: their first number, and how many. */
  get ids(): { readonly firstId: number; readonly ids: number } {
    return { firstId: this.#first, ids: this.#next - this.#first }
  }

  /** As many rows as at first again, and nothing left over in the journal. */
  settle(): void {
    this.#db.transaction(() => {
      while (this.#next - this.#first < this.#rows) this.#write('insert')
      while (this.#next - this.#first > this.#rows) this.#write('delete')
    })()
    this.#db.pragma('wal_checkpoint(TRUNCATE)')
  }

  /** Makes writes of one kind, each committed by itself or so many at a time. */
  write(kind: WriteKind, count: number, perTransaction: number): void {
    if (perTransaction === 1) {
      for (let i = 0; i < count; i++) this.#write(kind)
      return
    }
    for (let done = 0; done < count; done += perTransaction) {
      this.#db.exec('BEGIN IMMEDIATE')
      for (let i = done; i < Math.min(count, done + perTransaction); i++) this.#write(kind)
      this.#db.exec('COMMIT')
    }
  }

  close(): void {
    this.#db.close()
  }

  #write(kind: WriteKind): void {
    if (kind === 'mix') {
      this.#turn = (this.#turn + 1) % 3
      this.#write((['insert', 'update', 'delete'] as const)[this.#turn]!)
      return
    }
    this.#writes++
    const { insert, update, delete: remove, upsert, replace } = this.#statements
    if (kind === 'insert') insert.run(this.#row(this.#next++))
    else if (kind === 'update') update.run(`changed ${this.#writes}`, this.#any())
    else if (kind === 'delete') remove.run(this.#first++)
    else if (kind === 'upsert') upsert.run(this.#row(this.#any()))
    else replace.run(this.#row(this.#any()))
  }

  #any(): number {
    return this.#first + this.#random.integer(this.#next - this.#first)
  }

  #row(id: number): readonly (string | number)[] {
    return [id, codeOf(id), `name ${this.#writes}`, id / 7, id % 100, '2026-01-01T00:00:00.000Z', note]
  }
}

/** Rows that only one of two files has. */
export const rowsThatDiffer = (one: string, other: string): number => {
  const db = new Database(one, { readonly: true })
  try {
    db.prepare('ATTACH ? AS other').run(other)
    const missing = (from: string, to: string) => `SELECT count(*) FROM (SELECT * FROM ${from} EXCEPT SELECT * FROM ${to})`
    const sql = `SELECT (${missing('main.orders', 'other.orders')}) + (${missing('other.orders', 'main.orders')})`
    return db.prepare<[], number>(sql).pluck().get() ?? 0
  } finally {
    db.close()
  }
}
