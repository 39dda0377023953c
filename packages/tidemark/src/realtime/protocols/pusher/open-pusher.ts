import type { PusherWebhookEvent } from '../../../config/options/pusher-options.js'
import type { Logger, Metrics } from '../../../observability/observability.js'
import type { Redis } from '../../../redis/redis.js'
import { type Clock, systemClock } from '../../../time/clock.js'
import type { Acceptance, CutOff, Farewell, SocketProtocol, UpgradeRequest } from '../../hub/hub.js'
import type { OpenTopics } from '../../topics/topics.js'
import { handleRequest, type PusherAnswer } from './http-api.js'
import { createLastEvents } from './last-events.js'
import { type Closing, closing, type PusherApp, type PusherLimits, type PusherPublisher, pusherLimits } from './pusher.js'
import { PusherChannels } from './pusher-channels.js'
import { PusherClient, RefusedClient } from './pusher-client.js'
import type { SignedRequest } from './signature.js'
import { createWebhooks } from './webhooks.js'

export interface PusherOptions {
  readonly app: PusherApp
  readonly topics: OpenTopics
  readonly redis: Redis
  /** What nodes of one project share, and no others. */
  readonly prefix: string
  readonly log: Logger
  readonly metrics: Metrics
  readonly clock?: Clock
  readonly limits?: Partial<PusherLimits>
  readonly clientEvents: boolean
  readonly subscriptionCounts: boolean
  readonly activityTimeoutMs: number
  readonly webhooks: { readonly urls: readonly string[]; readonly events: readonly PusherWebhookEvent[] }
}

/** Pusher as a server has it. */
export interface Pusher {
  /** Of `pusherProtocol`. */
  accept(request: UpgradeRequest): Promise<Acceptance>
  readonly publisher: PusherPublisher
  /** Answers `/apps/ID/…`. */
  handle(request: SignedRequest): Promise<PusherAnswer>
  stop(): Promise<void>
}

const path = /^\/app\/([^/]+)\/?$/
const protocols: ReadonlySet<string> = new Set(['5', '6', '7'])
/** A client event's data, its name and channel, and what JSON adds to it. */
const frameOverheadBytes = 20 * 1024
/** The protocol pings by itself; this ends only what does not answer to it either. */
const hubPatienceMs = 60_000

const whyRefused = (app: PusherApp, { path: given, query }: UpgradeRequest): Closing | undefined => {
  const protocol = query.get('protocol')
  if (path.exec(given)?.[1] !== app.key) return closing.noApp
  if (protocol === null || protocol === '') return closing.noProtocol
  if (!/^\d{1,9}$/.test(protocol)) return closing.badVersion
  return protocols.has(protocol) ? undefined : closing.badProtocol
}

const farewells: Readonly<Record<CutOff, Closing>> = {
  slow: closing.slow,
  idle: closing.idle,
  shutdown: closing.shutdown,
  operator: closing.operator,
}

const nextOfOperator = 'pusher-js opens another connection after about a second and subscribes to its channels again.'

const farewellOf = (why: CutOff): Farewell => {
  const [code, reason] = farewells[why]
  return { code, reason, ...(why === 'operator' && { next: nextOfOperator }) }
}

export interface PusherProtocolOptions extends Pick<SocketProtocol, 'accept' | 'maxBufferedBytes'> {
  readonly maxEventBytes: number
  readonly activityTimeoutMs: number
}

/** What the hub has to know: `/app/KEY`. */
export const pusherProtocol = (options: PusherProtocolOptions): SocketProtocol => ({
  name: 'pusher',
  takes: (given) => path.test(given),
  accept: options.accept,
  full: () => ({ status: 503, body: { error: 'Over capacity' }, headers: { 'retry-after': '1' } }),
  farewell: farewellOf,
  maxMessageBytes: options.maxEventBytes * 2 + frameOverheadBytes,
  idleTimeoutMs: options.activityTimeoutMs + hubPatienceMs,
  maxBufferedBytes: options.maxBufferedBytes,
})

/** Opens Pusher over the topics of all nodes. Raises nothing. */
export const openPusher = (options: PusherOptions): Pusher => {
  const { app, topics, redis, prefix, log, metrics, clock = systemClock, clientEvents, activityTimeoutMs } = options
  const limits = { ...pusherLimits, ...options.limits }
  const webhooks = createWebhooks({ app, ...options.webhooks, clock, log, metrics })
  const lastEvents = createLastEvents({ redis, prefix: `${prefix}:pusher`, clock, log })
  const { subscriptionCounts } = options
  const channels = new PusherChannels({ app, topics, lastEvents, webhooks, limits, subscriptionCounts, clock, log })
  const monotonicMs = () => clock.monotonicMs()
  return {
    accept: async (request) => {
      const refusal = whyRefused(app, request)
      if (refusal) return { open: (connection) => new RefusedClient(connection, refusal) }
      const client = { app, channels, clientEvents, activityTimeoutMs, log, monotonicMs }
      return { open: (connection) => new PusherClient({ ...client, connection }) }
    },
    publisher: channels,
    handle: (request) => handleRequest({ app, channels, now: () => clock.now() }, request),
    stop: async () => {
      channels.stop()
      await webhooks.stop()
    },
  }
}
