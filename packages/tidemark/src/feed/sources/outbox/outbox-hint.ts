import { isTidemarkError, reasonOf } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import { type ConnectOptions, connectPostgres } from '../../../postgres/driver/connect.js'
import { within } from '../../../postgres/pool/within.js'
import { exponential } from '../../../resilience/backoff.js'
import type { Clock } from '../../../time/clock.js'

/** Waits for a notification, or for a while. Notifications are a hint only: whatever is missed is found by the next look. */
export interface OutboxHint {
  /** Resolves at the next notification, or one that came since the last wait, or after `ms`. */
  wait(ms: number, signal: AbortSignal): Promise<void>
  stop(): Promise<void>
}

/** Opens a session that listens, again and again where it is lost; without a target only time passes. */
export const createOutboxHint = (target: ConnectOptions | undefined, clock: Clock, log: Logger): OutboxHint => {
  const ended = new AbortController()
  let notified = false
  let wake = (): void => {}

  const session = async (listen: ConnectOptions): Promise<void> => {
    const client = await connectPostgres({ ...listen, name: 'feed-outbox' })
    const lost = new Promise<void>((resolve) => {
      client.once('end', () => resolve())
      client.on('error', () => resolve())
      ended.signal.addEventListener('abort', () => resolve(), { once: true })
      // It may have ended while the session was made.
      if (ended.signal.aborted) resolve()
    })
    client.on('notification', () => {
      notified = true
      wake()
    })
    try {
      await client.query('listen tidemark_outbox')
      await lost
    } finally {
      await within(clock, 2_000, client.end())
    }
  }

  const keep = async (listen: ConnectOptions): Promise<void> => {
    for (let failures = 1; !ended.signal.aborted; failures += 1) {
      try {
        await session(listen)
        failures = 0
      } catch (error) {
        log.warn('the outbox is polled alone: no session to listen in', { reason: reasonOf(error) })
        if (isTidemarkError(error) && !error.retryable) return
      }
      await clock.sleep(exponential(failures + 1, { baseMs: 250, maxMs: 10_000 }), ended.signal).catch(() => undefined)
    }
  }
  const kept = target ? keep(target) : Promise.resolve()

  return {
    wait: async (ms, signal) => {
      if (!notified) {
        const waiting = new AbortController()
        const both = AbortSignal.any([signal, waiting.signal])
        wake = () => waiting.abort()
        await clock.sleep(ms, both).catch(() => undefined)
        wake = () => {}
      }
      notified = false
      signal.throwIfAborted()
    },
    stop: async () => {
      ended.abort()
      wake()
      await kept
    },
  }
}
