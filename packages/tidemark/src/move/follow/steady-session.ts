/** A session that is opened anew when it was lost: what fails and passes by itself is waited out, with pauses that grow. */
import { isTidemarkError, reasonOf, type TidemarkError } from '../../errors.js'
import { exponential } from '../../resilience/backoff.js'
import { asMoveError } from '../live/session.js'
import type { FollowOptions } from './follow.js'
import { type FollowSession, openSession } from './follow-session.js'
import type { FollowSettings } from './follow-settings.js'

const pauses = { baseMs: 50, maxMs: 5000 }

/** What is waited out for as long as it takes: the other side is away, or busy. */
const endless: readonly string[] = [
  'TM_POSTGRES_UNREACHABLE',
  'TM_POSTGRES_CONNECTION_LOST',
  'TM_SQLITE_LOCKED',
  'TM_POSTGRES_CONFLICT',
]
/** Of what else may pass by itself, and may not (a full disk, a lock that somebody keeps): how often in a row. */
const patience = 10

const isHopeless = (error: TidemarkError, failures: number): boolean =>
  !error.retryable || (failures >= patience && !endless.includes(error.code))

export class SteadySession {
  readonly #options: FollowOptions
  readonly #settings: FollowSettings
  #session: FollowSession | undefined

  constructor(options: FollowOptions, settings: FollowSettings) {
    this.#options = options
    this.#settings = settings
  }

  /** The session as it stands, where there is one. */
  get current(): FollowSession | undefined {
    return this.#session
  }

  /** Does something over the session, from its beginning again where that may help: it must do no harm twice. */
  async use<T>(signal: AbortSignal, work: (session: FollowSession) => Promise<T>): Promise<T> {
    const { held, target } = this.#options
    const { clock, onEvent } = this.#settings
    for (let failures = 1; ; failures++) {
      signal.throwIfAborted()
      try {
        this.#session ??= await openSession(target, held)
        return await work(this.#session)
      } catch (error) {
        await this.close()
        signal.throwIfAborted()
        const told = asMoveError(error, { path: held.run.path, target })
        if (!isTidemarkError(told) || isHopeless(told, failures)) throw told
        if (failures === 1 || failures % patience === 0)
          onEvent({ type: 'notice', message: `${reasonOf(told)} Following goes on when it can.` })
        await clock.sleep(exponential(failures, pauses), signal)
      }
    }
  }

  async close(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.client.end().catch(() => undefined)
  }
}
