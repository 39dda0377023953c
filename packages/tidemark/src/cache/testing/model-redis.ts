import { sees } from '../load/load-value.js'
import type { FillAnswer, LeaseAnswer, LoadStamp, NewValue, Purge, RedisTier, RedisValue } from '../redis/redis-tier.js'
import type { ModelClock, Step } from './model-clock.js'

/** Rules that a broken tier does not keep. */
export interface BrokenRedis {
  /** Fills are taken without a lease. */
  readonly withoutLease?: boolean
  /** Fills need not have seen what is fenced. */
  readonly withoutFence?: boolean
  /** A purge leaves the leases, and the fences, as they are. */
  readonly purgesValuesOnly?: boolean
  /** A purge leaves the value where it is. */
  readonly purgesLeasesOnly?: boolean
}

interface Kept {
  value?:
    | { readonly value: RedisValue; readonly epoch: string; readonly storedAtMs: number; readonly untilMs: number }
    | undefined
  lease?: { readonly token: string; readonly untilMs: number } | undefined
  readonly fences: Set<string>
}

/** Does in this process what the scripts of the tier do in Redis: each of them in one go, some time after it was sent. */
export class ModelRedis implements RedisTier {
  readonly leaseMs = 10_000
  readonly #step: Step
  readonly #clock: ModelClock
  readonly #broken: BrokenRedis
  readonly #keys = new Map<string, Kept>()
  #tokens = 0

  constructor(step: Step, clock: ModelClock, broken: BrokenRedis = {}) {
    this.#step = step
    this.#clock = clock
    this.#broken = broken
  }

  get(key: string, epoch: string): Promise<RedisValue | undefined> {
    return this.#ask(`get ${key}`, () => this.look(key, epoch))
  }

  getMany(keys: readonly string[], epoch: string): Promise<readonly (RedisValue | undefined)[]> {
    return this.#ask('get many', () => keys.map((key) => this.look(key, epoch)))
  }

  lease(key: string, epoch: string, past?: string): Promise<LeaseAnswer> {
    return this.#ask(`lease ${key}`, () => {
      const kept = this.#kept(key)
      const found = this.look(key, epoch)
      if (found && found.id !== past) return { state: 'found', found }
      if (kept.lease && kept.lease.untilMs > this.#clock.now()) return { state: 'taken' }
      const token = `token ${++this.#tokens}`
      kept.lease = { token, untilMs: this.#clock.now() + this.leaseMs }
      return { state: 'granted', token, fences: this.#broken.withoutFence ? [] : [...kept.fences] }
    })
  }

  fill(key: string, epoch: string, token: string, value: NewValue, stamp: LoadStamp | null): Promise<FillAnswer> {
    return this.#ask(`fill ${key}`, () => {
      const kept = this.#kept(key)
      const holds = kept.lease?.token === token && kept.lease.untilMs > this.#clock.now()
      if (!holds && !this.#broken.withoutLease) return 'refused'
      kept.lease = undefined
      const fences = this.#broken.withoutFence ? [] : [...kept.fences]
      if (fences.length > 0 && (stamp === null || !sees(stamp, fences))) return 'refused'
      kept.value = {
        value: { ageMs: 0, bytes: 8, ...value, id: token },
        epoch,
        storedAtMs: this.#clock.now(),
        untilMs: this.#clock.now() + value.keptForMs,
      }
      return 'stored'
    })
  }

  release(key: string, token: string): Promise<void> {
    return this.#ask(`release ${key}`, () => {
      const kept = this.#kept(key)
      if (kept.lease?.token === token) kept.lease = undefined
    })
  }

  purge(purges: readonly Purge[]): Promise<void> {
    return this.#ask('purge', () => {
      for (const { key, xid } of purges) {
        const kept = this.#kept(key)
        if (!this.#broken.purgesLeasesOnly) kept.value = undefined
        if (this.#broken.purgesValuesOnly) continue
        kept.lease = undefined
        if (xid !== null) kept.fences.add(xid)
      }
    })
  }

  /** What stands there. */
  look(key: string, epoch: string): RedisValue | undefined {
    const value = this.#kept(key).value
    if (!value || value.epoch !== epoch || value.untilMs <= this.#clock.now()) return undefined
    const ageMs = this.#clock.now() - value.storedAtMs
    const { freshForMs, keptForMs } = value.value
    return { ...value.value, ageMs, freshForMs: freshForMs - ageMs, keptForMs: keptForMs - ageMs }
  }

  #kept(key: string): Kept {
    const kept = this.#keys.get(key) ?? { fences: new Set<string>() }
    this.#keys.set(key, kept)
    return kept
  }

  async #ask<T>(what: string, act: () => T): Promise<T> {
    await this.#step(`Redis: ${what}`)
    const answer = act()
    await this.#step('Redis answers')
    return answer
  }
}
