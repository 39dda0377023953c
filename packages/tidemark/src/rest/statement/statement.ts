import type { BatchResult } from '../../postgres/postgres.js'
import type { RestResult } from '../answer/answer.js'
import { checkResult } from '../answer/check-result.js'
import { refusedRows } from './print/print-limit.js'
import { countPlanSql, statementSql } from './print/print-statement.js'
import type { SqlValue } from './print/sql.js'
import type { RequestPlan } from './request-plan.js'
import { resolveRequest } from './resolve/resolve-request.js'
import type { StatementOptions, StatementRequest } from './statement-options.js'

export type { StatementOptions, StatementRequest } from './statement-options.js'

interface Text {
  readonly text: string
  readonly values: readonly SqlValue[]
}

/** A request as what Postgres is to run, and how its answer is read. */
export interface Statement {
  /** The statement itself, then what only plans it where a count asks for that. */
  readonly texts: readonly Text[]
  readonly readOnly: boolean
  /** Of the function that is called: for the whole transaction. */
  readonly settings: ReadonlyMap<string, string>
  /** Of the results of `texts`. Raises what makes them no answer, such as PGRST116. */
  result(results: readonly BatchResult[]): RestResult
  /** What it means that the statement failed, where that is since it concerns more or fewer rows than it may. */
  refusal(error: unknown): unknown
}

const noSettings: ReadonlyMap<string, string> = new Map()

const isReadOnly = (request: StatementRequest, plan: RequestPlan): boolean => {
  if (plan.kind !== 'call') return plan.kind === 'read'
  return (request.kind === 'call' && request.method === 'GET') || plan.call.function.volatility !== 'volatile'
}

const numberOf = (text: string | null | undefined): number | undefined =>
  text === null || text === undefined ? undefined : Number(text)

/** The planner's number of rows, from the first line of its plan. */
const plannedRows = (result: BatchResult | undefined): number | undefined => {
  const text = result?.rows[0]?.[0]
  if (text === null || text === undefined) return undefined
  const [plan] = JSON.parse(text) as readonly { readonly Plan?: { readonly 'Plan Rows'?: number } }[]
  return plan?.Plan?.['Plan Rows']
}

const totalOf = (
  request: StatementRequest,
  options: StatementOptions,
  counted: number | undefined,
  rows: number,
  planned: number | undefined,
): number | undefined => {
  const { count } = request.preferences
  if (count === undefined) return undefined
  if (request.kind !== 'read') return request.kind === 'call' ? counted : rows
  if (count === 'planned') return planned
  const isWhole = count === 'exact' || counted === undefined || counted <= (options.maxRows ?? counted - 1)
  return isWhole ? counted : Math.max(counted, planned ?? 0)
}

const bodyOf = ({ media, wantsBody }: RequestPlan, text: string | null | undefined): RestResult['body'] => {
  if (!wantsBody) return undefined
  if (media.kind === 'octets') return Buffer.from((text ?? '').slice(2), 'hex')
  return text ?? ''
}

const locationOf = (plan: RequestPlan, text: string | null | undefined): RestResult['location'] => {
  if (plan.kind !== 'write' || text === null || text === undefined) return undefined
  const values = JSON.parse(text) as readonly (string | null)[]
  return plan.location.map((name, index) => [name, values[index] ?? null])
}

/** A table without a key has no conflicts to resolve. */
const honouredOf = ({ preferences }: StatementRequest, plan: RequestPlan): RestResult['preferences'] =>
  plan.kind === 'write' && plan.mutation.conflict?.columns.length === 0 ? { ...preferences, resolution: undefined } : preferences

/** A result that is not there: neither rows nor a body. */
const emptyResult = (request: StatementRequest, plan: RequestPlan): RestResult => ({
  media: plan.media,
  body: undefined,
  rows: 0,
  total: undefined,
  inserted: undefined,
  location: undefined,
  nothing: false,
  responseHeaders: undefined,
  responseStatus: undefined,
  preferences: honouredOf(request, plan),
})

const refusalOf = (request: StatementRequest, plan: RequestPlan, error: unknown): unknown => {
  const rows = refusedRows(error)
  if (rows === undefined) return error
  try {
    checkResult(request, { ...emptyResult(request, plan), rows })
  } catch (refusal) {
    return refusal
  }
  return error
}

/**
 * Resolves a request against the catalogue and writes it as one statement. What came with the request is in its values alone.
 * Raises a RestError where a name means nothing, and where the answer cannot have a form that is accepted.
 */
export const createStatement = (request: StatementRequest, options: StatementOptions): Statement => {
  const plan = resolveRequest(request, options)
  const { count } = request.preferences
  const planned = countPlanSql(plan, count)
  const pieces = [statementSql(plan, count, options.maxRows), ...(planned ? [planned] : [])]
  return {
    texts: pieces.map((piece) => piece.render()),
    readOnly: isReadOnly(request, plan),
    settings: plan.kind === 'call' ? plan.call.function.settings : noSettings,
    result: ([main, explained]) => {
      const empty = emptyResult(request, plan)
      if (plan.media.kind === 'plan') return { ...empty, body: (main?.rows ?? []).map(([line]) => line ?? '').join('\n') }
      const [counted, rowsText, body, responseHeaders, responseStatus, location, inserted] = main?.rows[0] ?? []
      const rows = Number(rowsText ?? 0)
      const result: RestResult = {
        ...empty,
        body: bodyOf(plan, body),
        rows,
        total: totalOf(request, options, numberOf(counted), rows, plannedRows(explained)),
        inserted: numberOf(inserted),
        location: locationOf(plan, location),
        nothing: plan.kind === 'call' && plan.nothing,
        responseHeaders: responseHeaders ?? undefined,
        responseStatus: responseStatus ?? undefined,
      }
      checkResult(request, result)
      return result
    },
    refusal: (error) => refusalOf(request, plan, error),
  }
}
