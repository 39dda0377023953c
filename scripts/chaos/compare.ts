/** A plain comparison of both sides, with no code of the product's: every table, every row, every value. */
import Sqlite from 'better-sqlite3'
import pg from 'pg'

/** Tables and their columns, as both sides have them. */
export type Tables = Readonly<Record<string, readonly string[]>>

const liveTables: Tables = {
  accounts: ['id', 'email', 'balance', 'note'],
  items: ['id', 'account_id', 'sku', 'qty', 'price'],
  tags: ['item', 'tag', 'weight'],
  codes: ['code', 'body', 'hits'],
  notes: ['text', 'n'],
  ledger: ['id', 'writer', 'n'],
}

const printed = (value: unknown): string => {
  if (value === null) return 'NULL'
  if (Buffer.isBuffer(value)) return `x'${value.toString('hex')}'`
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

const fromSqlite = (path: string, tables: Tables): ReadonlyMap<string, readonly string[]> => {
  const db = new Sqlite(path, { readonly: true })
  db.defaultSafeIntegers(true)
  const read = Object.entries(tables).map(([table, columns]) => {
    const rows = db
      .prepare(`SELECT ${columns.join(', ')} FROM ${table}`)
      .raw(true)
      .all() as unknown[][]
    return [table, rows.map((row) => row.map(printed).join(' | ')).sort()] as const
  })
  db.close()
  return new Map(read)
}

const numeric = new Map<number, (text: string) => unknown>([
  [20, BigInt],
  [701, Number],
])

const fromPostgres = async (url: string, tables: Tables): Promise<ReadonlyMap<string, readonly string[]>> => {
  const types = { getTypeParser: (oid: number) => numeric.get(oid) ?? pg.types.getTypeParser(oid) }
  const client = new pg.Client({ connectionString: url, types })
  await client.connect()
  const read: [string, readonly string[]][] = []
  for (const [table, columns] of Object.entries(tables)) {
    const { rows } = await client.query<unknown[]>({ text: `SELECT ${columns.join(', ')} FROM ${table}`, rowMode: 'array' })
    read.push([table, rows.map((row) => row.map(printed).join(' | ')).sort()])
  }
  await client.end()
  return new Map(read)
}

const surplus = (some: readonly string[], others: readonly string[]): readonly string[] => {
  const left = new Map<string, number>()
  for (const row of others) left.set(row, (left.get(row) ?? 0) + 1)
  return some.filter((row) => {
    const n = left.get(row) ?? 0
    left.set(row, n - 1)
    return n <= 0
  })
}

/** One line for each row that only one side has; none where they are equal. */
export const differences = async (path: string, url: string, tables = liveTables): Promise<readonly string[]> => {
  const [file, database] = [fromSqlite(path, tables), await fromPostgres(url, tables)]
  return Object.keys(tables).flatMap((table) => [
    ...surplus(file.get(table)!, database.get(table)!).map((row) => `${table}: only in SQLite: ${row}`),
    ...surplus(database.get(table)!, file.get(table)!).map((row) => `${table}: only in Postgres: ${row}`),
  ])
}

/** What the ledger has of a writer, with how often. */
export const ledgerOf = (path: string, writer: string): ReadonlyMap<number, number> => {
  const db = new Sqlite(path, { readonly: true })
  const rows = db.prepare('SELECT n, count(*) AS times FROM ledger WHERE writer = ? GROUP BY n').all(writer) as {
    n: number
    times: number
  }[]
  db.close()
  return new Map(rows.map(({ n, times }) => [n, times]))
}
