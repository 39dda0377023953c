/** Which storage classes the values of a table have: first one cheap question about all columns, then closer ones where the answer is no. */
import type { Database } from 'better-sqlite3'
import type { SqliteColumn, SqliteTable, StorageClass } from '../../sqlite/sqlite.js'
import { exactKeySql, type Key, keyBinding, keyMark, readKey } from '../row-keys.js'
import { joinShallow, keyExpressions, quoteSqlite } from '../row-source.js'
import { rowKeyOf } from './row-key.js'

/** Rows by storage class, and the range of the whole numbers where it was asked for. */
export interface ClassTally {
  readonly null: number
  readonly integer: number
  readonly real: number
  readonly text: number
  readonly blob: number
  readonly minInteger: bigint | null
  readonly maxInteger: bigint | null
  /** True where every value is what the declared type promises: 0 and 1 of a BOOLEAN, the digits of a DECIMAL(p,s). */
  readonly isKept: boolean
}

const rowsPerRead = 20_000

/** Conditions that cut the table into stretches of `rowsPerRead` rows, each a short read. */
export function* stretches(
  database: Database,
  table: SqliteTable,
): Generator<{ readonly where: string; readonly values: unknown[] }> {
  const key = keyExpressions(rowKeyOf(table))
  if (key.length === 0) {
    yield { where: '1', values: [] }
    return
  }
  const tuple = (parts: readonly string[]) => (parts.length === 1 ? parts[0]! : `(${parts.join(', ')})`)
  const bound = (operator: string, at: Key) => `${tuple(key)} ${operator} ${tuple(at.map(keyMark))}`
  const last = `ORDER BY ${key.join(', ')} LIMIT 1 OFFSET ${rowsPerRead - 1}`
  let after: Key | undefined
  for (;;) {
    const from = after ? bound('>', after) : '1'
    const values = (after ?? []).map(keyBinding)
    const next = `SELECT ${exactKeySql(key)} FROM ${quoteSqlite(table.name)} WHERE ${from} ${last}`
    const found = database
      .prepare(next)
      .safeIntegers(true)
      .raw(true)
      .get(...values) as unknown[] | undefined
    if (!found) return yield { where: from, values }
    const until = readKey(found)
    yield { where: `${from} AND ${bound('<=', until)}`, values: [...values, ...until.map(keyBinding)] }
    after = until
  }
}

/** The one class that a declared type leads to expect; null where it promises none, and each value is counted. */
const expectedClass = ({ affinity, declaredType }: SqliteColumn): StorageClass | null => {
  if (/DATE|TIME|JSON|UUID|GUID/i.test(declaredType) && affinity === 'NUMERIC') return 'text'
  if (/BOOL/i.test(declaredType)) return 'integer'
  if (affinity === 'INTEGER') return 'integer'
  if (affinity === 'REAL') return 'real'
  if (affinity === 'TEXT') return 'text'
  return affinity === 'BLOB' && declaredType !== '' ? 'blob' : null
}

/** DECIMAL and NUMERIC hold whole numbers and reals side by side; which of the two a value is does not matter there. */
const isDecimal = ({ affinity, declaredType }: SqliteColumn): boolean =>
  affinity === 'NUMERIC' && /DEC|NUMERIC|MONEY/i.test(declaredType)

const decimalPattern = /\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)/

/**
 * A decimal within its declared digits: a double is one exactly if it is the double nearest to some number of so many decimal places.
 * Up to 2^52 scaled, that is told by rounding to a whole number and dividing; beyond, by SQLite's slower rounding to decimal places.
 */
const decimalTest = ({ declaredType }: SqliteColumn, name: string): string => {
  const [, precision, scale = '0'] = decimalPattern.exec(declaredType) ?? []
  const whole = Number(precision) - Number(scale)
  const isNumber = `(typeof(${name}) = 'real' OR typeof(${name}) = 'integer')`
  if (precision === undefined || Number(scale) > 15 || whole < 0 || whole > 300) return isNumber
  const near = `round(${name} * 1e${scale}) / 1e${scale} = ${name}`
  const bound = `4e${15 - Number(scale)}`
  const isScaled = `CASE WHEN ${name} BETWEEN -${bound} AND ${bound} THEN ${near} ELSE round(${name}, ${scale}) = ${name} END`
  return `(${isNumber} AND ${isScaled} AND ${name} < 1e${whole} AND ${name} > -1e${whole})`
}

