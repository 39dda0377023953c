import type { HealthFinding, Logger } from '../../observability/observability.js'
import { PusherChannels } from '../../realtime/protocols/pusher/pusher-channels.js'
import { openTopics } from '../../realtime/topics/open-topics.js'
import type { OpenTopics } from '../../realtime/topics/topics.js'
import type { Observation } from '../observation/observation.js'
import type { Runtime } from '../runtime.js'
import type { WhenReachable } from '../when-reachable.js'

export interface ServerTopics {
  readonly topics: OpenTopics
  /** Begins the names in Redis that servers of this project share. */
  readonly prefix: string
  stop(): Promise<void>
}

export interface ServerTopicsOptions {
  readonly runtime: Runtime
  readonly observation: Observation
  readonly whenReachable: WhenReachable
  readonly log: Logger
}

/** Servers on one database are one project. Several databases may share a Redis. */
const prefixOf = async ({ pools }: Runtime): Promise<string> => {
  const { scopeOf } = await import('../../feed/fan-out/scope.js')
  const asker = { query: (sql: string) => pools.primary.query(sql, [], { idempotent: true }) }
  return `tidemark:realtime:${await scopeOf(asker as unknown as Parameters<typeof scopeOf>[0], 'topics')}`
}

const findingOf = (topics: OpenTopics, hasRedis: boolean): HealthFinding => {
  const { reach, detail } = topics.reach()
  return { status: reach === 'nodes' || !hasRedis ? 'up' : 'degraded', detail }
}

/** Broadcast and presence of this server, and of all that share its database and its Redis. */
export const openServerTopics = async ({
  runtime,
  observation,
  whenReachable,
  log,
}: ServerTopicsOptions): Promise<ServerTopics> => {
  const { redis, connect } = runtime.redis
  const { metrics, health } = observation
  const prefix = await whenReachable(() => prefixOf(runtime))
  const counted = [PusherChannels.topicPrefix]
  const topics = await openTopics({ redis, connect, prefix, metrics, counted, log: log.child('topics') })
  const unregister = health.register({
    name: 'broadcast',
    critical: false,
    check: () => findingOf(topics, redis.state !== 'absent'),
  })
  return {
    topics,
    prefix,
    stop: async () => {
      unregister()
      await topics.stop()
    },
  }
}
