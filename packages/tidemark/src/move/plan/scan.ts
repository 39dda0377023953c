/** Looks at the values of every table before types are chosen: storage classes first, then formats. Short reads only, side by side for large files. */
import type { Database } from 'better-sqlite3'
import type { SqliteColumn, SqliteTable } from '../../sqlite/sqlite.js'
import { type ClassTally, countClasses } from './count-classes.js'
import { longestEntries } from './index-entries.js'
import { type CloseFacts, lookClosely } from './look-closely.js'

/** What was seen in one column. Counts are rows. */
export interface ColumnFacts {
  readonly rows: number
  readonly nulls: number
  readonly integers: number
  readonly reals: number
  readonly texts: number
  readonly blobs: number
  /** Smallest and largest whole number; null where there is none, or where nobody asked. */
  readonly minInteger: bigint | null
  readonly maxInteger: bigint | null
  /** True where every value is what the declared type promises, see {@link ClassTally}. */
  readonly isKept: boolean
  /** Present for columns that were looked at value by value. */
  readonly close: CloseFacts | null
}

export interface TableFacts {
  readonly rows: number
  readonly columns: ReadonlyMap<string, ColumnFacts>
  /** The longest entry of each index that may hold text or bytes, in bytes, by its name in the file. */
  readonly longest: ReadonlyMap<string, number>
}

/** One table to look at. */
export interface ScanRequest {
  readonly table: SqliteTable
  readonly reportKey: readonly string[]
  /** What columns are to become, as a declared type to look for, where that is known. */
  readonly aims: ReadonlyMap<string, string>
  /** True reads every text for NUL bytes and damaged UTF-8 too, so that the plan can foretell each reject. */
  readonly thorough: boolean
}

/** Scans tables; the facts come in the order of the requests. */
export type Scan = (requests: readonly ScanRequest[]) => Promise<readonly TableFacts[]>

/** The two halves of a scan, which need nothing of each other. */
export type ScanPart =
  | {
      readonly part: 'count'
      readonly rows: number
      readonly tallies: readonly ClassTally[]
      readonly longest: ReadonlyMap<string, number>
    }
  | { readonly part: 'look'; readonly close: ReadonlyMap<string, CloseFacts> }

const looksLike = /UUID|GUID|JSON|DATE|TIME/i
/** Promised words, which the count of storage classes proves on the way; they are looked at where it does not. */
const countedPromise = /BOOL/i

/** The columns to look at closely: those whose declared type promises something, and in a thorough scan all that usually hold text. */
const closeColumns = ({ table, aims, thorough }: ScanRequest): readonly SqliteColumn[] =>
  table.columns
    .map((column) => ({ ...column, declaredType: aims.get(column.name) || column.declaredType }))
    .filter(
      (column) =>
        looksLike.test(column.declaredType) ||
        /BOOL/i.test(aims.get(column.name) ?? '') ||
        (thorough && column.affinity !== 'INTEGER' && column.affinity !== 'REAL'),
    )

/** Does one half of the scan of one table. */
export const scanPart = (database: Database, part: ScanPart['part'], request: ScanRequest, signal?: AbortSignal): ScanPart => {
  const { table, aims, thorough, reportKey } = request
  if (part === 'look') return { part, close: lookClosely(database, table, closeColumns(request), reportKey, signal) }
  const measured = new Set([...aims].flatMap(([name, aim]) => (aim === 'DATETIME' ? [name] : [])))
  const counted = countClasses(database, table, { countsNulls: thorough, measured, signal })
  return { part, ...counted, longest: longestEntries(database, table, signal) }
}

/** Puts both halves together. A column that breaks its promise, or holds text where numbers were expected, is looked at now. */
export const joinParts = (
  database: Database,
  request: ScanRequest,
  { rows, tallies, longest }: Extract<ScanPart, { part: 'count' }>,
  { close }: Extract<ScanPart, { part: 'look' }>,
): TableFacts => {
  const { table, thorough, reportKey } = request
  const needsLook = ({ name, declaredType }: SqliteColumn, { text, isKept }: ClassTally): boolean =>
    !close.has(name) && ((thorough && text > 0) || (!isKept && countedPromise.test(declaredType)))
  const dirty = table.columns.filter((column, i) => needsLook(column, tallies[i]!))
  const late = dirty.length > 0 ? lookClosely(database, table, dirty, reportKey) : close
  const columns = table.columns.map(({ name }, i): [string, ColumnFacts] => {
    const { null: nulls, integer: integers, real: reals, text: texts, blob: blobs, ...tally } = tallies[i]!
    const seen = close.get(name) ?? late.get(name) ?? null
    return [name, { rows, nulls, integers, reals, texts, blobs, ...tally, close: seen }]
  })
  return { rows, columns: new Map(columns), longest }
}
