import { isTidemarkError, reasonOf, TidemarkError } from '../errors.js'
import { ChannelBindingError } from './driver/channel-binding.js'

/** Whom an error speaks of. */
export interface ErrorTarget {
  /** `host:port/database`. */
  readonly name: string
  readonly user: string
}

const codeOf = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined

const isSqlstate = (code: string | undefined): code is string =>
  code !== undefined && /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code)

/** The SQLSTATE that Postgres gave, looked for along the chain of causes; undefined where it was not Postgres that failed. */
export const sqlstateOf = (error: unknown): string | undefined => {
  const code = codeOf(error)
  if (isSqlstate(code)) return code
  return error instanceof Error && error.cause !== undefined ? sqlstateOf(error.cause) : undefined
}

const networkErrnos = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'ENOENT',
])

/** Several addresses of one host were tried, and each failed for itself. */
const firstOf = (error: unknown): unknown =>
  error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error

const lostConnection =
  /Connection terminated|not queryable|timeout expired|server closed the connection|Client has encountered a connection error|WebSocket|was closed before/i

const tlsCodes = /^(ERR_SSL|ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|EPROTO)/
const tlsWords =
  /does not support SSL|establishing an SSL|no encryption|SSL off|SASL: Mechanism SCRAM-SHA-256-PLUS|SSL is required/i

const isTlsFailure = (error: unknown, reason: string): boolean =>
  error instanceof ChannelBindingError || tlsCodes.test(codeOf(error) ?? '') || tlsWords.test(reason)

/** The statement was never sent, so running it again cannot run it twice. */
const wasNotSent = (error: unknown): boolean =>
  /is not queryable/.test(error instanceof Error ? error.message : '') ||
  (isTidemarkError(error) && error.cause !== undefined && wasNotSent(error.cause))

type Kind = 'unreachable' | 'noDatabase' | 'authentication' | 'permission' | 'disk' | 'conflict' | 'timeout' | 'query'

const bySqlstate: readonly (readonly [RegExp, Kind])[] = [
  [/^28/, 'authentication'],
  [/^(08|57P0[123]$|53300$|57P05$|25P03$)/, 'unreachable'],
  [/^3D000$/, 'noDatabase'],
  [/^42501$/, 'permission'],
  [/^53100$/, 'disk'],
  [/^(40001|40P01)$/, 'conflict'],
  [/^(57014|55P03)$/, 'timeout'],
]

const kindOf = (sqlstate: string, reason: string): Kind => {
  // Postgres reports a full disk while writing its log or a sort file as an I/O error.
  if (/No space left on device/.test(reason)) return 'disk'
  return bySqlstate.find(([pattern]) => pattern.test(sqlstate))?.[1] ?? 'query'
}

const fromSqlstate = (sqlstate: string, reason: string, { name, user }: ErrorTarget, cause: unknown): TidemarkError => {
  const options = { cause }
  switch (kindOf(sqlstate, reason)) {
    case 'authentication':
      return new TidemarkError('TM_POSTGRES_AUTHENTICATION', { target: name, user, reason }, options)
    case 'unreachable':
      return new TidemarkError('TM_POSTGRES_UNREACHABLE', { target: name, reason }, options)
    case 'noDatabase':
      return new TidemarkError('TM_POSTGRES_NO_DATABASE', { target: name, reason }, options)
    case 'permission':
      return new TidemarkError('TM_POSTGRES_PERMISSION', { target: name, user, reason }, options)
    case 'disk':
      return new TidemarkError('TM_POSTGRES_DISK_FULL', { target: name, reason }, options)
    case 'conflict':
      return new TidemarkError('TM_POSTGRES_CONFLICT', { sqlstate, reason }, options)
    case 'timeout':
      return new TidemarkError('TM_POSTGRES_TIMEOUT', { sqlstate, reason }, options)
    case 'query':
      return new TidemarkError('TM_POSTGRES_QUERY', { sqlstate, reason }, options)
  }
}

/** SCRAM failures of the client's own side (a server that does not know the password, or none given) carry no SQLSTATE. */
const isLoginFailure = (reason: string): boolean => /^SASL|client password must be/i.test(reason)

/**
 * What a driver raised, as the error of Tidemark that says what to do about it, with the original as its cause
 * ({@link sqlstateOf} still finds its SQLSTATE). What is one already, or is none of Postgres or the network, passes unchanged
 * or becomes TM_INTERNAL.
 */
export const toPostgresError = (error: unknown, target: ErrorTarget): TidemarkError => {
  if (isTidemarkError(error)) return error
  const first = firstOf(error)
  const reason = reasonOf(first)
  const code = codeOf(first)
  const options = { cause: error }
  if (isTlsFailure(first, reason)) return new TidemarkError('TM_POSTGRES_TLS', { target: target.name, reason }, options)
  if (isSqlstate(code)) return fromSqlstate(code, reason, target, error)
  if (isLoginFailure(reason)) {
    return new TidemarkError('TM_POSTGRES_AUTHENTICATION', { target: target.name, user: target.user, reason }, options)
  }
  if (networkErrnos.has(code ?? '') || lostConnection.test(reason)) {
    return new TidemarkError('TM_POSTGRES_UNREACHABLE', { target: target.name, reason }, options)
  }
  return new TidemarkError('TM_INTERNAL', { reason }, options)
}

/** True where trying again a little later may help: the connection was lost or could not be made, for no lasting reason. */
export const isConnectionLoss = (error: unknown): error is TidemarkError<'TM_POSTGRES_UNREACHABLE'> =>
  isTidemarkError(error, 'TM_POSTGRES_UNREACHABLE')

/** True where the connection broke without a word from the server, so that nobody here knows how far the statement got. */
export const isOutcomeUnknown = (error: unknown): error is TidemarkError<'TM_POSTGRES_UNREACHABLE'> =>
  isConnectionLoss(error) && sqlstateOf(error) === undefined && !wasNotSent(error)
