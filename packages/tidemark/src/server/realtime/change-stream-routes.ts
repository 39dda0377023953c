import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from '../../auth/caller.js'
import { ApiKeyError, type Credentials, type FindCaller } from '../../auth/find-caller.js'
import { isTokenError } from '../../auth/token-error.js'
import { isTidemarkError, TidemarkError } from '../../errors.js'
import type { Logger, Metrics } from '../../observability/observability.js'
import { type ChangeStream, openChangeStream } from '../../realtime/changes/sse/change-stream.js'
import { parseEventId } from '../../realtime/changes/sse/event-id.js'
import type { Binding, Changes } from '../../realtime/realtime.js'
import { longestTimerMs } from '../../time/clock.js'
import { allowCrossOrigin } from '../http/cors.js'

export interface ChangeStreamRoutesOptions {
  /** Undefined while the server starts, and where it has no part in the feed. */
  changes(): Changes | undefined
  readonly findCaller: FindCaller
  readonly maxStreams: number
  readonly maxBufferedBytes: number
  readonly heartbeatMs?: number
  /** After so long keys and tokens are held against those of the project again. Default 300,000. */
  readonly confirmEveryMs?: number
  readonly log: Logger
  readonly metrics: Metrics
}

const path = '/realtime/v1/changes'

type Query = Readonly<Record<string, string | readonly string[] | undefined>>

const bad = (reason: string): TidemarkError<'TM_REALTIME_BINDING'> => new TidemarkError('TM_REALTIME_BINDING', { reason })

const one = (query: Query, name: string): string | undefined => {
  const value = query[name]
  if (value === undefined || typeof value === 'string') return value === '' ? undefined : value
  throw bad(`The parameter ${name} is given more than once.`)
}

const maxTables = 100

/** `table` may stand several times; a filter, a selection and an event are then those of each. */
const bindingsOf = (query: Query): readonly Binding[] => {
  const given = query['table'] ?? '*'
  const tables = typeof given === 'string' ? [given] : given
  if (tables.length > maxTables) throw bad(`More than ${maxTables} tables are asked for.`)
  const [schema = 'public', event = '*', filter, select] = ['schema', 'event', 'filter', 'select'].map((name) => one(query, name))
  const columns = select?.split(',').map((column) => column.trim())
  return tables.map((table) => ({ event: event.toUpperCase() as Binding['event'], schema, table, filter, select: columns }))
}

/** Browsers' EventSource sends no headers: it brings the key, and the token, in the URL. */
const credentialsOf = ({ headers }: FastifyRequest, query: Query): Credentials => {
  const apikey = typeof headers['apikey'] === 'string' ? headers['apikey'] : one(query, 'apikey')
  const token = one(query, 'access_token')
  return { apikey, authorization: headers.authorization ?? (token === undefined ? undefined : `Bearer ${token}`) }
}

/** Milliseconds until the caller's token counts no more. */
const leftOf = ({ claims }: Caller): number | undefined => {
  const { exp } = claims
  return typeof exp === 'number' ? exp * 1000 - Date.now() : undefined
}

/** `GET /realtime/v1/changes?table=…&filter=…`: changes as Server-Sent Events, for whoever speaks plain HTTP. */
export const addChangeStreamRoutes = async (app: FastifyInstance, options: ChangeStreamRoutesOptions): Promise<void> => {
  const { findCaller, maxStreams, maxBufferedBytes, heartbeatMs, confirmEveryMs = 300_000, log, metrics } = options
  const streams = new Map<ChangeStream, Credentials>()
  const cut = metrics.counter('tidemark_realtime_streams_cut_total', 'Streams of changes whose client did not keep up.')
  let opening = 0

  const listen = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const query = request.query as Query
    const credentials = credentialsOf(request, query)
    if (credentials.apikey === undefined && credentials.authorization === undefined) throw new ApiKeyError('missing')
    const caller = await findCaller(credentials)
    const changes = options.changes()
    if (!changes) throw new TidemarkError('TM_REALTIME_UNAVAILABLE', { reason: 'this server has no part in the feed' })
    if (streams.size + opening >= maxStreams)
      throw new TidemarkError('TM_REALTIME_UNAVAILABLE', { reason: 'too many clients listen' })
    const lastId = request.headers['last-event-id'] ?? one(query, 'last_event_id')
    const from = typeof lastId === 'string' && lastId !== '' ? (parseEventId(lastId) ?? ('unknown' as const)) : undefined
    opening += 1
    try {
      const stream = await openChangeStream({
        changes,
        caller,
        bindings: bindingsOf(query),
        from,
        response: reply.raw,
        maxBufferedBytes,
        ...(heartbeatMs !== undefined && { heartbeatMs }),
        cutOff: () => {
          cut.increment()
          log.warn('a client of changes does not keep up; it is cut off', { requestId: request.id })
        },
      })
      reply.hijack()
      keep(stream, reply, caller, credentials)
      return reply
    } finally {
      opening -= 1
    }
  }

  const keep = (stream: ChangeStream, reply: FastifyReply, caller: Caller, credentials: Credentials): void => {
    streams.set(stream, credentials)
    const left = leftOf(caller)
    const expiry =
      left === undefined
        ? undefined
        : setTimeout(() => stream.end('the token has expired'), Math.min(Math.max(0, left), longestTimerMs))
    expiry?.unref()
    const forget = (): void => {
      clearTimeout(expiry)
      streams.delete(stream)
    }
    if (reply.raw.destroyed) forget()
    else reply.raw.once('close', forget)
  }

  /** A stream lasts no longer than what it was opened with. That keys cannot be had at the moment says nothing against it. */
  const confirm = async (stream: ChangeStream, credentials: Credentials): Promise<void> => {
    try {
      await findCaller(credentials)
    } catch (err) {
      if (err instanceof ApiKeyError || isTokenError(err)) stream.end('the key or the token counts no more')
      else log.warn('a key could not be looked at again', { err })
    }
  }

  const confirming = setInterval(() => {
    for (const [stream, credentials] of streams) void confirm(stream, credentials)
  }, confirmEveryMs)
  confirming.unref()

  const sendError = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (error instanceof ApiKeyError) return reply.status(401).send(error.toJSON())
    if (isTokenError(error)) return reply.status(401).send({ message: error.message })
    if (isTidemarkError(error) && error.httpStatus < 500) {
      return reply.status(error.httpStatus).send({ code: error.code, message: error.message })
    }
    if (isTidemarkError(error, 'TM_REALTIME_UNAVAILABLE') || isTidemarkError(error, 'TM_SERVER_STOPPING')) {
      return reply.status(503).header('retry-after', '1').send({ code: error.code, message: error.message })
    }
    log.error('changes could not be listened to', { requestId: request.id, err: error })
    return reply.status(500).send({ code: 'TM_INTERNAL', message: 'Internal server error' })
  }

  await app.register(async (scope) => {
    scope.addHook('onRequest', async (_request, reply) => {
      // The answer is written past the framework, so its headers are set here.
      reply.raw.setHeader('access-control-allow-origin', '*')
    })
    allowCrossOrigin(scope, { methods: ['GET', 'OPTIONS', 'HEAD'], exposedHeaders: ['Content-Type'], ownOptions: true })
    scope.setErrorHandler((error, request, reply) => sendError(error, request, reply))
    scope.get(path, listen)
    scope.options(path, async (_request, reply) => reply.status(204).send())
  })
  // Whoever listens would keep the server from ending.
  app.addHook('preClose', async () => {
    clearInterval(confirming)
    for (const stream of streams.keys()) stream.end('the server stops')
  })
}
