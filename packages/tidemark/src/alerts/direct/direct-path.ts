import { isTidemarkError, reasonOf } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import { fullJitter } from '../../resilience/backoff.js'
import type { Clock } from '../../time/clock.js'
import { type AlertSignal, begun, type Notice } from '../alerts.js'
import { fingerprintOf } from '../fingerprint.js'
import type { Dispatcher, GuardedChannel } from '../notify/dispatcher.js'
import { noticeKeys } from '../notify/keys.js'
import { isGrave } from '../notify/outcome.js'
import type { Routes } from '../notify/routes.js'

/** Settles among nodes who tells of a condition: gives the id under which it is told, another's where that came first. */
export type ClaimTelling = (fingerprint: string, alertId: string) => Promise<string>

export interface DirectPathOptions {
  readonly channels: readonly GuardedChannel[]
  readonly routes: Routes
  readonly dispatcher: Pick<Dispatcher, 'sendNow'>
  readonly claim: ClaimTelling
  /** Keeps who was told. */
  readonly onTold: (signal: AlertSignal) => Promise<void>
  readonly clock: Clock
  readonly log: Logger
  readonly random?: () => number
}

interface Telling {
  readonly id: string
  readonly told: Set<string>
}

const attempts = 6
const pause = { baseMs: 500, maxMs: 30_000 }

/** Tells of grave trouble while Postgres cannot keep it, each condition once. What is less grave, and every end, waits until it can. */
export class DirectPath {
  readonly #options: DirectPathOptions
  readonly #tellings = new Map<string, Telling>()
  readonly #stopping = new AbortController()
  readonly #underWay = new Set<Promise<void>>()

  constructor(options: DirectPathOptions) {
    this.#options = options
  }

  tell(signal: AlertSignal): void {
    const fingerprint = fingerprintOf(signal)
    if (signal.kind === 'resolve') {
      this.#tellings.delete(fingerprint)
      return
    }
    if (!isGrave(signal.severity) || this.#tellings.has(fingerprint)) return
    const work = this.#tell(signal, fingerprint).catch((error: unknown) =>
      this.#options.log.error('an alert could not be told', { alertType: signal.alertType, reason: reasonOf(error) }),
    )
    this.#underWay.add(work)
    void work.finally(() => this.#underWay.delete(work))
  }

  /** Postgres keeps everything again: what is told from now on is told from there. */
  forget(): void {
    this.#tellings.clear()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#underWay)
  }

  async #tell(signal: AlertSignal, fingerprint: string): Promise<void> {
    const { routes, claim, channels, clock, onTold } = this.#options
    const telling: Telling = { id: signal.id, told: new Set() }
    this.#tellings.set(fingerprint, telling)
    const id = await claim(fingerprint, signal.id)
    if (id !== signal.id) {
      // Another node tells. When this one says again that it goes on, it asks again.
      this.#tellings.delete(fingerprint)
      await onTold({ ...signal, proposedId: id })
      return
    }
    const alert = begun(signal, id, fingerprint)
    const notice: Notice = {
      idempotencyKey: noticeKeys.firing(alert),
      groupKey: 'direct',
      sentAtMs: clock.now(),
      items: [{ kind: 'firing', alert }],
    }
    const wanted = new Set(routes.of(alert).channels)
    const reached = channels.filter(({ channel, isHint }) => !isHint && wanted.has(channel.name))
    await Promise.all(
      reached.map(async (guarded) => {
        const name = await this.#sendTo(guarded, notice)
        if (name === undefined) return
        telling.told.add(name)
        await onTold({ ...signal, proposedId: id, told: [...telling.told] })
      }),
    )
  }

  /** Gives the channel that took it. */
  async #sendTo({ channel, fallback }: GuardedChannel, notice: Notice): Promise<string | undefined> {
    const { dispatcher, clock, log, random = Math.random } = this.#options
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      try {
        await dispatcher.sendNow(channel.name, notice)
        return channel.name
      } catch (error) {
        log.warn('a notice did not reach its channel', { channel: channel.name, attempt, reason: reasonOf(error) })
        const isFinal = isTidemarkError(error) && !error.retryable
        if ((isFinal || attempt === 3) && fallback !== undefined) {
          const isSent = await dispatcher.sendNow(fallback, notice).then(
            () => true,
            () => false,
          )
          if (isSent) return fallback
        }
        if (isFinal || attempt === attempts) return undefined
        const waited = clock.sleep(fullJitter(attempt, { ...pause, random }), this.#stopping.signal)
        if (
          await waited.then(
            () => false,
            () => true,
          )
        )
          return undefined
      }
    }
    return undefined
  }
}
