import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from '../../auth/caller.js'
import { ApiKeyError, type FindCaller } from '../../auth/find-caller.js'
import { isTokenError, type TokenError } from '../../auth/token-error.js'
import { positionHeader } from '../../cache/session/position-plugin.js'
import { isTidemarkError, reasonOf } from '../../errors.js'
import { formatPosition, type Position } from '../../feed/position.js'
import type { Logger } from '../../observability/observability.js'
import type { Rest, RestAnswer, RestHttpRequest } from '../../rest/rest.js'
import { errorAnswer, RestError, restErrors } from '../../rest/rest.js'
import { allowCrossOrigin } from '../http/cors.js'

export interface RestRoutesOptions {
  /** Undefined while the server starts. */
  rest(): Rest | undefined
  readonly findCaller: FindCaller
  readonly log: Logger
  readonly maxBodyBytes: number
  /** A caller that takes nothing of its answer for so long is cut off. */
  readonly sendTimeoutMs: number
  /** Missing: answers say nothing of positions. */
  readonly positions?: RestPositions
}

/** Where the answers of rest stand in the order of everything. */
export interface RestPositions {
  /** Everything up to here is visible to whoever asks Postgres from now on; null where nothing is followed. */
  read(): Position | null
  /** No write that has returned is behind it; null where that cannot be said. Raises nothing. */
  written(): Promise<Position | null>
}

const prefix = '/rest/v1'

/** What scripts of other origins may read, as Supabase exposes it. */
const exposedHeaders = [
  'Content-Encoding',
  'Content-Location',
  'Content-Profile',
  'Content-Range',
  'Content-Type',
  'Date',
  'Location',
  'Preference-Applied',
  'Proxy-Status',
  'Range-Unit',
  'Server',
  'Transfer-Encoding',
  'Tidemark-Position',
]

/** A key in the URL is the caller's, not a filter. It counts where no header brings one. */
const splitKey = (query: string): { readonly query: string; readonly apikey: string | undefined } => {
  const parts = query.split('&')
  const key = parts.find((part) => part.startsWith('apikey='))
  if (key === undefined) return { query, apikey: undefined }
  return { query: parts.filter((part) => part !== key).join('&'), apikey: key.slice('apikey='.length) }
}

interface Read {
  readonly http: RestHttpRequest
  readonly apikey: string | undefined
}

/** The request as it came, its path behind the prefix and its escapes untouched. */
const read = (request: FastifyRequest): Read => {
  const [path = '', query = ''] = (request.raw.url ?? '').split(/\?(.*)/s)
  const { headers, method } = request
  const header = headers['apikey']
  const split = typeof header === 'string' ? { query, apikey: header } : splitKey(query)
  const body = Buffer.isBuffer(request.body) ? request.body : undefined
  return { http: { method, path: path.slice(prefix.length), query: split.query, headers, body }, apikey: split.apikey }
}

const refusedToken = (error: TokenError): RestError =>
  error.failure === 'unreadable' ? restErrors.badToken(error.message) : restErrors.badClaims(error.message)

const statusOf = (error: unknown): number | undefined => {
  const status = (error as { readonly statusCode?: unknown } | undefined)?.statusCode
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined
}

/** What went wrong before or beside the request itself. */
const toRestError = (error: unknown): RestError => {
  if (error instanceof RestError) return error
  if (isTokenError(error)) return refusedToken(error)
  if (isTidemarkError(error) && error.httpStatus === 503) return restErrors.noCatalogue(error)
  const status = isTidemarkError(error) ? undefined : statusOf(error)
  if (status !== undefined) return new RestError({ code: 'PGRST102', status, message: reasonOf(error), cause: error })
  return restErrors.internal(error)
}

const send = (reply: FastifyReply, { status, statusText, headers, body }: RestAnswer): FastifyReply => {
  if (statusText !== undefined) reply.raw.statusMessage = statusText
  reply.status(status)
  for (const [name, value] of Object.entries(headers)) reply.header(name, value)
  return reply.send(body)
}

const reads = ['GET', 'HEAD', 'OPTIONS']

/**
 * A read shows everything up to its position; what a write did is told at its position or before. That costs a write a question of its own, so it
 * is told to those who name positions themselves.
 */
const withPosition = async (
  { method, headers }: FastifyRequest,
  positions: RestPositions | undefined,
  answer: () => Promise<RestAnswer>,
): Promise<RestAnswer> => {
  const isRead = reads.includes(method)
  const before = isRead ? positions?.read() : undefined
  const answered = await answer()
  if (answered.status >= 300) return answered
  const isAsked = headers[positionHeader.toLowerCase()] !== undefined
  const position = isRead ? before : isAsked ? await positions?.written() : undefined
  return position ? { ...answered, headers: { ...answered.headers, [positionHeader]: formatPosition(position) } } : answered
}

/** Aborts when the caller hangs up before its answer is written. */
const signalOf = (reply: FastifyReply): AbortSignal => {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new Error('the caller went away'))
  })
  return gone.signal
}

/** `/rest/v1`: what PostgREST answers. */
export const addRestRoutes = async (app: FastifyInstance, options: RestRoutesOptions): Promise<void> => {
  const { findCaller, log, maxBodyBytes, sendTimeoutMs, positions } = options

  const callerOf = (request: FastifyRequest, apikey: string | undefined): Promise<Caller> =>
    findCaller({ apikey, authorization: request.headers.authorization })

  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const rest = options.rest()
    if (!rest) throw restErrors.noCatalogue()
    const { http, apikey } = read(request)
    const signal = signalOf(reply)
    const caller = await callerOf(request, apikey)
    const context = { caller, signal, host: request.host, scheme: request.protocol }
    const answered = await withPosition(request, positions, () => rest.handle(http, context))
    reply.raw.setTimeout(sendTimeoutMs, () => reply.raw.destroy())
    return send(reply, answered)
  }

  const sendError = (thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (thrown instanceof ApiKeyError) return reply.status(401).send(thrown.toJSON())
    const error = toRestError(thrown)
    const isOurs = error.status >= 500 && error.code !== 'PGRST002' && !reply.raw.destroyed
    if (isOurs) log.error('a request of rest failed', { requestId: request.id, method: request.method, err: thrown })
    // The rest of a body that is too large is not read, so nothing can follow it.
    if (error.status === 413) reply.header('connection', 'close')
    return send(reply, errorAnswer(error))
  }

  await app.register(
    async (scope) => {
      allowCrossOrigin(scope, {
        methods: ['GET', 'POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'],
        exposedHeaders,
        ownOptions: true,
      })
      // Postgres reads the bodies; all that is done here is to bound them.
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: maxBodyBytes }, (_request, body, done) => done(null, body))
      scope.setErrorHandler((error, request, reply) => sendError(error, request, reply))
      scope.all('/', answer)
      scope.all('/*', answer)
    },
    { prefix },
  )
}
