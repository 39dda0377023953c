import { RawText } from '../raw-text.js'
import type { SqliteDatabase } from '../sqlite.js'
import { quoteSqliteName } from '../tokenize.js'
import type { CaptureTable, LogKeyValue } from './capture.js'
import { rowidWord } from './key-expressions.js'

export type SqliteBinding = bigint | number | string | Buffer | null

/** The parameter that stands for a value of a key in a statement. */
export const logValueMark = (value: LogKeyValue): string => (value instanceof RawText ? 'CAST(? AS TEXT)' : '?')

/** A value as it is bound to {@link logValueMark}. */
export const bindLogValue = (value: LogKeyValue): SqliteBinding => (value instanceof RawText ? value.bytes : value)

export interface RowCondition {
  /** What stands after WHERE. The same for keys whose values are of the same kinds, so that statements can be kept. */
  readonly sql: string
  readonly values: readonly SqliteBinding[]
}

const classOf = (value: LogKeyValue): string => {
  if (typeof value === 'bigint') return 'integer'
  if (typeof value === 'number') return 'real'
  return Buffer.isBuffer(value) ? 'blob' : 'text'
}

/** The collations of the index behind the primary key, by column: the index serves only comparisons made with them. */
const keyCollations = (db: SqliteDatabase, table: string): ReadonlyMap<string, string> => {
  const sql = `SELECT part.name, part.coll FROM pragma_index_list(?) AS list, pragma_index_xinfo(list.name) AS part
    WHERE list.origin = 'pk' AND part.key = 1`
  const rows = db.prepare<[string], [string | null, string]>(sql).raw(true).all(table)
  return new Map(rows.flatMap(([name, collation]) => (name === null ? [] : [[name, collation] as const])))
}

/**
 * Gives for a key of the log the condition that finds exactly its row: by the index where there is one, then by storage class and bytes, since
 * an index finds 'A' for 'a' under NOCASE, and 1.0 for 1.
 */
export const createRowCondition = (
  db: SqliteDatabase,
  { name, key }: Pick<CaptureTable, 'name' | 'key'>,
): ((values: readonly LogKeyValue[]) => RowCondition) => {
  if (key.kind === 'none') throw new RangeError(`rows of ${name} have no key`)
  if (key.kind === 'rowid')
    return (values) => ({ sql: `${rowidWord(key.name)} = ?`, values: values.slice(0, 1).map(bindLogValue) })
  const collations = keyCollations(db, name)
  const parts = key.columns.map((column) => ({ column: quoteSqliteName(column), collation: collations.get(column) ?? 'BINARY' }))
  const conditionOf = (value: LogKeyValue, i: number): RowCondition => {
    const { column, collation } = parts[i]!
    if (value === null) return { sql: `${column} IS NULL`, values: [] }
    const [mark, bound, storage] = [logValueMark(value), bindLogValue(value), classOf(value)]
    const find = `${column} = ${mark} COLLATE ${quoteSqliteName(collation)} AND typeof(${column}) = '${storage}'`
    if (storage !== 'text' || collation === 'BINARY') return { sql: find, values: [bound] }
    return { sql: `${find} AND ${column} = ${mark} COLLATE BINARY`, values: [bound, bound] }
  }
  return (values) => {
    const conditions = parts.map((_, i) => conditionOf(values[i] ?? null, i))
    return { sql: conditions.map(({ sql }) => sql).join(' AND '), values: conditions.flatMap((condition) => condition.values) }
  }
}
