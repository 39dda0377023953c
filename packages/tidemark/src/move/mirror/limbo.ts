/**
 * Rows that have no place in the file for a moment: within one transaction, Postgres may let two rows have one unique value (a swap under a
 * deferred constraint, an update of many rows), which SQLite never does. Such a row waits outside, with all its bytes, until the transaction
 * is complete. No foreign key and no trigger is awake while the mirror writes, so taking a row out has no consequence.
 *
 * Temporary tables hold them: there may be a million, and a rollback of the transaction forgets them.
 */
import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import { quoteSqliteName } from '../../sqlite/tokenize.js'
import type { FileValue } from '../invert/invert.js'
import type { Texts } from './bind-relation.js'
import type { FileRows, FoundRow, Refusal } from './file-rows.js'
import type { MirrorColumn } from './mirror-table.js'
import type { Statements } from './statements.js'

/** A row that waits. */
export interface WaitingRow {
  readonly id: bigint
  /** True for one that was in the file before. */
  readonly wasThere: boolean
  /** As Postgres last told it, by which a later change of the same transaction finds it. */
  readonly texts: Texts
  /** Sources of the columns that changed. */
  readonly changed: readonly string[]
}

/** Unknown values have a form in JSON too. */
const pack = (texts: Texts): string => JSON.stringify(texts.map((text) => (text === undefined ? 0 : text)))
const unpack = (json: string): Texts => (JSON.parse(json) as (string | null | 0)[]).map((text) => (text === 0 ? undefined : text))

const keyText = (texts: readonly (string | null | undefined)[]): string => JSON.stringify(texts.map((text) => text ?? null))

export class Limbo {
  readonly #rows: FileRows
  readonly #statements: Statements
  readonly #table: string
  /** Names of the columns that a row is put together from: the mirror's, the file's other ordinary columns, and the rowid where no column has it. */
  readonly #columns: readonly string[]
  #waiting = 0

  constructor(db: SqliteDatabase, rows: FileRows, statements: Statements) {
    const { file, capture } = rows.table
    this.#rows = rows
    this.#statements = statements
    this.#table = `temp._tidemark_limbo_${capture.id}`
    const ordinary = file.columns.filter(({ generated }) => generated === null).map(({ name }) => name)
    const hasLooseRowid = file.rowidName !== null && file.rowidAlias === null
    this.#columns = hasLooseRowid ? [file.rowidName!, ...ordinary] : ordinary
    const cells = this.#columns.flatMap((_, i) => [`n${i}`, `o${i}`])
    db.exec(
      `CREATE TEMP TABLE IF NOT EXISTS _tidemark_limbo_${capture.id}
         (id INTEGER PRIMARY KEY, k TEXT, texts TEXT, changed TEXT, was_there INTEGER, ${cells.join(', ')});
       CREATE INDEX IF NOT EXISTS temp._tidemark_limbo_key_${capture.id} ON _tidemark_limbo_${capture.id} (k)`,
    )
  }

  get isEmpty(): boolean {
    return this.#waiting === 0
  }

  /** The transaction was rolled back. */
  forget(): void {
    this.#waiting = 0
  }

