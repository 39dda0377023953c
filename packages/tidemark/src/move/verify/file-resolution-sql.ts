/** The canonical text of what Postgres holds, no finer than the file's column can hold it: for comparisons while Postgres is the truth. */
import { type FileResolution, fileResolutionOf, isNarrowable } from '../invert/file-resolution.js'
import type { ColumnPlan, TablePlan } from '../move.js'
import { quoteIdentifier } from '../translate/identifiers.js'
import { canonicalSql, wallClockSql } from './target-canonical.js'

const cutMoment = (moment: string, step: number): string => {
  if (step === 60_000_000) return `date_trunc('minute', ${moment})::text`
  const finer = `mod(extract(microseconds FROM ${moment})::bigint, ${step})`
  // Infinity has no microseconds, and a whole time of day is not to be computed: 24:00:00 would become 00:00:00.
  return `(CASE WHEN ${finer} <> 0 THEN ${moment} - ${finer} * interval '1 microsecond' ELSE ${moment} END)::text`
}

/** Digits as the nearest double prints them. Near the ends of what doubles can be, and beyond, as they are. */
const asDouble = (column: string, keepsReals: boolean): string => {
  const isWhole = `${column} = trunc(${column}) AND abs(${column}) <= 9223372036854775807`
  const isDouble = `abs(${column}) BETWEEN 1e-300 AND 1e300${keepsReals ? '' : ` AND NOT (${isWhole})`}`
  return `(CASE WHEN ${isDouble} THEN trim_scale(${column}::float8::text::numeric) ELSE trim_scale(${column}) END)::text`
}

const narrowedSql = (column: ColumnPlan, resolution: FileResolution): string => {
  const name = `t.${quoteIdentifier(column.target)}`
  if (resolution.kind === 'double') return asDouble(name, resolution.keepsReals)
  const { kind } = column.conversion
  if (kind === 'epoch') return `(floor((${canonicalSql(column)})::numeric / ${resolution.step}) * ${resolution.step})::text`
  return cutMoment(wallClockSql(column), resolution.step)
}

/** As {@link canonicalSql}, at the resolution of the file; keys as they are. */
export const canonicalAtFile =
  (table: TablePlan): ((column: ColumnPlan) => string) =>
  (column) => {
    const resolution = isNarrowable(table, column) ? fileResolutionOf(column) : null
    return resolution ? narrowedSql(column, resolution) : canonicalSql(column)
  }
