import { createMemoryLimiterStore } from '../resilience/limiter/memory-limiter-store.js'
import { networkOf } from '../resilience/limiter/network-of.js'
import { createLimiter } from '../resilience/limiter.js'
import type { Limiter, LimiterStore } from '../resilience/resilience.js'
import type { Clock } from '../time/clock.js'
import { AuthError } from './auth-error.js'
import type { AuthLimits } from './settings.js'

/** What is counted by the address that a request comes from, of IPv6 by its network. */
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

/** Failures count when they end. A part of the limit may be under way at once, so that a burst cannot count as nothing. */
const parallelPart = 0.25
/** Accounts that are remembered. Beyond it the one that was tried longest ago is let go. */
const maxAccounts = 10_000

const reached = (retryAfterMs: number): AuthError =>
  new AuthError(429, 'over_request_rate_limit', 'Request rate limit reached', {
    retryAfterSeconds: Math.max(1, Math.ceil(retryAfterMs / 1000)),
  })

/** What is known of one account. */
interface Account {
  running: number
  /** How many more failures there may be, as of the last one, and until when that is worth anything. */
  remaining: number
  untilMs: number
}

class AccountGuard {
  readonly #failures: Limiter
  readonly #clock: Clock
  readonly #maxParallel: number
  /** In order of last use. */
  readonly #accounts = new Map<string, Account>()

  constructor(failures: Limiter, clock: Clock) {
    this.#failures = failures
    this.#clock = clock
    this.#maxParallel = Math.max(1, Math.floor(failures.rule.limit * parallelPart))
  }

  async attempt<T>(name: string, work: () => Promise<T | false>): Promise<T | false> {
    const account = this.#enter(name)
    try {
      const result = await work()
      if (result === false) await this.#fail(name, account)
      return result
    } finally {
      account.running -= 1
    }
  }

  #enter(name: string): Account {
    const nowMs = this.#clock.monotonicMs()
    const account = this.#accountOf(name)
    if (account.untilMs <= nowMs) account.remaining = this.#failures.rule.limit
    if (account.remaining <= 0) throw reached(account.untilMs - nowMs)
    if (account.running >= Math.min(this.#maxParallel, account.remaining)) throw reached(1000)
    account.running += 1
    return account
  }

  #accountOf(name: string): Account {
    const account = this.#accounts.get(name) ?? { running: 0, remaining: 0, untilMs: 0 }
    this.#accounts.delete(name)
    this.#accounts.set(name, account)
    const [oldest] = this.#accounts.size > maxAccounts ? this.#accounts.keys() : []
    if (oldest !== undefined) this.#accounts.delete(oldest)
    return account
  }

  async #fail(name: string, account: Account): Promise<void> {
    const { allowed, remaining, retryAfterMs, resetMs } = await this.#failures.take(name)
    account.remaining = allowed ? remaining : 0
    const closedMs = retryAfterMs > 0 ? retryAfterMs : this.#failures.rule.windowMs
    account.untilMs = this.#clock.monotonicMs() + (account.remaining > 0 ? resetMs : closedMs)
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
      const { allowed, retryAfterMs } = await byIp[limit].take(networkOf(ip))
      if (!allowed) throw reached(retryAfterMs)
    },
    attempt: (account, work) => accounts.attempt(account, work),
  }
}
