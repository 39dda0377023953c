import { TidemarkError } from '../errors.js'
import { type Clock, systemClock } from '../time/clock.js'
import { positive, positiveInteger } from './checks.js'
import type { LimitDecision, Limiter, LimiterCounts, LimiterStore, LimitRequest, LimitRule, WholeRule } from './limiter/limits.js'
import { createMemoryLimiterStore } from './limiter/memory-limiter-store.js'

export interface LimiterOptions extends Partial<LimitRule> {
  /** Names the limit, in errors and as the first part of its keys: `<service>:<endpoint>`. */
  readonly name: string
  /** Several rules at once instead: a call has to fit into each. */
  readonly rules?: readonly LimitRule[]
  /** Where calls are counted. Default: in this process. */
  readonly store?: LimiterStore
  readonly clock?: Clock
}

const wholeRule = ({ limit, windowMs, algorithm = 'log', burst, whenAway = 'local' }: LimitRule): WholeRule => {
  positiveInteger({ limit })
  positive({ windowMs })
  const whole = { limit, windowMs, algorithm, whenAway, burst: burst ?? Math.max(1, Math.floor(limit / 10)) }
  positiveInteger({ burst: whole.burst })
  return whole
}

/** What can be admitted at once. */
const most = ({ algorithm, limit, burst }: WholeRule): number => (algorithm === 'gcra' ? burst : limit)

/** Of several: what refuses longest, else what is nearest to its end. */
const decisive = (decisions: readonly LimitDecision[]): LimitDecision =>
  decisions.reduce((a, b) => {
    if (a.allowed !== b.allowed) return a.allowed ? b : a
    if (!a.allowed) return b.retryAfterMs > a.retryAfterMs ? b : a
    return b.remaining / b.limit < a.remaining / a.limit ? b : a
  })

interface Asked {
  readonly store: LimiterStore
  readonly request: LimitRequest
}

/** All or none: what one rule took while another refused is given back. */
const takeTogether = async (asked: readonly Asked[]): Promise<LimitDecision> => {
  const taken = await Promise.all(asked.map(({ store, request }) => store.take(request)))
  const decision = decisive(taken)
  if (decision.allowed) return decision
  const back = asked.map(({ store, request }, at) => (taken[at]!.allowed ? store.giveBack(request, taken[at]!) : undefined))
  // What could not be given back goes with its window.
  await Promise.allSettled(back)
  return decision
}

class RuledLimiter implements Limiter {
  readonly name: string
  readonly rule: WholeRule
  readonly rules: readonly WholeRule[]
  readonly counts: LimiterCounts & Record<string, number> = { allowed: 0, refused: 0, remembered: 0, local: 0, open: 0 }
  readonly #store: LimiterStore
  readonly #most: number

  constructor({ name, rules, store, clock = systemClock, limit = 100, windowMs = 3_600_000, ...rule }: LimiterOptions) {
    this.name = name
    this.rules = (rules ?? [{ ...rule, limit, windowMs }]).map(wholeRule)
    const [first] = this.rules
    if (!first)
      throw new TidemarkError('TM_RESILIENCE_BAD_OPTION', { option: 'rules', value: '[]', expected: 'one rule or more' })
    this.rule = first
    this.#most = Math.min(...this.rules.map(most))
    this.#store = store ?? createMemoryLimiterStore({ clock })
  }

  #request(key: string, cost: number, rule: WholeRule): LimitRequest {
    positiveInteger({ cost })
    if (cost > this.#most) {
      const expected = `at most what the limit admits at once, ${this.#most}`
      throw new TidemarkError('TM_RESILIENCE_BAD_OPTION', { option: 'cost', value: cost, expected })
    }
    return { key: `${this.name}:${key}`, rule, cost }
  }

  /** What a decision asks the store. The first rule has the documented key; each other one a companion. */
  asked(key: string, cost: number): readonly Asked[] {
    return this.rules.map((rule, at) => ({
      store: this.#store,
      request: { ...this.#request(key, cost, rule), ...(at > 0 && { variant: `${rule.limit}/${rule.windowMs}` }) },
    }))
  }

  count(decision: LimitDecision): LimitDecision {
    const counts: Record<string, number> = this.counts
    counts[decision.allowed ? 'allowed' : 'refused']! += 1
    if (decision.by !== 'counted') counts[decision.by]! += 1
    return decision
  }

  async take(key: string, cost = 1): Promise<LimitDecision> {
    // The usual case: there is nothing to compare and nothing to give back.
    if (this.rules.length === 1) return this.count(await this.#store.take(this.#request(key, cost, this.rule)))
    return this.count(await takeTogether(this.asked(key, cost)))
  }

  async enforce(key: string, cost = 1): Promise<LimitDecision> {
    const decision = await this.take(key, cost)
    if (decision.allowed) return decision
    const { limit, windowMs } = decision
    const retryAfterMs = Math.ceil(decision.retryAfterMs)
    throw new TidemarkError('TM_RESILIENCE_RATE_LIMITED', { limit, windowMs, name: this.name, retryAfterMs })
  }
}

/** Makes a limiter. Raises TM_RESILIENCE_BAD_OPTION. */
export const createLimiter = (options: LimiterOptions): Limiter => new RuledLimiter(options)

/** One decision of several limiters, each for its own key: all of them count the call, or none does. */
export const takeAll = async (
  parts: readonly { readonly limiter: Limiter; readonly key: string; readonly cost?: number }[],
): Promise<LimitDecision> => {
  const limiters = parts.map(({ limiter }) => limiter as RuledLimiter)
  const decision = await takeTogether(parts.flatMap(({ key, cost = 1 }, at) => limiters[at]!.asked(key, cost)))
  for (const limiter of limiters) limiter.count(decision)
  return decision
}
