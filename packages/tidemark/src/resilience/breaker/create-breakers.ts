import { TidemarkError } from '../../errors.js'
import { type Logger, type Signals, silentLogger } from '../../observability/observability.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { BreakerOptions } from '../breaker.js'
import type { Breaker } from './breaker.js'
import { newInstance } from './instance.js'
import { ServiceBreaker } from './service-breaker.js'
import type { BreakerRows, SharedCircuits } from './shared-circuits.js'

export interface BreakersOptions {
  /** Where circuits are shared. Default: each process has its own. */
  readonly shared?: SharedCircuits
  /** Where transitions are kept. Default: nowhere. */
  readonly rows?: BreakerRows
  /** What was seen is told to others this often, where there is something. Default 250 ms. */
  readonly tellEveryMs?: number
  /** And read this often in any case: word of changes may be lost. Default 1 s. */
  readonly readEveryMs?: number
  /** Names this process. Default: by chance. */
  readonly instance?: string
  readonly signals?: Signals
  readonly log?: Logger
  readonly clock?: Clock
  readonly random?: () => number
}

/** The breakers of one process, which hear of those of other processes. */
export interface Breakers {
  readonly instance: string
  /** The breaker of a service: the same one each time, as it was first asked for. Raises TM_RESILIENCE_BAD_OPTION. */
  breaker(service: string, options?: Omit<BreakerOptions, 'service'>): Breaker
  list(): readonly Breaker[]
  /** What was seen is told now, and what others said taken over. */
  sync(): Promise<void>
  stop(): Promise<void>
}

/** Redis' keys put a service's name between braces; one of its own would move them elsewhere. */
const checkService = (service: string): void => {
  if (service !== '' && service.length <= 200 && !/[{}\p{Cc}]/u.test(service)) return
  const expected = 'a name of up to 200 characters without braces'
  throw new TidemarkError('TM_RESILIENCE_BAD_OPTION', { option: 'service', value: service.slice(0, 200), expected })
}

class ProcessBreakers implements Breakers {
  readonly instance: string
  readonly #options: BreakersOptions
  readonly #clock: Clock
  readonly #log: Logger
  readonly #breakers = new Map<string, ServiceBreaker>()
  readonly #readAt = new Map<ServiceBreaker, number>()
  readonly #stopping = new AbortController()
  readonly #syncing = new Set<Promise<void>>()
  readonly #forget: () => void
  #ticking: Promise<void> | undefined

  constructor(options: BreakersOptions) {
    this.#options = options
    this.instance = options.instance ?? newInstance()
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
    this.#forget = options.shared?.onChange((service) => this.#heard(service)) ?? (() => {})
  }

  breaker(service: string, options: Omit<BreakerOptions, 'service'> = {}): Breaker {
    const known = this.#breakers.get(service)
    if (known) return known
    checkService(service)
    const { shared, rows, signals, random } = this.#options
    const breaker = new ServiceBreaker(
      { ...(signals && { signals }), ...(random && { random }), ...options, service },
      { instance: this.instance, ...(shared && { shared }), ...(rows && { rows }) },
      this.#clock,
      this.#log,
    )
    this.#breakers.set(service, breaker)
    void breaker.seed()
    if (shared) {
      breaker.onUrgent = () => this.#start(breaker)
      this.#start(breaker)
      this.#ticking ??= this.#tick()
    }
    return breaker
  }

  list(): readonly Breaker[] {
    return [...this.#breakers.values()]
  }

  #heard(service: string | undefined): void {
    for (const breaker of this.#breakers.values()) if (service === undefined || breaker.service === service) this.#start(breaker)
  }

  #start(breaker: ServiceBreaker): void {
    if (this.#stopping.signal.aborted) return
    this.#readAt.set(breaker, this.#clock.monotonicMs())
    const syncing = breaker.sync().finally(() => this.#syncing.delete(syncing))
    this.#syncing.add(syncing)
  }

  async #tick(): Promise<void> {
    const { tellEveryMs = 250, readEveryMs = 1_000 } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#clock.sleep(tellEveryMs, signal).catch(() => undefined)
      const nowMs = this.#clock.monotonicMs()
      for (const breaker of this.#breakers.values()) {
        const isDue = nowMs - (this.#readAt.get(breaker) ?? 0) >= readEveryMs
        if (breaker.isDirty || isDue) this.#start(breaker)
      }
    }
  }

  async sync(): Promise<void> {
    await Promise.all([...this.#breakers.values()].map((breaker) => breaker.sync()))
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#forget()
    await this.#ticking
    await Promise.all(this.#syncing)
  }
}

/** Makes the breakers of a process. */
export const createBreakers = (options: BreakersOptions = {}): Breakers => new ProcessBreakers(options)
