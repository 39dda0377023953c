import { systemClock } from '../../../time/clock.js'
import type { CutOff, Farewell, Refusal, SocketProtocol } from '../../hub/hub.js'
import type { DatabaseMessage } from '../../messages/messages.js'
import { createBroadcastApi } from './broadcast-api.js'
import { ChannelRegistry } from './channel-registry.js'
import { shakeHands } from './handshake.js'
import { inspectChannel } from './inspect-channel.js'
import { Returns } from './returns.js'
import type { Services } from './services.js'
import { SharedJoins } from './shared-joins.js'
import type { RealtimeParts, SupabaseRealtime, SupabaseRealtimeOptions } from './supabase-realtime.js'
import { SupabaseSocket } from './supabase-socket.js'
import { namesOf, topicOf } from './topic-body.js'

const socketPath = '/realtime/v1/websocket'

const farewells: Readonly<Record<CutOff, Farewell>> = {
  slow: { code: 1013, reason: 'too much was left unread' },
  idle: { code: 4408, reason: 'nothing was heard for too long' },
  shutdown: { code: 1012, reason: 'restarting' },
  operator: {
    code: 1008,
    reason: 'closed by an operator',
    next: 'supabase-js opens another connection after about a second and joins its channels again, where it was as far as that is kept.',
  },
}

const full: Refusal = { status: 429, body: { error: 'Too many connected users' } }

const createProtocol = (services: Services): SocketProtocol => ({
  name: 'supabase',
  takes: (path) => path === socketPath,
  accept: async (request) => {
    const opening = await shakeHands(request, services)
    if ('status' in opening) return opening
    return { open: (connection) => new SupabaseSocket(services, connection, opening) }
  },
  full: () => full,
  farewell: (why) => farewells[why],
  maxMessageBytes: services.limits.maxMessageBytes,
  idleTimeoutMs: services.limits.idleTimeoutMs,
  maxBufferedBytes: services.limits.maxBufferedBytes,
})

/** Tells the channels of this process what Postgres broadcasts. */
const relayDatabase = ({ broadcasts }: RealtimeParts, registry: ChannelRegistry): (() => void) | undefined =>
  broadcasts?.listen({
    message: (message: DatabaseMessage) => {
      for (const channel of registry.of(topicOf(message.topic, message.private))) channel.databaseMessage(message)
    },
    gap: () => {
      for (const channel of registry.all()) channel.broadcastGap()
    },
  })

/** Opens it. Clients are asked to come again until parts are attached. */
export const openSupabaseRealtime = (options: SupabaseRealtimeOptions): SupabaseRealtime => {
  const { findCaller, limits, privateOnly, log, metrics, clock = systemClock } = options
  const registry = new ChannelRegistry()
  const ended = metrics.counter('tidemark_realtime_joins_total', 'Joins of channels, by how they ended.', ['outcome'])
  let parts: RealtimeParts | undefined
  let endRelay: (() => void) | undefined
  const services: Services = {
    findCaller,
    limits,
    privateOnly,
    registry,
    joins: new SharedJoins(),
    returns: new Returns(clock),
    log,
    clock,
    parts: () => parts,
    joinEnded: (outcome) => ended.increment({ outcome }),
  }
  const stop = (): void => {
    endRelay?.()
    endRelay = undefined
    parts = undefined
  }
  return {
    protocol: createProtocol(services),
    api: createBroadcastApi(services),
    attach: (given) => {
      stop()
      parts = given
      endRelay = relayDatabase(given, registry)
    },
    channels: () => registry.size,
    topics: () => registry.counts().map(([name, listeners]) => ({ ...namesOf(name), listeners })),
    inspect: (inspection) => inspectChannel(services, inspection),
    stop,
  }
}
