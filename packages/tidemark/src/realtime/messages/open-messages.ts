import type { Follower } from '../../feed/feed.js'
import { type Logger, silentLogger } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import type { Clock } from '../../time/clock.js'
import { createChannelPolicies } from './channel-policies.js'
import { createMessageFollower } from './message-follower.js'
import { createMessageKeeper } from './message-keeper.js'
import { createMessageReplay } from './message-replay.js'
import type { ChannelPolicies, DatabaseBroadcasts, MessageReplay } from './messages.js'

export interface OpenMessagesOptions {
  /** Logs in as the role that may become those of callers. */
  readonly pool: Pick<Pool, 'batch'>
  /** Logs in as the owner of the schema `realtime`. */
  readonly keeperPool: Pick<Pool, 'query'>
  /** As `search_path` has it: where functions of policies look for names without a schema. Default `public`. */
  readonly searchPath?: string | undefined
  readonly clock?: Clock | undefined
  readonly log?: Logger | undefined
}

export interface Messages {
  readonly policies: ChannelPolicies
  readonly broadcasts: DatabaseBroadcasts
  readonly replay: MessageReplay
  /** For the node of the feed. */
  readonly follower: Follower
  stop(): Promise<void>
}

/** Private channels, broadcast from the database and its replay; begins to look after the partitions of `realtime.messages`. */
export const openMessages = ({ pool, keeperPool, searchPath, clock, log = silentLogger }: OpenMessagesOptions): Messages => {
  const follower = createMessageFollower({ log })
  const keeper = createMessageKeeper({ pool: keeperPool, clock, log })
  keeper.start()
  return {
    policies: createChannelPolicies({ pool, searchPath }),
    replay: createMessageReplay({ pool, searchPath }),
    broadcasts: follower,
    follower,
    stop: () => keeper.stop(),
  }
}
