import type { Media, Preferences } from '../../query.js'
import type { RequestPlan } from '../request-plan.js'
import { bodySql, namingOf, type Shape } from './print-body.js'
import { callSql } from './print-call.js'
import { plannedSql, totalSql } from './print-count.js'
import { limitSql } from './print-limit.js'
import { countsInserted, insertedSql, mutationSql } from './print-mutation.js'
import { querySql } from './print-read.js'
import { identifier, join, type Sql, sql } from './sql.js'

type Count = Preferences['count']

/** The columns of the one row that a statement gives, in their order. */
interface Row {
  readonly total?: Sql
  readonly body?: Sql
  /** Texts of the key of the one row that was written, as a JSON array. */
  readonly location?: Sql
  readonly inserted?: Sql
  /** Nothing, or an error. */
  readonly limit?: Sql
}

const none = sql`null`

const rowSql = ({ total = none, body = none, location = none, inserted = none, limit = none }: Row): Sql => {
  const headers = sql`nullif(current_setting('response.headers', true), '')`
  const status = sql`nullif(current_setting('response.status', true), '')`
  return sql`select ${join([total, sql`count(*)`, body, headers, status, location, inserted, limit])} from page as x`
}

const wanted = (plan: RequestPlan, shape: Shape): Pick<Row, 'body'> =>
  plan.wantsBody ? { body: bodySql({ media: plan.media, shape, read: plan.read }) } : {}

/** The page of a read with its rows in the form that the body is made of. */
const pageSql = (plan: RequestPlan, shape: Shape): Sql => {
  const isValue = shape === 'value' || shape === 'values'
  return querySql(plan.read, isValue ? 'known' : namingOf({ media: plan.media, shape, read: plan.read }))
}

/** As many rows as an estimate counts before it asks the planner. */
const defaultMost = 1000

const totalOf = (plan: RequestPlan, count: Count, maxRows: number | undefined): Pick<Row, 'total'> => {
  if (count === 'exact' || (count === 'estimated' && plan.kind === 'call')) return { total: totalSql(plan.read) }
  return count === 'estimated' ? { total: totalSql(plan.read, (maxRows ?? defaultMost) + 1) } : {}
}

/** Where nothing is written, the number of rows is seen to when it is known. */
const limited = (plan: RequestPlan, readOnly: boolean): Pick<Row, 'limit'> =>
  plan.limit && !readOnly ? { limit: limitSql(plan.limit) } : {}

const readSql = (plan: Extract<RequestPlan, { kind: 'read' }>, count: Count, maxRows: number | undefined): Sql =>
  sql`with page as (${pageSql(plan, 'rows')}) ${rowSql({ ...wanted(plan, 'rows'), ...totalOf(plan, count, maxRows) })}`

const callStatement = (plan: Extract<RequestPlan, { kind: 'call' }>, count: Count, maxRows: number | undefined): Sql => {
  const readOnly = plan.call.function.volatility !== 'volatile'
  const row = rowSql({ ...wanted(plan, plan.shape), ...totalOf(plan, count, maxRows), ...limited(plan, readOnly) })
  return sql`with source as (${callSql(plan.call)}), page as (${pageSql(plan, plan.shape)}) ${row}`
}

const locationSql = (columns: readonly string[]): Sql => {
  const texts = columns.map((name) => sql`to_json(x.${identifier(name)}) #>> '{}'`)
  return sql`case when count(*) = 1 then (select to_json(array[${join(texts)}]) from page as x) end`
}

const writeSql = (plan: Extract<RequestPlan, { kind: 'write' }>): Sql => {
  const inserted = countsInserted(plan.mutation) ? { inserted: insertedSql } : {}
  const checks = { ...inserted, ...limited(plan, false) }
  const source = mutationSql(plan.mutation)
  if (plan.wantsBody)
    return sql`with source as (${source}), page as (${pageSql(plan, 'rows')}) ${rowSql({ ...wanted(plan, 'rows'), ...checks })}`
  const location = plan.location.length > 0 ? { location: locationSql(plan.location) } : {}
  return sql`with page as (${source}) ${rowSql({ ...location, ...checks })}`
}

const explained = (media: Media, statement: Sql): Sql => {
  if (media.kind !== 'plan') return statement
  const options = {
    analyze: sql`analyze`,
    verbose: sql`verbose`,
    settings: sql`settings`,
    buffers: sql`buffers`,
    wal: sql`wal`,
  } as const
  const format = media.format === 'json' ? sql`format json` : sql`format text`
  return sql`explain (${join([format, ...media.options.map((option) => options[option])])}) ${statement}`
}

/** The one statement of a request. */
export const statementSql = (plan: RequestPlan, count: Count, maxRows: number | undefined): Sql => {
  if (plan.kind === 'write') return explained(plan.media, writeSql(plan))
  return explained(plan.media, plan.kind === 'call' ? callStatement(plan, count, maxRows) : readSql(plan, count, maxRows))
}

/** What tells the planner's expectation, where a count asks for it. */
export const countPlanSql = (plan: RequestPlan, count: Count): Sql | undefined =>
  plan.kind === 'read' && plan.media.kind !== 'plan' && (count === 'planned' || count === 'estimated')
    ? plannedSql(plan.read)
    : undefined
