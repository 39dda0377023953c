import type { TidemarkConfig } from '../config/config.js'
import type { Logger } from '../observability/observability.js'
import type { Pool } from '../postgres/postgres.js'
import type { LimiterStore } from '../resilience/resilience.js'
import type { State } from '../state/state.js'
import { type Clock, systemClock } from '../time/clock.js'
import type { AuthContext } from './auth-context.js'
import { cleanUp } from './clean-up.js'
import { developmentSender } from './codes/code-file.js'
import type { Keyring } from './keys/keyring.js'
import { createLimits } from './limits.js'
import { createPasswords, type PasswordsOptions } from './passwords/passwords.js'
import { authSettingsOf } from './settings.js'
import { createShare } from './share.js'

export interface OpenAuthOptions {
  readonly config: TidemarkConfig
  readonly state: State
  readonly log: Logger
  /** Under the owner of the tables of auth; the caller stops it. */
  readonly pool: Pool
  readonly keyring: Keyring
  /** The address that the server listens on. */
  readonly url: string
  /** Whether its Postgres is the embedded one. */
  readonly embedded: boolean
  readonly limiterStore?: LimiterStore
  readonly passwords?: PasswordsOptions
  readonly clock?: Clock
}

/** Users and sessions of one project, as one process serves them. */
export interface Auth {
  readonly context: AuthContext
  /** Ends what it does by itself. */
  stop(): Promise<void>
}

const firstCleanUpMs = 60_000
const cleanUpEveryMs = 3_600_000

/** Tidies up every hour until it is told to stop. */
const keepClean = (pool: Pool, log: Logger, clock: Clock) => {
  const controller = new AbortController()
  const run = async (): Promise<void> => {
    let pauseMs = firstCleanUpMs
    for (;;) {
      await clock.sleep(pauseMs, controller.signal)
      await cleanUp(pool, new Date(clock.now())).catch((err: unknown) => log.warn('old rows of auth stay for now', { err }))
      pauseMs = cleanUpEveryMs
    }
  }
  const running = run().catch(() => undefined)
  return async (): Promise<void> => {
    controller.abort()
    await running
  }
}

/** Opens `/auth/v1` of a project, without a door to it yet. */
export const openAuth = (options: OpenAuthOptions): Auth => {
  const { config, state, log, pool, keyring, url, embedded, limiterStore, clock = systemClock } = options
  const now = () => new Date(clock.now())
  const settings = authSettingsOf(config, { url, embedded, developmentSender: developmentSender(state, now) })
  const context: AuthContext = {
    pool,
    keyring,
    settings,
    passwords: createPasswords(options.passwords),
    limits: createLimits({ limits: settings.limits, clock, ...(limiterStore && { store: limiterStore }) }),
    log,
    share: createShare(),
    now,
  }
  return { context, stop: keepClean(pool, log, clock) }
}
