import { isTidemarkError } from '../errors.js'
import { maskSecrets } from '../secrets.js'
import { isFinalStatus, raisedAnswer } from './raised-answer.js'
import { isRestError, RestError } from './rest-error.js'
import { restErrors } from './rest-errors.js'

/** What Postgres says of an error, as the driver hands it on. */
interface ServerError {
  readonly code: string
  readonly message: string
  readonly severity?: string
  readonly detail?: string
  readonly hint?: string
}

/** Who asked: an anonymous caller who may not is asked to log in (401), one who has is refused (403). */
export interface Asker {
  readonly anonymous: boolean
}

const isServerError = (error: unknown): error is Error & ServerError =>
  error instanceof Error &&
  'code' in error &&
  typeof error.code === 'string' &&
  /^[0-9A-Z]{5}$/.test(error.code) &&
  'severity' in error

/** The error that Postgres itself reported, along the chain of causes. */
const serverErrorOf = (error: unknown): (Error & ServerError) | undefined => {
  let current: unknown = error
  for (let depth = 0; depth < 10 && current instanceof Error; depth += 1) {
    if (isServerError(current)) return current
    current = current.cause
  }
  return undefined
}

/** By the first that fits: a whole SQLSTATE before its class. */
const statusBySqlstate: readonly (readonly [RegExp, number])[] = [
  [/^08/, 503],
  [/^09/, 500],
  [/^0[LP]/, 403],
  [/^2350[35]$/, 409],
  [/^25006$/, 405],
  [/^25/, 500],
  [/^28/, 403],
  [/^(2D|38|39|3B|40|53400)/, 500],
  [/^53/, 503],
  [/^5[45]/, 500],
  [/^57P01$/, 503],
  [/^(57|58|F0|HV)/, 500],
  [/^P0001$/, 400],
  [/^(P0|XX)/, 500],
  [/^42883$/, 404],
  [/^42P01$/, 404],
  [/^42P17$/, 500],
]

const statusOf = ({ code, message }: ServerError, { anonymous }: Asker): number => {
  if (code === '42501') return anonymous ? 401 : 403
  // An update or delete of every row, refused by the extension safeupdate, is the caller's mistake.
  if (code === '21000') return message.endsWith('requires a WHERE clause') ? 400 : 500
  // A token that names a role which does not exist.
  if (code === '22023') return message.startsWith('role') && message.endsWith('does not exist') ? 401 : 400
  // XML of a type that has no aggregate: the form asked for cannot be made.
  if (code === '42883' && message.startsWith('function xmlagg(')) return 406
  return statusBySqlstate.find(([pattern]) => pattern.test(code))?.[1] ?? 400
}

/** `raise sqlstate 'PT402'`: the status is in the SQLSTATE, its reason phrase in the message. */
const chosenStatus = ({ code, message }: ServerError): Pick<RestError, 'status' | 'statusText'> | undefined => {
  if (!code.startsWith('PT')) return undefined
  const status = /^\d{3}$/.test(code.slice(2)) ? Number(code.slice(2)) : undefined
  return isFinalStatus(status) ? { status, statusText: message } : { status: 500, statusText: undefined }
}

/** Raised before a session was there: the login, the database, the number of connections. */
const isLoginTrouble = ({ code, severity }: ServerError): boolean => severity === 'FATAL' && /^(28|3D|53300$|57P03$)/.test(code)

const fromServer = (error: Error & ServerError, asker: Asker): RestError => {
  if (isLoginTrouble(error)) return restErrors.noConnection(error)
  if (error.code === 'PGRST') return raisedAnswer(error.message, error.detail, error)
  const { status, statusText } = chosenStatus(error) ?? { status: statusOf(error, asker), statusText: undefined }
  return new RestError({
    code: error.code,
    status,
    message: maskSecrets(error.message),
    details: error.detail === undefined ? null : maskSecrets(error.detail),
    hint: error.hint === undefined ? null : maskSecrets(error.hint),
    headers: status === 401 ? { 'www-authenticate': 'Bearer' } : {},
    statusText,
    cause: error,
  })
}

const timedOut = (cause: unknown): RestError =>
  new RestError({ code: '57014', status: 500, message: 'canceling statement due to statement timeout', cause })

/**
 * Anything that was thrown while a request was answered, as what its caller is told: a refusal of Postgres as PostgREST would
 * show it, trouble on the way to Postgres by its PGRST code. Of anything else only that it happened; the cause is kept for the log.
 */
export const restErrorOf = (error: unknown, asker: Asker): RestError => {
  if (isRestError(error)) return error
  const server = serverErrorOf(error)
  if (server) return fromServer(server, asker)
  if (!isTidemarkError(error)) return restErrors.internal(error)
  switch (error.code) {
    case 'TM_POSTGRES_POOL_TIMEOUT':
      return restErrors.poolTimeout(error)
    case 'TM_POSTGRES_TIMEOUT':
      return timedOut(error)
    case 'TM_POSTGRES_CONNECTION_LOST':
      return restErrors.connectionBroke(error)
    case 'TM_POSTGRES_UNREACHABLE':
    case 'TM_POSTGRES_POOL_CLOSED':
    case 'TM_POSTGRES_AUTHENTICATION':
    case 'TM_POSTGRES_TLS':
    case 'TM_POSTGRES_NO_DATABASE':
      return restErrors.noConnection(error)
    default:
      return restErrors.internal(error)
  }
}
