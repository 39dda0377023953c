import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import Api from 'pusher'
import pusherJs, { type Options } from 'pusher-js'
import { pusherWebhookEvents } from '../../../../config/options/pusher-options.js'
import { createMetrics } from '../../../../observability/metrics.js'
import { silentLogger } from '../../../../observability/observability.js'
import { createAbsentRedis } from '../../../../redis/absent-redis.js'
import type { Redis } from '../../../../redis/redis.js'
import type { Cleanups } from '../../../../testing/use-cleanups.js'
import type { Hub } from '../../../hub/hub.js'
import { openHub } from '../../../hub/open-hub.js'
import { openTopics } from '../../../topics/open-topics.js'
import type { OpenTopics } from '../../../topics/topics.js'
import { type Pusher, type PusherOptions, pusherProtocol } from '../open-pusher.js'
import { openPusherApps } from '../open-pusher-apps.js'
import type { PusherApp } from '../pusher.js'
import { PusherChannels } from '../pusher-channels.js'

/** A CommonJS module whose types say that the class is its default export. */
export const PusherJs = ((pusherJs as { default?: unknown }).default ?? pusherJs) as typeof pusherJs.default
export type Client = InstanceType<typeof PusherJs>

export const app: PusherApp = { id: '4711', key: '278d425bdf160c739803', secret: '7ad3773142a6692b25b8' }

export const otherApp: PusherApp = { id: '4712', key: 'another-key', secret: 'another-secret' }

export interface PusherNode {
  readonly port: number
  readonly pusher: Pusher
  readonly hub: Hub
  readonly topics: OpenTopics
  readonly api: Api
  /** A client of pusher-js that is not connected yet when it is given. */
  client(options?: Partial<Options>): Client
  stop(): Promise<void>
}

export interface PusherNodeOptions extends Partial<Omit<PusherOptions, 'redis'>> {
  readonly redis?: Redis
}

const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const authorizer = (api: Api): Partial<Options> => ({
  channelAuthorization: {
    transport: 'ajax',
    endpoint: '',
    customHandler: ({ channelName, socketId }, callback) => {
      const user = { user_id: socketId, user_info: { name: `user ${socketId}` } }
      const signed = channelName.startsWith('presence-')
        ? api.authorizeChannel(socketId, channelName, user)
        : api.authorizeChannel(socketId, channelName)
      callback(null, signed as never)
    },
  },
})

/** A server of Pusher and nothing else. */
export const openPusherNode = async (cleanups: Cleanups, options: PusherNodeOptions = {}): Promise<PusherNode> => {
  const { redis = createAbsentRedis(), prefix = 'test', ...rest } = options
  const [log, metrics] = [options.log ?? silentLogger, createMetrics()]
  const topics = await openTopics({ redis, prefix, log, metrics, counted: [PusherChannels.topicPrefix] })
  const pusher = openPusherApps({
    apps: [app, otherApp],
    topics,
    redis,
    prefix,
    log,
    metrics,
    clientEvents: true,
    subscriptionCounts: true,
    activityTimeoutMs: 120_000,
    webhooks: { urls: [], events: pusherWebhookEvents },
    ...rest,
  })
  const hub = openHub({ log, metrics, maxConnections: 1_000 })
  const maxBufferedBytes = 1024 * 1024
  hub.serve(pusherProtocol({ accept: pusher.accept, maxBufferedBytes, maxEventBytes: 10_240, activityTimeoutMs: 120_000 }))
  const server = createServer(async (request, response) => {
    const [path = '/', query = ''] = (request.url ?? '/').split(/\?(.*)/s)
    const body = await bodyOf(request)
    const answer = await pusher.handle({ method: request.method ?? 'GET', path, query: new URLSearchParams(query), body })
    response.writeHead(answer.status, { 'content-type': answer.contentType, ...answer.headers }).end(answer.body)
  })
  hub.attach(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const api = new Api({ appId: app.id, key: app.key, secret: app.secret, host: '127.0.0.1', port: String(port) } as Api.Options)
  const clients: Client[] = []
  const stop = async (): Promise<void> => {
    for (const client of clients.splice(0)) client.disconnect()
    await hub.stop(500)
    server.closeAllConnections()
    server.close()
    await pusher.stop()
    await topics.stop()
  }
  cleanups.push(stop)
  const client = (more: Partial<Options> = {}): Client => {
    const made = new PusherJs(app.key, {
      cluster: 'none',
      wsHost: '127.0.0.1',
      wsPort: port,
      forceTLS: false,
      enabledTransports: ['ws'],
      enableStats: false,
      ...authorizer(api),
      ...more,
    })
    clients.push(made)
    return made
  }
  return { port, pusher, hub, topics, api, client, stop }
}
