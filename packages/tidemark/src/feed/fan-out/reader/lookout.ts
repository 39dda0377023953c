import { isTidemarkError, reasonOf } from '../../../errors.js'
import type { FeedSources } from '../fan-out.js'
import type { FanOutSettings } from '../fan-out-settings.js'
import type { Taken } from './stint.js'
import type { Heard, Watch } from './watch.js'

/** What a node that does not read waits for. */
export type Turn =
  /** It has the lease now. */
  | { readonly due: 'reading'; readonly taken: Taken }
  /** A reader is heard. */
  | { readonly due: 'tailing' }
  /** Redis is silent. */
  | { readonly due: 'apart' }

export interface LookoutOptions {
  readonly sources: FeedSources
  readonly watch: Watch
  readonly settings: FanOutSettings
  /** From 0 up to 1. */
  readonly random?: () => number
}

const looksPerSilence = 5
/** Several nodes that heard the same silence do not rise at once. */
const jitterMs = 50
/** One node after the other takes over what none can publish, more slowly each time. */
const forgetMs = 60_000
const largestPatience = 64

/** Takes the lease, by force where its holder is silent (S7). */
export class Lookout {
  readonly #options: LookoutOptions
  #takeovers: number[] = []
  #askedAt = -Infinity
  #refusal: string | null = null

  constructor(options: LookoutOptions) {
    this.#options = options
  }

  /** Why this node could not read when it last tried to; null where it could, or another does. */
  get refusal(): string | null {
    return this.#refusal
  }

  /** The lease, where it is to be had without force; undefined where another process has it. Raises what keeps this node from reading. */
  async take(): Promise<Taken | undefined> {
    const source = this.#options.sources.reader()
    this.#refusal = null
    try {
      return { source, base: await source.open() }
    } catch (error) {
      await source.stop().catch(() => undefined)
      if (isTidemarkError(error, 'TM_FEED_SLOT_BUSY')) return undefined
      this.#refusal = reasonOf(error)
      throw error
    }
  }

  /** Resolves with the role that is due next; undefined once the signal is aborted. `tails`: whether this node tails a stream now. */
  async wait(tails: boolean, freshForMs: () => number, signal: AbortSignal): Promise<Turn | undefined> {
    const { settings, watch } = this.#options
    const { maxSilenceMs, clock } = settings
    while (!signal.aborted) {
      await clock.sleep(maxSilenceMs / looksPerSilence, signal).catch(() => undefined)
      if (signal.aborted) return undefined
      const heard = await watch.listen()
      if (!tails && heard.alive) return { due: 'tailing' }
      if (tails && heard.deafMs > maxSilenceMs) return { due: 'apart' }
      const taken = await this.#tryTake(heard, freshForMs(), signal)
      if (taken) return { due: 'reading', taken }
    }
    return undefined
  }

  async #tryTake(heard: Heard, staleMs: number, signal: AbortSignal): Promise<Taken | undefined> {
    const { sources, settings } = this.#options
    try {
      const hears = heard.deafMs < settings.maxSilenceMs / 2
      const silent = hears && heard.silentMs > this.#patienceMs()
      if (!heard.bye && !silent && !this.#mayAsk(staleMs)) return undefined
      const holder = await sources.lease.holder()
      if (holder.state !== 'held') return await this.take()
      if (!silent || !(await this.#isStillSilent(signal))) return undefined
      this.#takeovers.push(settings.clock.monotonicMs())
      settings.log.warn('the reader of the feed is silent; taking over', {
        pid: holder.pid,
        silentMs: Math.round(heard.silentMs),
      })
      await sources.lease.takeOver(holder.pid)
      return await this.take()
    } catch (error) {
      settings.log.debug('the lease of the feed cannot be had', { reason: reasonOf(error) })
      return undefined
    }
  }

  /** A lease that nobody holds is looked for only while nothing proves that somebody does, and not at every look. */
  #mayAsk(staleMs: number): boolean {
    const { clock, maxSilenceMs } = this.#options.settings
    const now = clock.monotonicMs()
    if (staleMs <= maxSilenceMs || now - this.#askedAt < maxSilenceMs) return false
    this.#askedAt = now
    return true
  }

  async #isStillSilent(signal: AbortSignal): Promise<boolean> {
    const { settings, watch, random = Math.random } = this.#options
    await settings.clock.sleep(random() * jitterMs, signal).catch(() => undefined)
    const { silentMs, deafMs } = await watch.listen()
    return !signal.aborted && deafMs < settings.maxSilenceMs / 2 && silentMs > this.#patienceMs()
  }

  #patienceMs(): number {
    const { clock, maxSilenceMs } = this.#options.settings
    const now = clock.monotonicMs()
    this.#takeovers = this.#takeovers.filter((at) => now - at < forgetMs)
    return maxSilenceMs * Math.min(2 ** this.#takeovers.length, largestPatience)
  }
}
