import { isTidemarkError, reasonOf } from '../../errors.js'
import type { Logger, Signals } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import { fullJitter } from '../../resilience/backoff.js'
import { createBreaker } from '../../resilience/breaker.js'
import { createLimiter } from '../../resilience/limiter.js'
import type { Breaker, Limiter } from '../../resilience/resilience.js'
import { retryAfterMsOf } from '../../resilience/retry.js'
import type { Clock } from '../../time/clock.js'
import type { Channel, Delivered, Notice } from '../alerts.js'
import type { AlertsMetrics } from '../alerts-metrics.js'
import { type ClaimedBatch, claimDue } from './claim.js'
import { putOff, recordDelivered, recordUndelivered } from './outcome.js'

/** A channel with what guards it. */
export interface GuardedChannel {
  readonly channel: Channel
  /** Who is told where this one does not take it. */
  readonly fallback: string | undefined
  readonly maxPerMinute: number
  readonly timeoutMs: number
  /** It carries hints: it tells nobody by itself, and everything, whatever is silenced. */
  readonly isHint: boolean
}

export interface DispatcherOptions {
  readonly pool: Pick<Pool, 'transaction' | 'query'>
  readonly channels: readonly GuardedChannel[]
  readonly mutes: ReadonlyMap<string, readonly string[]>
  readonly maxAttempts?: number
  readonly signals?: Signals
  readonly metrics: AlertsMetrics
  readonly clock: Clock
  readonly log: Logger
  readonly random?: () => number
}

/** From so many failures on somebody else is told in place of a channel. */
const failuresBeforeFallback = 3

const retry = { baseMs: 1000, maxMs: 300_000 }

interface Guarded extends GuardedChannel {
  readonly breaker: Breaker
  readonly limiter: Limiter
}

const noticeOf = ({ rows, batch, groupKey }: ClaimedBatch, sentAtMs: number): Notice => ({
  idempotencyKey: batch,
  groupKey,
  sentAtMs,
  items: rows.map(({ kind, alert }) => ({ kind, alert })),
})

/** Whether the message, and not the way to the channel, is at fault: another attempt would end the same. */
const isFinal = (error: unknown): boolean =>
  isTidemarkError(error, 'TM_ALERTS_REFUSED') || isTidemarkError(error, 'TM_ALERTS_ADDRESS')

/** Sends what is due: at least once, again after a failure, and to another channel where one does not take it. */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #guarded: ReadonlyMap<string, Guarded>
  readonly #stopping = new AbortController()

  constructor(options: DispatcherOptions) {
    this.#options = options
    const { clock, log, signals } = options
    const guard = (channel: GuardedChannel): Guarded => {
      const service = `alerts:${channel.channel.name}`
      const breaker = createBreaker({
        service,
        clock,
        log,
        ...(signals && !channel.isHint && { signals }),
        // A channel is called too seldom for a rate to say anything.
        failureThreshold: 5,
        windowMs: 120_000,
        recoveryTimeoutMs: 15_000,
      })
      const limiter = createLimiter({ name: service, limit: channel.maxPerMinute, windowMs: 60_000, clock })
      return { ...channel, breaker, limiter }
    }
    this.#guarded = new Map(options.channels.map((channel) => [channel.channel.name, guard(channel)]))
  }

  /** Sends what is due now, and gives how much that was. */
  async dispatch(): Promise<number> {
    const { pool, mutes } = this.#options
    const all = [...this.#guarded.values()]
    const batches = await claimDue(pool, {
      mutes,
      channels: all.map(({ channel }) => channel.name),
      unfiltered: new Set(all.flatMap(({ channel, isHint }) => (isHint ? [channel.name] : []))),
      leaseMs: 2 * Math.max(...all.map(({ timeoutMs }) => timeoutMs)) + 5000,
    })
    // A channel is told one thing after the other; a slow one holds up no other.
    const byChannel = new Map<string, ClaimedBatch[]>()
    for (const batch of batches) byChannel.set(batch.channel, [...(byChannel.get(batch.channel) ?? []), batch])
    await Promise.all([...byChannel.values()].map((queue) => this.#sendAll(queue)))
    return batches.length
  }

  /** Sends one notice by a channel, past everything that is stored: where Postgres is away, and to try it. */
  async sendNow(name: string, notice: Notice): Promise<Delivered> {
    const guarded = this.#guarded.get(name)!
    return this.#through(guarded, notice)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#options.channels.map(({ channel }) => channel.stop?.()))
  }

  async #sendAll(queue: readonly ClaimedBatch[]): Promise<void> {
    for (const batch of queue) {
      if (this.#stopping.signal.aborted) return
      await this.#send(batch, this.#guarded.get(batch.channel)!).catch((error: unknown) =>
        // What became of it could not be written: it is tried again when its time is over, under the same name.
        this.#options.log.warn('what became of a notice is not stored', { channel: batch.channel, reason: reasonOf(error) }),
      )
    }
  }

  async #send(batch: ClaimedBatch, guarded: Guarded): Promise<void> {
    const { pool, clock, metrics } = this.#options
    const name = batch.channel
    const allowed = await guarded.limiter.take('all')
    if (!allowed.allowed) {
      await putOff(pool, batch, 'the channel has had as much as it may within a minute', Math.max(1000, allowed.retryAfterMs))
      return
    }
    try {
      const { providerId } = await this.#through(guarded, noticeOf(batch, clock.now()))
      metrics.delivered(name)
      await recordDelivered(pool, batch, providerId, !guarded.isHint)
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      await this.#failed(batch, guarded, error)
    }
  }

  async #failed(batch: ClaimedBatch, { fallback, isHint }: Guarded, error: unknown): Promise<void> {
    const { pool, log, metrics, maxAttempts = 15, random = Math.random } = this.#options
    const { channel, attempt } = batch
    const isGivenUp = isFinal(error) || attempt >= (isHint ? 3 : maxAttempts)
    const againInMs = Math.max(fullJitter(attempt, { ...retry, random }), retryAfterMsOf(error), 250)
    const instead = isFinal(error) || attempt === failuresBeforeFallback ? fallback : undefined
    metrics.failed(channel)
    log.warn('a notice did not reach its channel', { channel, attempt, isGivenUp, reason: reasonOf(error) })
    await recordUndelivered(pool, batch, {
      reason: reasonOf(error),
      againInMs: isGivenUp ? undefined : againInMs,
      fallback: instead,
    })
  }

  #through({ channel, breaker, timeoutMs }: Guarded, notice: Notice): Promise<Delivered> {
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(timeoutMs)])
    return breaker.run(() => channel.send(notice, signal))
  }
}
