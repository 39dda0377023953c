import { isTidemarkError, reasonOf, TidemarkError } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import { fullJitter } from '../../resilience/backoff.js'
import type { Breaker } from '../../resilience/resilience.js'
import { retryAfterMsOf } from '../../resilience/retry.js'
import type { Clock } from '../../time/clock.js'
import { type Lane, planLanes } from './lanes.js'
import { type RelayMessage, type RelayQueue, type RelayTarget, relayGapEvent } from './relay.js'
import { gapMessage } from './relay-rules.js'

export interface SenderOptions {
  readonly queue: RelayQueue
  readonly target: RelayTarget
  readonly breaker: Breaker
  readonly lanes: number
  readonly slowMs: number
  readonly pollMs: number
  readonly clock: Clock
  readonly log: Logger
  readonly random: () => number
  readonly onSent: (messages: readonly RelayMessage[]) => void
  readonly onRefused: (message: RelayMessage) => void
  readonly onFailed: (reason: string) => void
}

/** What is looked at in one round, and how long one takes: not so long that another process takes the lease. */
const roundMessages = 200
const roundMs = 10_000
const backoff = { baseMs: 250, maxMs: 30_000 }
/** While the breaker is open it is asked again no later than this. */
const longestWaitMs = 5_000

/** Sends what waits, round after round. A failed batch stays where it is, and with it everything later on its channels. */
export class Sender {
  readonly #options: SenderOptions
  #failures = 0
  #wake = (): void => {}
  #isWoken = false

  constructor(options: SenderOptions) {
    this.#options = options
  }

  /** Something waits. */
  wake(): void {
    this.#isWoken = true
    this.#wake()
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#isWoken = false
      const waitMs = await this.#round(signal).catch((error: unknown) => this.#failed(error))
      if (waitMs > 0) await this.#wait(waitMs, signal)
    }
  }

  /** Until the time is over; where nothing failed also until something comes. */
  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const waiting = new AbortController()
    const end = (): void => waiting.abort()
    signal.addEventListener('abort', end, { once: true })
    if (this.#failures === 0) this.#wake = end
    if (signal.aborted || (this.#failures === 0 && this.#isWoken)) end()
    await clock.sleep(ms, waiting.signal).catch(() => undefined)
    signal.removeEventListener('abort', end)
    this.#wake = () => {}
  }

  #failed(error: unknown): number {
    const { onFailed, log, random } = this.#options
    this.#failures += 1
    const waitMs = Math.max(fullJitter(this.#failures, { ...backoff, random }), retryAfterMsOf(error), 1)
    if (isTidemarkError(error, 'TM_RESILIENCE_BREAKER_OPEN')) return Math.min(waitMs, longestWaitMs)
    onFailed(reasonOf(error))
    log.warn('the relay could not send; it tries again', { failures: this.#failures, waitMs, err: error })
    return waitMs
  }

  /** How long to wait for the next round; 0 where there is more. */
  async #round(signal: AbortSignal): Promise<number> {
    const { queue, target, clock, lanes, pollMs } = this.#options
    const waiting = await queue.peek(roundMessages)
    if (waiting.length === 0) {
      this.#failures = 0
      return (await this.#tellGaps()) ? 0 : pollMs
    }
    const sendable = await this.#sortOut(waiting)
    const endsAt = clock.monotonicMs() + roundMs
    const plan = planLanes(sendable, lanes, target.maxBatch)
    const outcomes = await Promise.allSettled(plan.map((lane) => this.#sendLane(lane, endsAt, signal)))
    const failure = outcomes.find((outcome) => outcome.status === 'rejected')
    if (signal.aborted) return 0
    if (failure) throw failure.reason
    this.#failures = 0
    await this.#tellGaps()
    return 0
  }

  /** Channels on which something gave way hear of it, once the target takes things again. */
  async #tellGaps(): Promise<boolean> {
    const { queue, clock } = this.#options
    const channels = queue.takeGaps()
    if (channels.length === 0) return false
    await queue.add(channels.map((channel) => gapMessage(channel, 'dropped', `dropped-${clock.now()}-${this.#options.random()}`)))
    return true
  }

  /** Takes out what the target never takes. */
  async #sortOut(waiting: readonly RelayMessage[]): Promise<readonly RelayMessage[]> {
    const { target } = this.#options
    const sendable: RelayMessage[] = []
    for (const message of waiting) {
      const bytes = Buffer.byteLength(JSON.stringify({ ...message.data, event_id: message.id }))
      const reason = target.refuses(message) ?? (bytes > target.maxDataBytes ? 'its data is too large' : undefined)
      if (reason === undefined) sendable.push(message)
      else await this.#refuse(message, reason)
    }
    return sendable
  }

  async #refuse(message: RelayMessage, reason: string): Promise<void> {
    const { queue, target, log, onRefused } = this.#options
    const { channel, event, id } = message
    log.warn('the relay leaves out what the target never takes', { target: target.name, event, reason })
    // A channel that is refused itself cannot be told of it.
    if (event !== relayGapEvent && target.refuses(gapMessage(channel, 'refused', id)) === undefined)
      await queue.add([gapMessage(channel, 'refused', `${event}-${id}`)])
    await queue.done([message])
    onRefused(message)
  }

  async #sendLane(lane: Lane, endsAt: number, signal: AbortSignal): Promise<void> {
    for (const batch of lane) {
      if (signal.aborted || this.#options.clock.monotonicMs() >= endsAt) return
      await this.#sendBatch(batch, signal)
    }
  }

  async #sendBatch(batch: readonly RelayMessage[], signal: AbortSignal): Promise<void> {
    try {
      await this.#send(batch, signal)
    } catch (error) {
      if (!isTidemarkError(error, 'TM_REALTIME_RELAY_REFUSED')) throw error
      // One of them is at fault: it is found by sending each alone.
      if (batch.length > 1) for (const message of batch) await this.#sendBatch([message], signal)
      else await this.#refuse(batch[0]!, error.message)
      return
    }
    await this.#options.queue.done(batch)
    this.#options.onSent(batch)
  }

  /** A target that takes everything, and too long for it, is sick as well (R60): the breaker hears of it, the messages are sent. */
  async #send(batch: readonly RelayMessage[], signal: AbortSignal): Promise<void> {
    const { breaker, target, clock, slowMs } = this.#options
    const call = async (callSignal: AbortSignal): Promise<void> => {
      const startedAt = clock.monotonicMs()
      await target.send(batch, callSignal)
      const tookMs = Math.round(clock.monotonicMs() - startedAt)
      if (tookMs > slowMs) throw new TidemarkError('TM_REALTIME_RELAY_SLOW', { target: target.name, tookMs, slowMs })
    }
    await breaker.run(call, { signal }).catch((error: unknown) => {
      if (!isTidemarkError(error, 'TM_REALTIME_RELAY_SLOW')) throw error
    })
  }
}