/** SQL that holds for every value that is what the declared type promises; null where it promises nothing. */
const promise = (column: SqliteColumn, name: string): string | null => {
  if (isDecimal(column)) return `(${decimalTest(column, name)} OR ${name} IS NULL)`
  if (/BOOL/i.test(column.declaredType)) return `((typeof(${name}) = 'integer' AND ${name} IN (0, 1)) OR ${name} IS NULL)`
  const expected = expectedClass(column)
  return expected && `(typeof(${name}) = '${expected}' OR ${name} IS NULL)`
}

/** Which columns break their promise: one cheap question about all of them, and only where the answer is yes, which they are. */
const breakers = (database: Database, table: SqliteTable, signal: AbortSignal | undefined): ReadonlySet<string> => {
  const tests = table.columns.flatMap((column) => {
    const test = promise(column, quoteSqlite(column.name))
    return test === null ? [] : [{ column: column.name, test }]
  })
  const broken = new Set<string>()
  if (tests.length === 0) return broken
  const from = `FROM ${quoteSqlite(table.name)} WHERE`
  for (const { where, values } of stretches(database, table)) {
    signal?.throwIfAborted()
    const open = tests.filter(({ column }) => !broken.has(column))
    if (open.length === 0) return broken
    const all = joinShallow(
      open.map(({ test }) => test),
      'AND',
    )
    const isClean = database.prepare(`SELECT 1 ${from} ${where} AND NOT (${all}) LIMIT 1`).get(...values) === undefined
    if (isClean) continue
    for (const { column, test } of open) {
      if (database.prepare(`SELECT 1 ${from} ${where} AND NOT ${test} LIMIT 1`).get(...values) !== undefined) broken.add(column)
    }
  }
  return broken
}

const tallyColumn = (database: Database, table: SqliteTable, column: SqliteColumn): Omit<ClassTally, 'isKept'> => {
  const counts: Record<StorageClass, number> = { null: 0, integer: 0, real: 0, text: 0, blob: 0 }
  let [min, max] = [null as bigint | null, null as bigint | null]
  const name = quoteSqlite(column.name)
  const select = `SELECT typeof(${name}), count(*), min(${name}), max(${name}) FROM ${quoteSqlite(table.name)}`
  for (const { where, values } of stretches(database, table)) {
    const groups = database
      .prepare(`${select} WHERE ${where} GROUP BY 1`)
      .safeIntegers(true)
      .raw(true)
      .all(...values) as [StorageClass, bigint, bigint, bigint][]
    for (const [storage, count, low, high] of groups) {
      counts[storage] += Number(count)
      if (storage !== 'integer') continue
      min = min === null || low < min ? low : min
      max = max === null || high > max ? high : max
    }
  }
  return { ...counts, minInteger: min, maxInteger: max }
}

const hasValue = (database: Database, table: SqliteTable, name: string): boolean =>
  database.prepare(`SELECT 1 FROM ${quoteSqlite(table.name)} WHERE ${name} IS NOT NULL LIMIT 1`).get() !== undefined

const countNulls = (database: Database, table: SqliteTable, name: string): number =>
  database
    .prepare(`SELECT count(*) FROM ${quoteSqlite(table.name)} WHERE ${name} IS NULL`)
    .pluck()
    .get() as number

export interface ClassOptions {
  /** Counts NULLs everywhere; otherwise only in keys, where they decide something. */
  readonly countsNulls: boolean
  /** Columns whose whole numbers are to be measured. */
  readonly measured: ReadonlySet<string>
  readonly signal: AbortSignal | undefined
}

/** The tallies of all columns and the number of rows. */
export const countClasses = (
  database: Database,
  table: SqliteTable,
  { countsNulls, measured, signal }: ClassOptions,
): { readonly rows: number; readonly tallies: readonly ClassTally[] } => {
  const rows = database
    .prepare(`SELECT count(*) FROM ${quoteSqlite(table.name)}`)
    .pluck()
    .get() as number
  const broken = breakers(database, table, signal)
  const inKey = new Set(table.primaryKey?.columns)
  const tallies = table.columns.map((column): ClassTally => {
    const name = quoteSqlite(column.name)
    const expected = isDecimal(column) ? 'real' : expectedClass(column)
    const isKept = expected !== null && !broken.has(column.name)
    if (!isKept || measured.has(column.name)) return { ...tallyColumn(database, table, column), isKept }
    const empty = { null: 0, integer: 0, real: 0, text: 0, blob: 0, minInteger: null, maxInteger: null, isKept }
    if (!hasValue(database, table, name)) return { ...empty, null: rows }
    const nulls = countsNulls || (inKey.has(column.name) && !column.notNull) ? countNulls(database, table, name) : 0
    return { ...empty, null: nulls, [expected]: rows - nulls }
  })
  return { rows, tallies }
}
