import { sqlstateOf } from '../../../postgres/postgres.js'
import type { RowLimit } from '../request-plan.js'
import { bigintValue, type Sql, sql } from './sql.js'

const mark = /tidemark rows (\d+)/

/**
 * Fails where the rows are more or fewer than they may be, so that the transaction ends without another round trip. There is
 * no function of Postgres' own that raises, but text that is no number does, and carries the number of rows out.
 */
export const limitSql = ({ least, most }: RowLimit): Sql => {
  const over = Number.isFinite(most) ? sql` or count(*) > ${bigintValue(most)}` : sql``
  return sql`case when count(*) < ${bigintValue(least)}${over} then ('tidemark rows ' || count(*))::int end`
}

/** The number of rows that {@link limitSql} refused; undefined for any other error. */
export const refusedRows = (error: unknown): number | undefined => {
  if (sqlstateOf(error) !== '22P02') return undefined
  for (let at = error; at instanceof Error; at = at.cause) {
    const found = mark.exec(at.message)
    if (found) return Number(found[1])
  }
  return undefined
}
