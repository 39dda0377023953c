/** What the feed's reading node takes out of Redis before it publishes a change (CACHE-4). */
import type { TransactionPiece } from '../../feed/feed.js'
import type { Rules } from '../plan/rules.js'
import type { Purge, RedisTier } from '../redis/redis-tier.js'
import { commandsOf } from './cache-follower.js'

export interface PurgeOptions {
  readonly rules: Rules
  readonly prefix: string
  readonly redis: RedisTier
}

/** Tags, tables and entries need nothing here: each node knows from the feed since when they are void. Raises TM_REDIS_*. */
export const purgeRedis = async ({ rules, prefix, redis }: PurgeOptions, pieces: readonly TransactionPiece[]): Promise<void> => {
  const purges: Purge[] = []
  for (const piece of pieces) {
    const xid = String(piece.xid)
    for (const key of rules.evictionsOf(piece).keys.keys()) purges.push({ key: prefix + key, xid })
    for (const { kind, name } of commandsOf(piece.changes)) if (kind === 'key') purges.push({ key: name, xid })
  }
  if (purges.length > 0) await redis.purge(purges)
}
