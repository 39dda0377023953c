import { isTidemarkError, reasonOf } from '../../errors.js'
import type { Logger, Signals } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import type { Clock } from '../../time/clock.js'
import type { Background } from './background.js'

export interface PauseOptions {
  readonly pool: Pool
  readonly clock: Clock
  readonly log: Logger
  readonly signals: Signals | undefined
  /** Of the worker. */
  readonly name: string
  readonly ending: AbortSignal
  readonly background: Background
  /** Postgres answers again. */
  resumed(): void
}

const askEveryMs = 500

/** Nothing is begun until Postgres answers again: no event is to blame for it, and none becomes a dead letter. */
export class Pause {
  readonly #options: PauseOptions
  #reason: string | undefined

  constructor(options: PauseOptions) {
    this.#options = options
  }

  /** Undefined while events are handled. */
  get reason(): string | undefined {
    return this.#reason
  }

  begin(reason: string): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    const { log, signals, name, background } = this.#options
    log.warn('events wait: Postgres does not take them', { reason })
    signals?.raise({ name: 'webhooks.paused', subject: name, message: `Events wait: ${reason}` })
    background.add(this.#resume())
  }

  /** Only where it was Postgres that raised it. */
  beginFor(error: unknown): void {
    if (isTidemarkError(error) && error.code.startsWith('TM_POSTGRES_')) this.begin(reasonOf(error))
  }

  async #resume(): Promise<void> {
    const { pool, clock, log, signals, name, ending, resumed } = this.#options
    while (!ending.aborted) {
      await clock.sleep(askEveryMs, ending).catch(() => undefined)
      const answers = await pool.query('select 1').then(
        () => true,
        () => false,
      )
      if (!answers) continue
      this.#reason = undefined
      log.info('events are handled again')
      signals?.raise({ name: 'webhooks.resumed', subject: name, message: 'Events are handled again.' })
      resumed()
      return
    }
  }
}
