import { createLimiter } from '../resilience/limiter.js'
import { createMemoryLimiterStore } from '../resilience/memory-limiter-store.js'
import type { Limiter, LimiterStore } from '../resilience/resilience.js'
import type { Clock } from '../time/clock.js'
import { AuthError } from './auth-error.js'
import type { AuthLimits } from './settings.js'

/** What is counted by the address that a request comes from. */
export type IpLimit = 'signIns' | 'refreshes' | 'codes' | 'verifications' | 'anonymous'

/** Keeps guessing slow. Everything here raises AuthError 429 where a limit is reached. */
export interface Limits {
  perIp(limit: IpLimit, ip: string): Promise<void>
  /** Runs an attempt on an account; one that gives false counts as a failure. The account may be one that does not exist. */
  attempt<T>(account: string, work: () => Promise<T | false>): Promise<T | false>
}

const fiveMinutesMs = 300_000
const fifteenMinutesMs = 900_000
const hourMs = 3_600_000

/** Attempts on one account at the same time. Failures count when they end, so that otherwise a burst would count as nothing. */
const maxParallelAttempts = 5
/** Accounts that are remembered as blocked. Beyond it the oldest is let go. */
const maxBlocked = 10_000

const reached = (retryAfterMs: number): AuthError =>
  new AuthError(429, 'over_request_rate_limit', 'Request rate limit reached', {
    retryAfterSeconds: Math.max(1, Math.ceil(retryAfterMs / 1000)),
  })

class AccountGuard {
  readonly #failures: Limiter
  readonly #clock: Clock
  readonly #running = new Map<string, number>()
  readonly #blockedUntilMs = new Map<string, number>()

  constructor(failures: Limiter, clock: Clock) {
    this.#failures = failures
    this.#clock = clock
  }

  async attempt<T>(account: string, work: () => Promise<T | false>): Promise<T | false> {
    this.#enter(account)
    try {
      const result = await work()
      if (result === false) await this.#fail(account)
      return result
    } finally {
      this.#leave(account)
    }
  }

  #enter(account: string): void {
    const untilMs = this.#blockedUntilMs.get(account)
    const nowMs = this.#clock.monotonicMs()
    if (untilMs !== undefined && untilMs > nowMs) throw reached(untilMs - nowMs)
    this.#blockedUntilMs.delete(account)
    const running = this.#running.get(account) ?? 0
    if (running >= maxParallelAttempts) throw reached(1000)
    this.#running.set(account, running + 1)
  }

  #leave(account: string): void {
    const running = this.#running.get(account) ?? 1
    if (running > 1) this.#running.set(account, running - 1)
    else this.#running.delete(account)
  }

  async #fail(account: string): Promise<void> {
    const { allowed, remaining, retryAfterMs } = await this.#failures.take(account)
    if (allowed && remaining > 0) return
    const pauseMs = retryAfterMs > 0 ? retryAfterMs : this.#failures.rule.windowMs
    this.#blockedUntilMs.set(account, this.#clock.monotonicMs() + pauseMs)
    const [oldest] = this.#blockedUntilMs.size > maxBlocked ? this.#blockedUntilMs.keys() : []
    if (oldest !== undefined) this.#blockedUntilMs.delete(oldest)
  }
}

export interface LimitsOptions {
  readonly limits: AuthLimits
  readonly clock: Clock
  /** Where calls are counted. Default: in this process. */
  readonly store?: LimiterStore
}

export const createLimits = ({ limits, clock, store = createMemoryLimiterStore({ clock }) }: LimitsOptions): Limits => {
  const limiter = (name: string, limit: number, windowMs: number): Limiter =>
    createLimiter({ name: `auth:${name}`, limit, windowMs, store, clock })
  const byIp: Readonly<Record<IpLimit, Limiter>> = {
    signIns: limiter('sign-ins', limits.signInsPerIp, fiveMinutesMs),
    refreshes: limiter('refreshes', limits.refreshesPerIp, fiveMinutesMs),
    codes: limiter('codes', limits.codesPerIp, fiveMinutesMs),
    verifications: limiter('verifications', limits.verificationsPerIp, fiveMinutesMs),
    anonymous: limiter('anonymous', limits.anonymousPerIp, hourMs),
  }
  const accounts = new AccountGuard(limiter('failures', limits.failuresPerAccount, fifteenMinutesMs), clock)
  return {
    perIp: async (limit, ip) => {
      const { allowed, retryAfterMs } = await byIp[limit].take(ip)
      if (!allowed) throw reached(retryAfterMs)
    },
    attempt: (account, work) => accounts.attempt(account, work),
  }
}
