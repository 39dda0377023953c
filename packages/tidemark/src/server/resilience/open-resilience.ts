/** What stands before calls to other services, over a process's own Redis and Postgres. For the server, and for apps that use it as a library. */
import { type Logger, type Metrics, type Signals, silentLogger } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import { createSharedCircuits } from '../../redis/breakers.js'
import { createSharedLimiterStore, type SharedLimiterStore } from '../../redis/limits.js'
import type { Redis } from '../../redis/redis.js'
import type { Breaker } from '../../resilience/breaker/breaker.js'
import type { BreakerRules } from '../../resilience/breaker/breaker-rules.js'
import { type Breakers, createBreakers } from '../../resilience/breaker/create-breakers.js'
import { newInstance } from '../../resilience/breaker/instance.js'
import type { SharedCircuits } from '../../resilience/breaker/shared-circuits.js'
import type { BreakerOptions } from '../../resilience/breaker.js'
import { type BulkheadOptions, createBulkhead } from '../../resilience/bulkhead.js'
import { createGuard, type Guard, type GuardOptions } from '../../resilience/guard.js'
import type { Journal } from '../../resilience/journal/journal.js'
import type { Limiter, LimiterStore, LimitRule } from '../../resilience/limiter/limits.js'
import { createMemoryLimiterStore } from '../../resilience/limiter/memory-limiter-store.js'
import { createLimiter, type LimiterOptions } from '../../resilience/limiter.js'
import { createRetryBudget, type RetryBudgetOptions } from '../../resilience/retry-budget.js'
import type { Clock } from '../../time/clock.js'
import { openBreakerEvents } from './breaker-events.js'
import { createResilienceMetrics } from './resilience-metrics.js'

export interface OpenResilienceOptions {
  /** Where state is shared. Without one, each process has its own. */
  readonly redis?: Redis
  /** Where transitions of breakers become rows. Without one, they are logged. */
  readonly pool?: Pool
  /** Where those wait for Postgres, such as `state.path('journal')`. Needed with `pool`. */
  readonly folder?: string
  /** Stands before every key in Redis. */
  readonly prefix?: string
  /** Of every breaker that does not say otherwise. */
  readonly breaker?: Partial<BreakerRules>
  readonly signals?: Signals
  readonly metrics?: Metrics
  readonly log?: Logger
  readonly clock?: Clock
}

/** What a guard is made of; every part can be left out. */
export interface GuardPlan {
  /** Default: a breaker with the process's rules. */
  readonly breaker?: Omit<BreakerOptions, 'service'> | false
  readonly limit?: LimitRule | readonly LimitRule[]
  readonly bulkhead?: Omit<BulkheadOptions, 'service'>
  readonly timeoutMs?: number
  /** With the usual budget, unless it is told another. Only for calls that may be made twice. */
  readonly retry?: Omit<NonNullable<GuardOptions['retry']>, 'budget'> & { readonly budget?: RetryBudgetOptions }
}

export interface Resilience {
  readonly breakers: Breakers
  readonly limiters: readonly Limiter[]
  readonly limiterStore: LimiterStore
  readonly circuits: SharedCircuits | undefined
  /** What waits for Postgres; undefined without one. */
  readonly journal: Journal<unknown> | undefined
  /** The breaker of a service: the same one each time. */
  breaker(service: string, options?: Omit<BreakerOptions, 'service'>): Breaker
  /** A limiter that counts where all processes do. */
  limiter(options: Omit<LimiterOptions, 'store' | 'clock'>): Limiter
  guard(service: string, plan?: GuardPlan): Guard
  /** Brings the metrics up to date before a scrape. */
  refreshMetrics(): void
  stop(): Promise<void>
}

class OpenResilience implements Resilience {
  readonly breakers: Breakers
  readonly limiters: Limiter[] = []
  readonly limiterStore: LimiterStore
  readonly circuits: SharedCircuits | undefined
  readonly journal: Journal<unknown> | undefined
  readonly refreshMetrics: () => void
  readonly #options: OpenResilienceOptions
  readonly #store: SharedLimiterStore | undefined

  constructor(
    options: OpenResilienceOptions,
    parts: Pick<OpenResilience, 'breakers' | 'circuits' | 'journal'>,
    instance: string,
  ) {
    const { redis, prefix, clock, metrics } = options
    const shared = redis && redis.state !== 'absent' ? redis : undefined
    this.#options = options
    this.breakers = parts.breakers
    this.circuits = parts.circuits
    this.journal = parts.journal
    this.#store =
      shared && createSharedLimiterStore({ redis: shared, instance, ...(prefix && { prefix }), ...(clock && { clock }) })
    this.limiterStore = this.#store ?? createMemoryLimiterStore(clock ? { clock } : {})
    this.refreshMetrics = metrics ? createResilienceMetrics(metrics, this).refresh : () => {}
  }

  breaker(service: string, options: Omit<BreakerOptions, 'service'> = {}): Breaker {
    return this.breakers.breaker(service, { ...this.#options.breaker, ...options })
  }

  limiter(options: Omit<LimiterOptions, 'store' | 'clock'>): Limiter {
    const { clock } = this.#options
    const limiter = createLimiter({ ...options, store: this.limiterStore, ...(clock && { clock }) })
    this.limiters.push(limiter)
    return limiter
  }

  guard(service: string, { breaker = {}, limit, bulkhead, timeoutMs, retry }: GuardPlan = {}): Guard {
    const { clock } = this.#options
    const rules = limit && ('limit' in limit ? [limit] : limit)
    const budget = retry && createRetryBudget({ ...(clock && { clock }), ...retry.budget })
    return createGuard(service, {
      ...(breaker !== false && { breaker: this.breaker(service, breaker) }),
      ...(rules && { limiter: this.limiter({ name: service, rules }) }),
      ...(bulkhead && { bulkhead: createBulkhead({ ...bulkhead, service }) }),
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(retry && budget && { retry: { ...(clock && { clock }), ...retry, budget } }),
    })
  }

  async stop(): Promise<void> {
    await this.breakers.stop()
    await Promise.all([this.#store?.stop(), this.circuits?.stop()])
    await this.journal?.stop()
  }
}

/** Opens breakers, limiters and guards of one process. Raises TM_STATE_FOLDER_UNUSABLE. */
export const openResilience = async (options: OpenResilienceOptions = {}): Promise<Resilience> => {
  const { redis, pool, folder, prefix, signals, clock, log = silentLogger } = options
  const instance = newInstance()
  const events =
    pool && folder !== undefined ? await openBreakerEvents({ pool, folder, log, ...(clock && { clock }) }) : undefined
  const circuits =
    redis && redis.state !== 'absent' ? createSharedCircuits({ redis, instance, log, ...(prefix && { prefix }) }) : undefined
  const breakers = createBreakers({
    instance,
    log,
    ...(circuits && { shared: circuits }),
    ...(events && { rows: events }),
    ...(signals && { signals }),
    ...(clock && { clock }),
  })
  return new OpenResilience(options, { breakers, circuits, journal: events?.journal as Journal<unknown> | undefined }, instance)
}
