import type { Redis, RedisReply } from '../../../redis/redis.js'

const listOf = (reply: RedisReply | undefined): readonly RedisReply[] => (Array.isArray(reply) ? reply : [])

interface Place {
  readonly ms: bigint
  readonly seq: bigint
}

const placeOf = (id: string): Place => {
  const [ms = '0', seq = '0'] = id.split('-')
  return { ms: BigInt(ms), seq: BigInt(seq) }
}

const isBefore = (one: Place, other: Place): boolean => one.ms < other.ms || (one.ms === other.ms && one.seq < other.seq)

const fieldOf = (info: RedisReply, name: string): string => {
  const flat = listOf(info)
  const at = flat.findIndex((each, index) => index % 2 === 0 && String(each) === name)
  return String(flat[at + 1] ?? '')
}

/** The first id that a group still needs. */
const neededFrom = async (redis: Redis, stream: string, group: RedisReply): Promise<Place> => {
  const pending = listOf(await redis.command(['XPENDING', stream, fieldOf(group, 'name')]))
  return placeOf(Number(pending[0] ?? 0) > 0 ? String(pending[1]) : fieldOf(group, 'last-delivered-id'))
}

/**
 * Cuts off what no group holds or has still to see, and what is older than a moment of wall time besides. Never by length: that takes
 * entries which are held. Gives the number of groups.
 */
export const trimStream = async (redis: Redis, stream: string, beforeMs: number): Promise<number> => {
  const groups = listOf(await redis.command(['XINFO', 'GROUPS', stream]))
  let from = placeOf(`${Math.max(0, Math.floor(beforeMs))}-0`)
  for (const group of groups) {
    const needed = await neededFrom(redis, stream, group)
    if (isBefore(needed, from)) from = needed
  }
  if (groups.length > 0) await redis.command(['XTRIM', stream, 'MINID', '~', `${from.ms}-${from.seq}`])
  return groups.length
}
