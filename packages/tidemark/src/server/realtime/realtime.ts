import type { Logger } from '../../observability/observability.js'
import type { RealtimeParts } from '../../realtime/protocols/supabase/supabase-realtime.js'
import type { Redis } from '../../redis/redis.js'
import type { Observation } from '../observation/observation.js'
import type { Runtime } from '../runtime.js'
import type { WhenReachable } from '../when-reachable.js'
import type { ServerChanges } from './realtime-changes.js'
import { openServerTopics, type ServerTopics } from './realtime-topics.js'

/** What realtime is made of in this server, whatever protocol it is told in. */
export interface ServerRealtime {
  readonly parts: RealtimeParts
  readonly topics: ServerTopics
  readonly redis: Redis
  stop(): Promise<void>
}

export interface ServerRealtimeOptions {
  readonly runtime: Runtime
  readonly observation: Observation
  /** Undefined where this server has no part in the feed. */
  readonly changes: ServerChanges | undefined
  readonly whenReachable: WhenReachable
  readonly log: Logger
}

export const openServerRealtime = async ({ changes, ...options }: ServerRealtimeOptions): Promise<ServerRealtime> => {
  const topics = await openServerTopics(options)
  return {
    parts: { topics: topics.topics, changes, ...changes?.access.messages },
    topics,
    redis: options.runtime.redis.redis,
    stop: () => topics.stop(),
  }
}
