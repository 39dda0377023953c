import type { Position } from '../position.js'
import type { AnyRow } from '../schema.js'
import type { ResolvedSpec } from './live-spec.js'
import type { ReadPage } from './ports.js'

export interface ReadRows {
  readonly spec: ResolvedSpec
  readonly readPage: ReadPage
  readonly after: AnyRow | undefined
  /** Undefined: all there are. */
  readonly limit: number | undefined
  /** What one answer holds at most. */
  readonly maxRows: number
  readonly signal: AbortSignal
}

export interface RowsRead {
  readonly rows: readonly AnyRow[]
  /** Of the first page: everything up to here is in all of them. */
  readonly position: Position | undefined
  /** There may be more behind them. */
  readonly more: boolean
}

/** Reads page after page, each behind the last row of the one before. Raises LoadError. */
export const readRows = async ({ spec, readPage, after, limit, maxRows, signal }: ReadRows): Promise<RowsRead> => {
  const rows: AnyRow[] = []
  let position: Position | undefined
  for (let isFirst = true; ; isFirst = false) {
    const count = Math.min(maxRows, limit === undefined ? maxRows : limit - rows.length)
    const page = await readPage({ spec, after: rows.at(-1) ?? after, count, signal })
    if (isFirst) position = page.position
    rows.push(...page.rows)
    if (page.rows.length < count) return { rows, position, more: false }
    if (rows.length === limit) return { rows, position, more: true }
  }
}