  #cell(source: string): string {
    return `n${this.#columns.indexOf(source)}`
  }

  #waitingRow([id, wasThere, texts, changed]: readonly unknown[]): WaitingRow {
    return {
      id: id as bigint,
      wasThere: wasThere === 1n,
      texts: unpack(texts as string),
      changed: JSON.parse(changed as string) as string[],
    }
  }

  /** The rows that wait under a key, the latest first. */
  withKey(key: readonly (string | null | undefined)[]): readonly WaitingRow[] {
    if (this.isEmpty) return []
    return this.#statements
      .read(`SELECT id, was_there, texts, changed FROM ${this.#table} WHERE k = ? ORDER BY id DESC`)
      .all(keyText(key))
      .map((row) => this.#waitingRow(row))
  }

  /** Lets a new row wait. */
  add(columns: readonly MirrorColumn[], bound: readonly FileValue[], key: Texts, texts: Texts): void {
    const names = ['k', 'texts', 'changed', 'was_there', ...columns.map(({ source }) => this.#cell(source))]
    this.#statements.run(`INSERT INTO ${this.#table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`, [
      keyText(key),
      pack(texts),
      '[]',
      0n,
      ...bound,
    ])
    this.#waiting += 1
  }

  /** Takes a row out of the file with its new values. */
  takeOut(row: FoundRow, columns: readonly MirrorColumn[], bound: readonly FileValue[], key: Texts, texts: Texts): void {
    const where = this.#rows.condition(row)
    const own = this.#columns.map(quoteSqliteName).join(', ')
    const cells = (prefix: string) => this.#columns.map((_, i) => `${prefix}${i}`).join(', ')
    this.#statements.run(
      `INSERT INTO ${this.#table} (k, texts, changed, was_there, ${cells('n')}, ${cells('o')})
       SELECT ?, ?, ?, 1, ${own}, ${own} FROM ${this.#rows.name} WHERE ${where.sql} LIMIT 1`,
      [keyText(key), pack(texts), JSON.stringify(columns.map(({ source }) => source)), ...where.values],
    )
    const set = columns.map(({ source }) => `${this.#cell(source)} = ?`).join(', ')
    this.#statements.run(`UPDATE ${this.#table} SET ${set} WHERE id = last_insert_rowid()`, bound)
    this.#rows.delete(row)
    this.#waiting += 1
  }

  /** Changes a row that waits. */
  change(waiting: WaitingRow, columns: readonly MirrorColumn[], bound: readonly FileValue[], key: Texts, texts: Texts): void {
    const set = columns.map(({ source }) => `, ${this.#cell(source)} = ?`).join('')
    const changed = [...new Set([...waiting.changed, ...columns.map(({ source }) => source)])]
    this.#statements.run(`UPDATE ${this.#table} SET k = ?, texts = ?, changed = ?${set} WHERE id = ?`, [
      keyText(key),
      pack(texts.map((text, i) => (text === undefined ? waiting.texts[i] : text))),
      JSON.stringify(changed),
      ...bound,
      waiting.id,
    ])
  }

  remove(waiting: WaitingRow): void {
    this.#statements.run(`DELETE FROM ${this.#table} WHERE id = ?`, [waiting.id])
    this.#waiting -= 1
  }

  /** Forgets every row that waits: the table was emptied. */
  clear(): void {
    this.#statements.run(`DELETE FROM ${this.#table}`, [])
    this.#waiting = 0
  }

  /** Puts a row back into the file, as it is now or (`before`) as it was. */
  #insert({ id, wasThere }: WaitingRow, before: boolean): Refusal | undefined {
    const { columns } = this.#rows.table
    const used = wasThere ? this.#columns : columns.map(({ source }) => source)
    const cells = used.map((source) => `${before ? 'o' : 'n'}${this.#columns.indexOf(source)}`)
    const sql = `INSERT OR ABORT INTO ${this.#rows.name} (${used.map(quoteSqliteName).join(', ')})
      SELECT ${cells.join(', ')} FROM ${this.#table} WHERE id = ? RETURNING ${this.#rows.foundSql()}`
    return this.#rows.attempt(() => {
      this.#rows.written(this.#statements.read(sql).get(id))
    })
  }

  /**
   * Puts back what finds its place, in rounds for as long as that helps. What is still without one is handed to `refused`, row by row, and is
   * gone from here afterwards.
   */
  putBack(refused: (waiting: WaitingRow, refusal: Refusal) => void): void {
    for (let before = Number.POSITIVE_INFINITY; this.#waiting > 0 && this.#waiting < before; ) {
      before = this.#waiting
      this.#each((waiting) => {
        if (!this.#insert(waiting, false)) this.remove(waiting)
      })
    }
    if (this.#waiting === 0) return
    this.#each((waiting) => {
      const refusal = this.#insert(waiting, false)
      if (refusal) refused(waiting, refusal)
      this.remove(waiting)
    })
  }

  /** Row by row by number: what is done to one may take others away. */
  #each(visit: (waiting: WaitingRow) => void): void {
    const next = this.#statements.read(
      `SELECT id, was_there, texts, changed FROM ${this.#table} WHERE id > ? ORDER BY id LIMIT 1`,
    )
    for (let row = next.get(0n); row; row = next.get(row[0])) visit(this.#waitingRow(row))
  }

  /** Puts a row back as it was before the transaction. */
  putBackAsBefore(waiting: WaitingRow): Refusal | undefined {
    return this.#insert(waiting, true)
  }
}
