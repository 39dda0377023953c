import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { TidemarkConfig } from '../../config/config.js'
import { reasonOf } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import type { Hub } from '../../realtime/hub/hub.js'
import { type Pusher, pusherProtocol } from '../../realtime/protocols/pusher/open-pusher.js'
import { openPusherApps } from '../../realtime/protocols/pusher/open-pusher-apps.js'
import type { PusherPublisher } from '../../realtime/protocols/pusher/pusher.js'
import type { Redis } from '../../redis/redis.js'
import type { State } from '../../state/state.js'
import type { Observation } from '../observation/observation.js'
import { pusherAppOf } from './pusher-keys.js'
import type { ServerTopics } from './realtime-topics.js'

/** `/app` and `/apps` as a server has them. */
export interface ServerPusher {
  /** From now on clients are served. Before, they are asked to come again. */
  attach(topics: ServerTopics, redis: Redis): Promise<PusherPublisher>
  stop(): Promise<void>
}

export interface ServerPusherOptions {
  readonly app: FastifyInstance
  readonly hub: Hub
  readonly config: TidemarkConfig
  readonly state: State
  readonly observation: Observation
  readonly log: Logger
}

/** A batch of the largest events, with room for their names. */
const maxBodyBytes = (maxEventBytes: number): number => 10 * (2 * maxEventBytes + 16_384)

const bodyOf = ({ body }: FastifyRequest): Buffer => (Buffer.isBuffer(body) ? body : Buffer.alloc(0))

const sendText = (reply: FastifyReply, status: number, text: string): FastifyReply =>
  reply.status(status).type('text/plain; charset=utf-8').send(text)

const statusOf = (error: unknown): number | undefined => {
  const status = (error as { readonly statusCode?: unknown } | undefined)?.statusCode
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined
}

/** Pusher's HTTP API. Its requests are signed, path and body as they came. */
const addRoutes = async ({ app, config, log }: ServerPusherOptions, current: () => Pusher | undefined): Promise<void> => {
  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const pusher = current()
    if (!pusher) return sendText(reply.header('retry-after', '1'), 503, 'The server is starting')
    const [path = '/', query = ''] = (request.raw.url ?? '/').split(/\?(.*)/s)
    const signed = { method: request.method, path, query: new URLSearchParams(query), body: bodyOf(request) }
    const { status, body, contentType, headers = {} } = await pusher.handle(signed)
    return reply.status(status).headers(headers).type(contentType).send(body)
  }
  await app.register(
    async (scope) => {
      scope.removeAllContentTypeParsers()
      const bodyLimit = maxBodyBytes(config.realtime.pusher.maxEventBytes)
      scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body))
      scope.setErrorHandler((error, request, reply) => {
        const status = statusOf(error)
        if (status !== undefined) return sendText(reply, status, reasonOf(error))
        log.error('a request of Pusher failed', { requestId: request.id, method: request.method, err: error })
        return sendText(reply, 500, 'Internal server error')
      })
      scope.all('/*', answer)
    },
    { prefix: '/apps' },
  )
}

/** Answers at once; what it needs of Redis is attached when that is there. */
export const openServerPusher = async (options: ServerPusherOptions): Promise<ServerPusher> => {
  const { hub, config, state, observation, log } = options
  const { maxEventBytes, activityTimeoutMs, webhookUrls, webhookEvents, apps, ...rest } = config.realtime.pusher
  const { maxBufferedBytes } = config.realtime
  const { metrics } = observation
  let pusher: Pusher | undefined
  const accept = async (request: Parameters<Pusher['accept']>[0]) =>
    pusher?.accept(request) ?? { status: 503, body: { error: 'The server is starting' }, headers: { 'retry-after': '1' } }
  hub.serve(pusherProtocol({ maxEventBytes, activityTimeoutMs, maxBufferedBytes, accept }))
  await addRoutes(options, () => pusher)
  return {
    attach: async ({ topics, prefix }, redis) => {
      pusher = openPusherApps({
        apps: [await pusherAppOf(config, state), ...(apps ?? [])],
        topics,
        redis,
        prefix,
        log: log.child('pusher'),
        metrics,
        limits: { maxEventBytes },
        clientEvents: rest.clientEvents,
        subscriptionCounts: rest.subscriptionCounts,
        activityTimeoutMs,
        webhooks: { urls: webhookUrls ?? [], events: webhookEvents },
      })
      return pusher.publisher
    },
    stop: async () => pusher?.stop(),
  }
}
