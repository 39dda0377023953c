/** Both sides of a live move, looked at from outside: with no code of the product's. */
import { createHash } from 'node:crypto'
import type Database from 'better-sqlite3'
import type pg from 'pg'

export interface MoveSides {
  readonly client: pg.Client
  /** A connection that only reads. */
  readonly db: Database.Database
  /** Number of the newest change in the file's log. */
  logHead(): number
  /** Changes up to here are in Postgres. */
  appliedSeq(): Promise<number>
  /** Writes out what Postgres has in memory. */
  settle(): Promise<void>
}

export const moveSides = (db: Database.Database, client: pg.Client, settle: () => Promise<void>): MoveSides => ({
  client,
  db,
  settle,
  logHead: () => db.prepare<[], number>('SELECT coalesce(max(seq), 0) FROM _tidemark_log').pluck().get() ?? 0,
  appliedSeq: async () => {
    const { rows } = await client.query<{ seq: string }>('SELECT applied_seq AS seq FROM tidemark.move_runs')
    return Number(rows[0]?.seq ?? 0)
  },
})

const lookEveryMs = 10
const patienceMs = 120_000

/** Looks again and again. Raises where it takes longer than two minutes. */
export const until = async (
  holds: () => boolean | Promise<boolean>,
  { what, signal }: { readonly what: string; readonly signal: AbortSignal },
): Promise<void> => {
  const started = performance.now()
  while (!(await holds())) {
    signal.throwIfAborted()
    if (performance.now() - started > patienceMs) throw new Error(`${what} did not come within ${patienceMs / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
}

const comparedTables = {
  orders: ['id', 'code', 'name', 'amount', 'quantity', 'created', 'note'],
  pulses: ['n', 'at'],
} as const

const rowsAtOnce = 20_000

/** Every value of a table, in the order of its key. Numbers are printed by the same code for both sides. */
const digest = async (pages: (after: number) => Promise<readonly (readonly unknown[])[]>): Promise<string> => {
  const hash = createHash('sha256')
  let [rows, after] = [0, -1]
  for (;;) {
    const page = await pages(after)
    for (const row of page) hash.update(`${row.map((value) => String(value)).join('\t')}\n`)
    rows += page.length
    if (page.length < rowsAtOnce) return `${rows} rows, ${hash.digest('hex').slice(0, 16)}`
    after = Number(page.at(-1)![0])
  }
}

/** Raises where a table does not hold the same on both sides. Nobody may write meanwhile. */
export const requireEqual = async ({ db, client }: MoveSides): Promise<void> => {
  for (const [table, columns] of Object.entries(comparedTables)) {
    const [key] = columns
    const sql = (mark: string) =>
      `SELECT ${columns.join(', ')} FROM ${table} WHERE ${key} > ${mark} ORDER BY ${key} LIMIT ${rowsAtOnce}`
    const find = db.prepare<[number], unknown[]>(sql('?')).raw(true)
    const file = await digest(async (after) => find.all(after))
    const postgres = await digest(
      async (after) => (await client.query<unknown[]>({ text: sql('$1'), values: [after], rowMode: 'array' })).rows,
    )
    if (file !== postgres) throw new Error(`${table} differs: ${file} in SQLite, ${postgres} in Postgres`)
  }
}

/** What the application's accepted writes must have come to. */
export interface Ledger {
  readonly pulses: number
  readonly pulseSum: number
  /** Sum of `quantity`. */
  readonly quantity: number
}

export const ledgerOf = ({ db }: MoveSides): Ledger => {
  const [pulses, pulseSum] = db.prepare<[], [number, number]>('SELECT count(*), coalesce(sum(n), 0) FROM pulses').raw(true).get()!
  return { pulses, pulseSum, quantity: db.prepare<[], number>('SELECT sum(quantity) FROM orders').pluck().get()! }
}
