import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from '../../auth/caller.js'
import { ApiKeyError, type FindCaller } from '../../auth/find-caller.js'
import { isTokenError } from '../../auth/token-error.js'
import { isTidemarkError, reasonOf } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import type { ApiAnswer, BroadcastApi } from '../../realtime/protocols/supabase/broadcast-api.js'
import { isJson } from '../../realtime/protocols/supabase/frames.js'
import { allowCrossOrigin } from '../http/cors.js'

export interface RealtimeRoutesOptions {
  readonly api: BroadcastApi
  readonly findCaller: FindCaller
  readonly maxBodyBytes: number
  readonly log: Logger
}

const prefix = '/realtime/v1'

const isJsonType = (request: FastifyRequest): boolean => /^application\/json\b/i.test(request.headers['content-type'] ?? '')
const isBytesType = (request: FastifyRequest): boolean =>
  /^application\/octet-stream\b/i.test(request.headers['content-type'] ?? '')

const bodyOf = ({ body }: FastifyRequest): Buffer => (Buffer.isBuffer(body) ? body : Buffer.alloc(0))

const send = (reply: FastifyReply, { status, body }: ApiAnswer): FastifyReply => reply.status(status).send(body)

/** `TOPIC/events/EVENT` of the URL. Read by hand: the router has no room for long names. */
const readPath = (url: string): { readonly topic: string; readonly event: string } | undefined => {
  const [, topic, event] = /^[^?]*\/api\/broadcast\/([^/?]+)\/events\/([^/?]+)\/?(?:\?|$)/.exec(url) ?? []
  try {
    return topic === undefined || event === undefined
      ? undefined
      : { topic: decodeURIComponent(topic), event: decodeURIComponent(event) }
  } catch {
    return undefined
  }
}

const statusOf = (error: unknown): number | undefined => {
  const status = (error as { readonly statusCode?: unknown } | undefined)?.statusCode
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined
}

/** `/realtime/v1/api`: broadcasts of those who have no socket. */
export const addRealtimeRoutes = async (app: FastifyInstance, options: RealtimeRoutesOptions): Promise<void> => {
  const { api, findCaller, maxBodyBytes, log } = options

  const callerOf = async ({ headers }: FastifyRequest): Promise<Caller> => {
    const { apikey, authorization } = headers
    if (typeof apikey !== 'string' && authorization === undefined) throw new ApiKeyError('missing')
    return findCaller({ apikey: typeof apikey === 'string' ? apikey : undefined, authorization })
  }

  const batch = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const caller = await callerOf(request)
    const body = bodyOf(request)
    if (!isJsonType(request)) return send(reply, { status: 415, body: { message: 'Unsupported Media Type' } })
    if (!isJson(body)) return send(reply, { status: 400, body: { message: 'The body is no JSON' } })
    return send(reply, await api.batch(JSON.parse(body.toString()), caller))
  }

  const single = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const caller = await callerOf(request)
    const path = readPath(request.raw.url ?? '')
    if (!path) return send(reply, { status: 404, body: { message: 'Not found' } })
    const encoding = isJsonType(request) ? 'json' : isBytesType(request) ? 'binary' : undefined
    if (encoding === undefined) return send(reply, { status: 415, body: { message: 'Unsupported Media Type' } })
    const payload = bodyOf(request)
    if (encoding === 'json' && payload.length > 0 && !isJson(payload))
      return send(reply, { status: 400, body: { message: 'The body is no JSON' } })
    const isPrivate = (request.query as { readonly private?: unknown }).private === 'true'
    return send(reply, await api.single({ ...path, private: isPrivate, encoding, payload }, caller))
  }

  const sendError = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (error instanceof ApiKeyError) return reply.status(401).send(error.toJSON())
    if (isTokenError(error)) return reply.status(401).send({ message: error.message })
    // The server stops: another one answers.
    if (isTidemarkError(error, 'TM_SERVER_STOPPING')) return reply.status(error.httpStatus).send({ message: error.message })
    const status = statusOf(error)
    if (status !== undefined) return reply.status(status).send({ message: reasonOf(error) })
    log.error('a request of realtime failed', { requestId: request.id, method: request.method, err: error })
    return reply.status(500).send({ message: 'Internal server error' })
  }

  await app.register(
    async (scope) => {
      allowCrossOrigin(scope, {
        methods: ['GET', 'POST', 'OPTIONS', 'HEAD'],
        exposedHeaders: ['Content-Type', 'Date', 'Retry-After'],
      })
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: maxBodyBytes }, (_request, body, done) => done(null, body))
      scope.setErrorHandler((error, request, reply) => sendError(error, request, reply))
      scope.get('/websocket', async (_request, reply) =>
        reply.status(426).header('upgrade', 'websocket').send({ message: 'This is the address of a WebSocket' }),
      )
      scope.post('/api/broadcast', batch)
      scope.post('/api/broadcast/*', single)
    },
    { prefix },
  )
}
