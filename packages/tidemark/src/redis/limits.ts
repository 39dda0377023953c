import { newInstance } from '../resilience/breaker/instance.js'
import { ringBuckets } from '../resilience/limiter/counters.js'
import { withDenyCache } from '../resilience/limiter/deny-cache.js'
import type { LimiterStore, LimitRequest, LimitTaken, WholeRule } from '../resilience/limiter/limits.js'
import { createMemoryLimiterStore } from '../resilience/limiter/memory-limiter-store.js'
import { type Clock, systemClock } from '../time/clock.js'
import { gcraBackScript, gcraScript, logBackScript, logScript, ringBackScript, ringScript } from './limit-scripts.js'
import type { LuaScript, Redis, RedisArgument } from './redis.js'

export interface SharedLimiterOptions {
  readonly redis: Redis
  /** Stands before every key. Default: nothing. */
  readonly prefix?: string
  /** Refused keys that are remembered. Default 10,000; 0 for none. */
  readonly maxDenials?: number
  /** Names this process. Default: by chance. */
  readonly instance?: string
  readonly clock?: Clock
}

/** A store that all processes count in. */
export interface SharedLimiterStore extends LimiterStore {
  /** How many processes count there, as far as is known; what a share is a part of. */
  readonly instances: number
  stop(): Promise<void>
}

const presentEveryMs = 2_000
const presentForMs = 10_000

interface Algorithm {
  readonly take: LuaScript
  readonly back: LuaScript
  /** Behind the key: only the log has the documented one alone. */
  readonly suffix: string
  args(rule: WholeRule, token: string): readonly [RedisArgument]
}

const algorithms: Readonly<Record<WholeRule['algorithm'], Algorithm>> = {
  log: { take: logScript, back: logBackScript, suffix: '', args: (_rule, token) => [token] },
  ring: { take: ringScript, back: ringBackScript, suffix: ':ring', args: () => [ringBuckets] },
  gcra: { take: gcraScript, back: gcraBackScript, suffix: ':gcra', args: ({ burst }) => [burst] },
}

type Reply = readonly [allowed: number, remaining: number, retryAfter: number, resetAfter: number, receipt: string]

const openTaken = ({ rule: { limit, windowMs } }: LimitRequest, clock: Clock): LimitTaken => ({
  allowed: true,
  limit,
  remaining: limit,
  retryAfterMs: 0,
  resetMs: 0,
  resetAt: clock.now(),
  windowMs,
  by: 'open',
  receipt: '',
})

/** This process's part of a rule; all parts together are no more than the whole, but for one call each. */
export const shareOf = (rule: WholeRule, instances: number): WholeRule => {
  const limit = Math.max(1, Math.floor(rule.limit / Math.max(1, instances)))
  const burst = Math.max(1, Math.floor(rule.burst / Math.max(1, instances)))
  return { ...rule, limit, burst }
}

class RedisLimiterStore implements SharedLimiterStore {
  readonly #redis: Redis
  readonly #prefix: string
  readonly #clock: Clock
  readonly #instance: string
  readonly #local: LimiterStore
  readonly #stopping = new AbortController()
  #instances = 1
  #tokens = 0
  #presence: Promise<void> | undefined

  constructor({ redis, prefix = '', instance = newInstance(), clock = systemClock }: SharedLimiterOptions) {
    this.#redis = redis
    this.#prefix = prefix
    this.#clock = clock
    this.#instance = instance
    this.#local = createMemoryLimiterStore({ clock })
  }

  get instances(): number {
    return this.#instances
  }

  async take(request: LimitRequest): Promise<LimitTaken> {
    this.#presence ??= this.#present()
    const { rule, cost } = request
    const { take, args } = algorithms[rule.algorithm]
    this.#tokens += 1
    const token = `${this.#instance}:${this.#tokens}`
    let reply: Reply
    try {
      const common: readonly RedisArgument[] = [rule.limit, Math.round(rule.windowMs * 1000), cost]
      reply = await this.#redis.script(take, [this.#keyOf(request)], [...common, ...args(rule, token)])
    } catch {
      return this.#withoutRedis(request)
    }
    const [allowed, remaining, retryAfter, resetAfter, receipt] = reply
    const resetMs = resetAfter / 1000
    return {
      allowed: allowed === 1,
      limit: rule.limit,
      remaining,
      retryAfterMs: retryAfter / 1000,
      resetMs,
      resetAt: Math.ceil(this.#clock.now() + resetMs),
      windowMs: rule.windowMs,
      by: 'counted',
      receipt,
    }
  }

  /** Whoever is away has told of it on /health; each decision tells of itself. */
  async #withoutRedis(request: LimitRequest): Promise<LimitTaken> {
    if (request.rule.whenAway === 'open') return openTaken(request, this.#clock)
    const rule = shareOf(request.rule, this.#instances)
    // What can never fit a share is refused for a whole window.
    const cost = Math.min(request.cost, rule.algorithm === 'gcra' ? rule.burst : rule.limit)
    return { ...(await this.#local.take({ ...request, rule, cost })), by: 'local' }
  }

  async giveBack(request: LimitRequest, taken: LimitTaken): Promise<void> {
    if (taken.by === 'open') return
    if (taken.by === 'local') {
      await this.#local.giveBack({ ...request, rule: shareOf(request.rule, this.#instances) }, taken)
      return
    }
    const { rule, cost } = request
    const { back } = algorithms[rule.algorithm]
    const args = rule.algorithm === 'gcra' ? [rule.limit, Math.round(rule.windowMs * 1000), cost] : [cost, taken.receipt]
    await this.#redis.script(back, [this.#keyOf(request)], args)
  }

  #keyOf({ key, rule, variant }: LimitRequest): string {
    const documented = `${this.#prefix}reanna:rate_limit:${key}`
    const suffix = `${variant === undefined ? '' : `:${variant}`}${algorithms[rule.algorithm].suffix}`
    return suffix === '' ? documented : `{${documented}}${suffix}`
  }

  /** Says that this process is there, and counts who else is. */
  async #present(): Promise<void> {
    const { signal } = this.#stopping
    const key = `${this.#prefix}tidemark:limiters`
    while (!signal.aborted) {
      const nowMs = this.#clock.now()
      const results = await this.#redis
        .pipeline([
          ['ZADD', key, nowMs, this.#instance],
          ['ZREMRANGEBYSCORE', key, '-inf', nowMs - presentForMs],
          ['ZCARD', key],
          ['PEXPIRE', key, presentForMs],
        ])
        .catch(() => undefined)
      const count = results?.[2]
      if (count?.ok && typeof count.value === 'number') this.#instances = Math.max(1, count.value)
      await this.#clock.sleep(presentEveryMs, signal).catch(() => undefined)
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#presence
    await this.#redis.command(['ZREM', `${this.#prefix}tidemark:limiters`, this.#instance]).catch(() => undefined)
  }
}

/** Counts calls in `reanna:rate_limit:{service}:{endpoint}`, for all processes, on Redis' own clock. */
export const createSharedLimiterStore = (options: SharedLimiterOptions): SharedLimiterStore => {
  const store = new RedisLimiterStore(options)
  const { maxDenials = 10_000, clock = systemClock } = options
  const cached = maxDenials > 0 ? withDenyCache(store, { maxKeys: maxDenials, clock }) : store
  return {
    get instances() {
      return store.instances
    },
    take: (request) => cached.take(request),
    giveBack: (request, taken) => cached.giveBack(request, taken),
    stop: () => store.stop(),
  }
}
