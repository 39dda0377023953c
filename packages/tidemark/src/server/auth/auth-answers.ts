import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AuthAnswer } from '../../auth/answer.js'
import { AuthError, errorBody, errorFormOf, isAuthError } from '../../auth/auth-error.js'
import { ApiKeyError } from '../../auth/find-caller.js'
import { isTokenError, type TokenError } from '../../auth/token-error.js'
import { isTidemarkError, reasonOf } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import { sqlstateOf } from '../../postgres/postgres.js'

/** The header by which a client asks for a form of errors. */
export const versionHeader = 'x-supabase-api-version'

/** One value of a header that may have been sent several times: the last. */
export const headerOf = ({ headers }: FastifyRequest, name: string): string | undefined => {
  const value = headers[name]
  return Array.isArray(value) ? value.at(-1) : value
}

/** What the golang-jwt library says, which clients of GoTrue may have seen before. */
const tokenWords = ({ reason, message }: TokenError): string => {
  switch (reason) {
    case 'empty':
    case 'malformed':
      return 'token is malformed: token contains an invalid number of segments'
    case 'signature':
      return 'token signature is invalid: signature is invalid'
    case 'expired':
      return 'token has invalid claims: token is expired'
    case 'notYetValid':
      return 'token has invalid claims: token is not valid yet'
    case 'issuedInFuture':
      return 'token has invalid claims: token used before issued'
    default:
      return `token is unverifiable: ${message}`
  }
}

/** The status that Fastify gives a request which it refuses by itself. */
const statusOf = (error: unknown): number | undefined => {
  const status = (error as { readonly statusCode?: unknown } | undefined)?.statusCode
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined
}

/** Whatever was thrown, as GoTrue would answer it. What happened inside is for the log alone. */
const toAuthError = (error: unknown): AuthError => {
  if (isAuthError(error)) return error
  if (isTokenError(error)) {
    const message = `invalid JWT: unable to parse or verify signature, ${tokenWords(error)}`
    return new AuthError(403, 'bad_jwt', message, { cause: error })
  }
  // Clients take 503 as a reason to try again.
  if (isTidemarkError(error) && error.httpStatus === 503)
    return new AuthError(503, 'unexpected_failure', 'Service temporarily unavailable', { cause: error, retryAfterSeconds: 1 })
  const status = isTidemarkError(error) ? undefined : statusOf(error)
  if (status !== undefined) return new AuthError(status, 'validation_failed', reasonOf(error), { cause: error })
  const message = 'Unexpected failure, please check server logs for more information'
  return new AuthError(500, 'unexpected_failure', message, { cause: error })
}

export const sendAnswer = (reply: FastifyReply, { status = 200, body, headers = {} }: AuthAnswer): FastifyReply => {
  reply.status(status).headers(headers)
  return body === undefined ? reply.send() : reply.send(body)
}

/** What the log gets of a failure. Postgres quotes the whole row that it refuses, the hash of a password included: its words are left out. */
const loggable = (error: AuthError): object => {
  const sqlstate = sqlstateOf(error)
  if (sqlstate === undefined) return { err: error.cause ?? error }
  return { sqlstate, reason: error.cause instanceof Error ? error.cause.message : error.message }
}

/** Answers with what went wrong, in the form that the client asks for. */
export const sendAuthError = (thrown: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): FastifyReply => {
  if (thrown instanceof ApiKeyError) return reply.status(401).send(thrown.toJSON())
  const error = toAuthError(thrown)
  if (error.status >= 500) {
    const path = request.routeOptions.url ?? 'none'
    log.error('a request of auth failed', { requestId: request.id, method: request.method, path, ...loggable(error) })
  }
  if (error.retryAfterSeconds !== undefined) reply.header('retry-after', String(error.retryAfterSeconds))
  reply.header('x-sb-error-code', error.code)
  return reply.status(error.status).send(errorBody(error, errorFormOf(headerOf(request, versionHeader))))
}
