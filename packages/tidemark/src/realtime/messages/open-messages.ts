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
  readonly ownerPool: Pick<Pool, 'query'>
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

/** Whether the schema is the one that Tidemark made: only then may its table be published, and are its partitions to be looked after. */
const ownsSchema = async (pool: Pick<Pool, 'query'>): Promise<boolean> => {
  const { rows } = await pool.query<{ owned: boolean }>(
    `select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'realtime' and c.relname = 'messages' and pg_has_role(c.relowner, 'USAGE')
          and obj_description(n.oid, 'pg_namespace') = 'tidemark')
      and exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'tidemark' and p.proname = 'keep_realtime_messages') as owned`,
    [],
    { idempotent: true },
  )
  return rows[0]?.owned === true
}

/**
 * Private channels, broadcast from the database and its replay; begins to look after the partitions of `realtime.messages`. Where the
 * database has none of Tidemark's, there are none of these. Raises TM_POSTGRES_*.
 */
export const openMessages = async ({
  pool,
  ownerPool,
  searchPath,
  clock,
  log = silentLogger,
}: OpenMessagesOptions): Promise<Messages> => {
  const follows = await ownsSchema(ownerPool)
  const follower = createMessageFollower({ follows, clock, log })
  const keeper = createMessageKeeper({ pool: ownerPool, clock, log })
  if (follows) keeper.start()
  else
    log.info('the database has no realtime.messages of Tidemark: there are no private channels, and nothing is broadcast from it')
  return {
    policies: createChannelPolicies({ pool, searchPath }),
    replay: createMessageReplay({ pool, searchPath }),
    broadcasts: follower,
    follower,
    stop: () => keeper.stop(),
  }
}
