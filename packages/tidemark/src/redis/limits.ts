import { isTidemarkError } from '../errors.js'
import { newInstance } from '../resilience/breaker/instance.js'
import { ringBuckets } from '../resilience/limiter/counters.js'
import { withDenyCache } from '../resilience/limiter/deny-cache.js'
import type { LimitAlgorithm, LimiterStore, LimitRequest, LimitTaken, WholeRule } from '../resilience/limiter/limits.js'
import { createMemoryLimiterStore } from '../resilience/limiter/memory-limiter-store.js'
import { type Clock, systemClock } from '../time/clock.js'
import { createGroups, type Groups } from '../time/groups.js'
import {
  gcraBackScript,
  gcraScript,
  logBackScript,
  logScript,
  repliesPerCheck,
  ringBackScript,
  ringScript,
  uncountable,
} from './limit-scripts.js'
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
  extra(check: Check): RedisArgument
  receipt(check: Check, reply: number): string
}

/** One check on its way: the checks of one turn of the event loop go together. */
interface Check {
  readonly request: LimitRequest
  readonly key: string
  /** That no other call has. */
  readonly token: string
  /** Undefined while nothing has counted it. */
  taken: LimitTaken | undefined
}

const algorithms: Readonly<Record<LimitAlgorithm, Algorithm>> = {
  log: { take: logScript, back: logBackScript, suffix: '', extra: ({ token }) => token, receipt: ({ token }) => token },
  ring: {
    take: ringScript,
    back: ringBackScript,
    suffix: ':ring',
    extra: () => ringBuckets,
    receipt: (_, bucket) => String(bucket),
  },
  gcra: {
    take: gcraScript,
    back: gcraBackScript,
    suffix: ':gcra',
    extra: ({ request }) => request.rule.burst,
    receipt: () => '',
  },
}

/** Checks of one call of a script: for so long Redis does nothing else. */
const maxTogether = 64
/** Calls on their way at a time; what comes meanwhile waits for the first of them. */
const maxRunning = 8

/** Keys of different slots cannot be in one call: a Redis that is a cluster, or a proxy before one. */
const isOfSlots = (error: unknown): boolean =>
  isTidemarkError(error, 'TM_REDIS_COMMAND') && String(error.parameters.reason).startsWith('CROSSSLOT')

const byKey = (checks: readonly Check[]): readonly (readonly Check[])[] => {
  const keys = new Map<string, Check[]>()
  for (const check of checks) {
    const known = keys.get(check.key)
    if (known) known.push(check)
    else keys.set(check.key, [check])
  }
  return [...keys.values()]
}

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
  readonly #groups: Readonly<Record<LimitAlgorithm, Groups<Check>>>
  readonly #stopping = new AbortController()
  #areTogether = true
  #instances = 1
  #tokens = 0
  #presence: Promise<void> | undefined

  constructor({ redis, prefix = '', instance = newInstance(), clock = systemClock }: SharedLimiterOptions) {
    this.#redis = redis
    this.#prefix = prefix
    this.#clock = clock
    this.#instance = instance
    this.#local = createMemoryLimiterStore({ clock })
    const groupsOf = (algorithm: Algorithm): Groups<Check> =>
      createGroups({ write: (checks) => this.#countAll(algorithm, checks), maxRunning, maxItems: maxTogether })
    this.#groups = { log: groupsOf(algorithms.log), ring: groupsOf(algorithms.ring), gcra: groupsOf(algorithms.gcra) }
  }

  get instances(): number {
    return this.#instances
  }

  async take(request: LimitRequest): Promise<LimitTaken> {
    this.#presence ??= this.#present()
    this.#tokens += 1
    const check: Check = {
      request,
      key: this.#keyOf(request),
      token: `${this.#instance}:${this.#tokens}`,
      taken: undefined,
    }
    await this.#groups[request.rule.algorithm].add(check)
    return check.taken ?? this.#withoutRedis(request)
  }

  /** Never rejects: what was not counted has no outcome. */
  async #countAll(algorithm: Algorithm, checks: readonly Check[]): Promise<void> {
    try {
      if (this.#areTogether) return await this.#count(algorithm, checks)
    } catch (error) {
      if (!isOfSlots(error)) return
      this.#areTogether = false
    }
    await Promise.allSettled(byKey(checks).map((part) => this.#count(algorithm, part)))
  }

  async #count(algorithm: Algorithm, checks: readonly Check[]): Promise<void> {
    const keys: string[] = []
    const args: RedisArgument[] = []
    for (const check of checks) {
      const { rule, cost } = check.request
      keys.push(check.key)
      args.push(rule.limit, Math.round(rule.windowMs * 1000), cost, algorithm.extra(check))
    }
    const replies = await this.#redis.script<readonly number[]>(algorithm.take, keys, args)
    for (let n = 0; n < checks.length; n++) this.#note(algorithm, checks[n]!, replies, n * repliesPerCheck)
  }

  #note(algorithm: Algorithm, check: Check, replies: readonly number[], at: number): void {
    const allowed = replies[at]!
    if (allowed === uncountable) return
    const { limit, windowMs } = check.request.rule
    const resetMs = replies[at + 3]! / 1000
    check.taken = {
      allowed: allowed === 1,
      limit,
      remaining: replies[at + 1]!,
      retryAfterMs: replies[at + 2]! / 1000,
      resetMs,
      resetAt: Math.ceil(this.#clock.now() + resetMs),
      windowMs,
      by: 'counted',
      receipt: algorithm.receipt(check, replies[at + 4]!),
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
