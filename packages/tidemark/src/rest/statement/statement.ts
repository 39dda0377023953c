import type { BatchResult } from '../../postgres/postgres.js'
import type { RestResult } from '../answer/answer.js'
import type { Preferences } from '../query.js'
import type { RestError } from '../rest-error.js'
import { restErrors } from '../rest-errors.js'
import { refusedRows } from './print-limit.js'
import { countPlanSql, statementSql } from './print-statement.js'
import type { RequestPlan } from './request-plan.js'
import { resolveRequest } from './resolve-request.js'
import type { SqlValue } from './sql.js'
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
  /** Of the results of `texts`. Raises PGRST116. */
  result(results: readonly BatchResult[]): RestResult
  /** What to raise where the statement failed since it concerns more or fewer rows than it may. */
  refusal(error: unknown): RestError | undefined
}

const noSettings: ReadonlyMap<string, string> = new Map()

const isReadOnly = (request: StatementRequest, plan: RequestPlan): boolean => {
  if (plan.kind !== 'call') return plan.kind === 'read'
  return (request.kind === 'call' && request.method === 'GET') || plan.call.function.volatility !== 'volatile'
}

/** Of a request's preferences, those that mean something to it. */
const honoured = (request: StatementRequest): Preferences => {
  const { preferences } = request
  const writes = request.kind !== 'read' && request.kind !== 'call'
  const isPost = request.kind === 'insert' && !request.put
  const limited = request.kind !== 'read' && request.kind !== 'insert' && preferences.handling === 'strict'
  return {
    ...preferences,
    return: writes ? preferences.return : undefined,
    resolution: isPost ? preferences.resolution : undefined,
    missing: isPost || request.kind === 'update' ? preferences.missing : undefined,
    maxAffected: limited ? preferences.maxAffected : undefined,
  }
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

/** What is wrong about a number of rows, where there is something; where `writes`, Postgres has seen to it before. */
const refusalOf = (request: StatementRequest, plan: RequestPlan, rows: number): RestError | undefined => {
  const { limit } = plan
  if (!limit || (rows <= limit.most && rows >= limit.least)) return undefined
  if (request.kind === 'insert' && request.put) return restErrors.putPayload()
  return plan.media.kind === 'object' && rows !== 1 ? restErrors.notSingular(rows) : restErrors.maxAffected(rows)
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

const explainedResult = (request: StatementRequest, plan: RequestPlan, result: BatchResult | undefined): RestResult => ({
  media: plan.media,
  body: (result?.rows ?? []).map(([line]) => line ?? '').join('\n'),
  rows: 0,
  total: undefined,
  inserted: undefined,
  location: undefined,
  nothing: false,
  responseHeaders: undefined,
  responseStatus: undefined,
  preferences: honoured(request),
})

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
      if (plan.media.kind === 'plan') return explainedResult(request, plan, main)
      const [counted, rowsText, body, responseHeaders, responseStatus, location, inserted] = main?.rows[0] ?? []
      const rows = Number(rowsText ?? 0)
      const refused = refusalOf(request, plan, rows)
      if (refused) throw refused
      return {
        media: plan.media,
        body: bodyOf(plan, body),
        rows,
        total: totalOf(request, options, numberOf(counted), rows, plannedRows(explained)),
        inserted: numberOf(inserted),
        location: locationOf(plan, location),
        nothing: plan.kind === 'call' && plan.nothing,
        responseHeaders: responseHeaders ?? undefined,
        responseStatus: responseStatus ?? undefined,
        preferences: honoured(request),
      }
    },
    refusal: (error) => {
      const rows = refusedRows(error)
      return rows === undefined ? undefined : refusalOf(request, plan, rows)
    },
  }
}
