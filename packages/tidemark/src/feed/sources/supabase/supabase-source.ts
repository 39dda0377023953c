import { randomBytes } from 'node:crypto'
import { reasonOf } from '../../../errors.js'
import { type Logger, silentLogger } from '../../../observability/observability.js'
import { exponential } from '../../../resilience/backoff.js'
import { type Clock, systemClock } from '../../../time/clock.js'
import type { FeedEvent, SourceLag } from '../../feed.js'
import { createEventQueue, type EventQueue } from './event-queue.js'
import { type ClientParts, loadClient } from './load-client.js'
import { createRealtimeReader } from './realtime-change.js'
import { runSession, type SessionOptions } from './realtime-session.js'
import type { SupabaseSource, SupabaseSourceOptions } from './supabase.js'

interface Settings extends SessionOptions {
  readonly reconcileEveryMs: number
  readonly maxQueuedChanges: number
  readonly loadPackage: (name: string) => Promise<unknown>
  readonly clock: Clock
  readonly log: Logger
}

/** What one consumer is given: changes with numbers of our own, and gaps. */
class Subscription {
  readonly epoch: string
  readonly #queue: EventQueue
  readonly #reader = createRealtimeReader()
  readonly #log: Logger
  #number = 0n
  #begun = false
  /** Changes are told since the last gap, or might be. */
  #listening = false

  constructor(queue: EventQueue, log: Logger) {
    this.epoch = `supabase-${randomBytes(8).toString('hex')}`
    this.#queue = queue
    this.#log = log
  }

  get hasBegun(): boolean {
    return this.#begun
  }

  gap(): void {
    const reset: FeedEvent = {
      type: 'reset',
      epoch: this.epoch,
      reason: this.#begun ? 'gap' : 'start',
      position: { epoch: this.epoch, number: this.#number },
    }
    this.#begun = true
    if (this.#queue.push(reset)) return
    // Whoever fetches anew needs nothing of what waited.
    this.#queue.clear()
    this.#queue.push(reset)
  }

  subscribed(): void {
    this.#listening = true
    this.gap()
  }

  /** Whether it was listening until now. */
  lost(): boolean {
    const was = this.#listening
    this.#listening = false
    if (was) this.gap()
    return was
  }

  changed(data: string): void {
    try {
      const { change, committedAt } = this.#reader.read(data)
      this.#number += 1n
      const position = { epoch: this.epoch, number: this.#number }
      const rest = { xid: 0n, committedAt, firstOrdinal: 0, changes: [change], last: true } as const
      if (this.#queue.push({ type: 'transaction', position, ...rest })) return
      this.#log.warn('changes of Supabase Realtime were dropped: the followers are too slow')
      this.gap()
    } catch (error) {
      this.#log.warn('a change of Supabase Realtime cannot be read', { reason: reasonOf(error) })
      this.gap()
    }
  }
}

class RealtimeSource implements SupabaseSource {
  readonly kind = 'supabase'
  readonly guarantee = 'atMostOnce'
  readonly #settings: Settings
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** A position of before means nothing here: it begins with a reset in any case. */
  async *events(signal: AbortSignal): AsyncGenerator<FeedEvent> {
    const { maxQueuedChanges, log, loadPackage } = this.#settings
    const parts = await loadClient(loadPackage)
    const ended = new AbortController()
    const until = AbortSignal.any([signal, this.#stopping.signal, ended.signal])
    const queue = createEventQueue(maxQueuedChanges, until)
    const subscription = new Subscription(queue, log)
    const running = Promise.all([this.#stayConnected(parts, subscription, until), this.#reconcile(subscription, until)])
    this.#running.add(running)
    try {
      for (let event = await queue.next(); event; event = await queue.next()) yield event
    } finally {
      ended.abort()
      await running
      this.#running.delete(running)
    }
  }

  async #stayConnected(parts: ClientParts, subscription: Subscription, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#settings
    let failures = 0
    while (!signal.aborted) {
      const reason = await runSession(
        parts,
        this.#settings,
        { subscribed: () => subscription.subscribed(), changed: (data) => subscription.changed(data) },
        signal,
      )
      if (signal.aborted) return
      failures = subscription.lost() ? 1 : failures + 1
      const delayMs = exponential(failures, { baseMs: 250, maxMs: 30_000 })
      log.warn('the subscription to Supabase Realtime ended; it is made again', { reason, delayMs })
      await clock.sleep(delayMs, signal).catch(() => undefined)
    }
  }

  async #reconcile(subscription: Subscription, signal: AbortSignal): Promise<void> {
    const { clock, reconcileEveryMs } = this.#settings
    while (!signal.aborted && reconcileEveryMs !== Infinity) {
      await clock.sleep(reconcileEveryMs, signal).catch(() => undefined)
      if (!signal.aborted && subscription.hasBegun) subscription.gap()
    }
  }

  /** Realtime keeps nothing that could be given again. */
  confirm(): void {}

  async lag(): Promise<SourceLag> {
    return { head: null, confirmed: null, behind: 0, headroomBytes: null }
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#running)
  }
}

const importPackage = (name: string): Promise<unknown> => import(name)

/** Follows tables through Supabase Realtime; see {@link SupabaseSource} for what that does not promise. */
export const createSupabaseSource = (options: SupabaseSourceOptions): SupabaseSource => {
  const { url, key, tables, accessToken, vsn, loadPackage = importPackage, clock = systemClock, log = silentLogger } = options
  const { reconcileEveryMs = 300_000, maxQueuedChanges = 10_000, heartbeatMs = 25_000, timeoutMs = 10_000 } = options
  const session = { url, key, tables, accessToken, vsn, heartbeatMs, timeoutMs }
  return new RealtimeSource({ ...session, reconcileEveryMs, maxQueuedChanges, loadPackage, clock, log })
}
