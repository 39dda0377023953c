import type { Signals } from '../../observability/observability.js'
import type { Redis } from '../../redis/redis.js'

export interface RedisMemory {
  /** From 0 to 1; 0 where the server has no limit. */
  readonly ratio: number
  /** Undefined before it was asked. */
  readonly policy: string | undefined
  /** It has room for events. */
  readonly hasRoom: boolean
  /** Asks the server now. Does nothing while it is away. */
  look(): Promise<void>
}

const levels = [
  { from: 0.9, name: 'webhooks.memory_full' },
  { from: 0.8, name: 'webhooks.memory_short' },
  { from: 0.6, name: 'webhooks.memory_filling' },
] as const

const fullFrom = levels[0].from
/** Once full, it has room again only below this: at the limit it would change with every look. */
const roomBelow = 0.88

const infoValue = (info: string, name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]

const memoryOf = (info: string) => {
  const [limit, policy] = [Number(infoValue(info, 'maxmemory') ?? 0), infoValue(info, 'maxmemory_policy')]
  const ratio = limit > 0 ? Number(infoValue(info, 'used_memory') ?? 0) / limit : 0
  return { ratio, policy, evicts: limit > 0 && policy !== undefined && policy !== 'noeviction' }
}

/** Watches how full the memory of Redis is, and whether it may drop what is in it. */
export const createRedisMemory = (redis: Redis, signals: Signals | undefined): RedisMemory => {
  let ratio = 0
  let policy: string | undefined
  let full = false
  let level: (typeof levels)[number]['name'] | 'webhooks.memory_free' = 'webhooks.memory_free'
  let evictionTold = false

  const tell = (): void => {
    const next = levels.find(({ from }) => ratio >= from)?.name ?? 'webhooks.memory_free'
    if (next === level) return
    level = next
    const percent = Math.round(ratio * 100)
    signals?.raise({
      name: next,
      subject: redis.target,
      message: `Redis at ${redis.target} uses ${percent} % of its memory.`,
      details: { percent },
    })
  }

  const tellOfEviction = (evicts: boolean): void => {
    if (evicts && !evictionTold) {
      signals?.raise({
        name: 'webhooks.eviction',
        subject: redis.target,
        message: `Redis at ${redis.target} has the policy ${policy}; events need noeviction.`,
      })
    }
    evictionTold = evicts
  }

  return {
    get ratio() {
      return ratio
    },
    get policy() {
      return policy
    },
    get hasRoom() {
      return !full
    },
    look: async () => {
      if (redis.state !== 'up') return
      const command = ['INFO', 'memory'] as const
      const infos = redis.cluster
        ? [...(await redis.cluster.onEach<string>(command)).values()]
        : [await redis.command<string>(command)]
      const servers = infos.map(memoryOf)
      // An event may go to any master: the fullest counts, and one that evicts.
      ratio = Math.max(...servers.map((server) => server.ratio))
      const evicting = servers.find((server) => server.evicts)
      policy = (evicting ?? servers[0])?.policy
      full = ratio >= (full ? roomBelow : fullFrom)
      tell()
      tellOfEviction(evicting !== undefined)
    },
  }
}
