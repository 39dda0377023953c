import { TidemarkError } from '../../errors.js'
import { withTimeout } from '../../resilience/with-timeout.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { sessionUrl } from '../driver/connect.js'
import { parseConnection, type TargetDefaults } from '../driver/connection.js'
import type { Driver } from '../driver/driver.js'
import { neonDriver } from '../driver/neon-driver.js'
import { pgDriver } from '../driver/pg-driver.js'
import { checkVersion } from '../driver/version.js'
import type { Pool, PoolHealth, PoolName, PoolObserver, PoolSize, Pools } from '../postgres.js'
import { createPool, type RetryPolicy } from './pool.js'

export interface PoolSettings extends PoolSize {
  /** How long opening one connection may take. */
  readonly connectTimeoutMs: number
  /** How long a caller waits while all connections are in use. Default: `connectTimeoutMs`, as in node-postgres. */
  readonly acquireTimeoutMs?: number
}

export interface PoolsOptions extends TargetDefaults {
  /** Of the primary pool, and of each other that has none of its own. */
  readonly url: string
  /** Past a transaction pooler, for the migration pool. Default: what the provider's names tell. */
  readonly directUrl?: string
  readonly analyticsUrl?: string
  /** Default: `directUrl`. */
  readonly migrationUrl?: string
  /** There is a secondary pool only where this is given. */
  readonly secondaryUrl?: string
  /** There is a pool of auth only where this is given. */
  readonly authUrl?: string
  /** Default `pg`. The migration pool always is of `pg`: it needs real sessions. */
  readonly driver?: 'pg' | 'neon'
  /** Default {@link defaultPoolSettings}. */
  readonly pools?: Readonly<Partial<Record<PoolName, Partial<PoolSettings>>>>
  /** Postgres ends a statement that runs longer. Default: the server's own setting. */
  readonly statementTimeoutMs?: number
  /** From which duration on a statement is reported as slow. Default 500. */
  readonly slowQueryMs?: number
  /** Of connections that are lost or cannot be made. Default: 4 tries, pauses of up to 50, 100 and 200 ms. */
  readonly retry?: Partial<RetryPolicy>
  readonly observer?: PoolObserver
  readonly clock?: Clock
}

/** The documented sizes (R28, R33, C73). */
export const defaultPoolSettings: Readonly<Record<PoolName, PoolSettings>> = {
  primary: { maxConnections: 20, minConnections: 5, idleTimeoutMs: 30_000, connectTimeoutMs: 2_000 },
  analytics: { maxConnections: 10, minConnections: 2, idleTimeoutMs: 60_000, connectTimeoutMs: 2_000 },
  migration: { maxConnections: 5, minConnections: 1, idleTimeoutMs: 30_000, connectTimeoutMs: 10_000 },
  secondary: { maxConnections: 10, minConnections: 1, idleTimeoutMs: 30_000, connectTimeoutMs: 30_000 },
  auth: { maxConnections: 5, minConnections: 0, idleTimeoutMs: 30_000, connectTimeoutMs: 2_000 },
  rest: { maxConnections: 20, minConnections: 2, idleTimeoutMs: 30_000, connectTimeoutMs: 2_000 },
  realtime: { maxConnections: 4, minConnections: 0, idleTimeoutMs: 30_000, connectTimeoutMs: 2_000 },
}

const defaultRetry: RetryPolicy = { attempts: 4, baseMs: 50, maxMs: 1_000 }
const defaultSlowQueryMs = 500
const healthTimeoutMs = 2_000

/** An option that is given as undefined must not erase a default. */
const withDefaults = <T extends object>(defaults: T, given: Partial<T> | undefined): T => ({
  ...defaults,
  ...Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== undefined)),
})

const resolveSettings = (name: PoolName, options: PoolsOptions): PoolSettings => {
  const settings = withDefaults(defaultPoolSettings[name], options.pools?.[name])
  const { maxConnections, minConnections } = settings
  if (!Number.isInteger(maxConnections) || maxConnections < 1) {
    throw badSize(`postgres.${name}.maxConnections`, maxConnections, 'a whole number above 0')
  }
  if (!Number.isInteger(minConnections) || minConnections < 0 || minConnections > maxConnections) {
    throw badSize(`postgres.${name}.minConnections`, minConnections, `a whole number from 0 to ${maxConnections}`)
  }
  return settings
}

const badSize = (option: string, value: number, expected: string): TidemarkError =>
  new TidemarkError('TM_CONFIG_BAD_VALUE', {
    option,
    value,
    source: 'the options of the pools',
    reason: 'a pool cannot be that large',
    expected,
  })

const resolvePool = (name: PoolName, url: string, driver: Driver, options: PoolsOptions): Pool => {
  const settings = resolveSettings(name, options)
  const target = parseConnection(url, options)
  return createPool({
    ...settings,
    name,
    target,
    driver,
    connectTimeoutMs: target.connectTimeoutMs ?? settings.connectTimeoutMs,
    acquireTimeoutMs: settings.acquireTimeoutMs ?? settings.connectTimeoutMs,
    statementTimeoutMs: options.statementTimeoutMs,
    slowQueryMs: options.slowQueryMs ?? defaultSlowQueryMs,
    retry: withDefaults(defaultRetry, options.retry),
    observer: options.observer ?? {},
    clock: options.clock ?? systemClock,
  })
}

/** One pool apart from the others, on `options.url`. Nothing is connected until `start` or the first query. Raises as {@link createPools}. */
export const createNamedPool = (name: PoolName, options: PoolsOptions): Pool =>
  resolvePool(name, options.url, options.driver === 'neon' ? neonDriver : pgDriver, options)

const healthOf = async (pool: Pool, timeoutMs: number): Promise<PoolHealth> => {
  const startedAt = performance.now()
  const ask = (signal: AbortSignal) => pool.query('select 1', [], { signal, idempotent: true })
  const error = await withTimeout(ask, { timeoutMs, what: `The check of the ${pool.name} pool` }).then(
    () => undefined,
    (failure: unknown) => (failure instanceof TidemarkError ? failure.code : 'TM_INTERNAL'),
  )
  const latencyMs = performance.now() - startedAt
  return { ok: error === undefined, latencyMs, ...(error === undefined ? {} : { error }), stats: pool.stats() }
}

/**
 * The pools of a process. Nothing is connected until `start` or the first query.
 * Raises TM_POSTGRES_URL, TM_CONFIG_BAD_VALUE for a size, and TM_CONFIG_MISSING where `directUrl` is needed.
 */
export const createPools = (options: PoolsOptions): Pools => {
  const driver = options.driver === 'neon' ? neonDriver : pgDriver
  const migrationUrl = options.migrationUrl ?? sessionUrl(options.url, options.directUrl)
  const primary = resolvePool('primary', options.url, driver, options)
  const analytics = resolvePool('analytics', options.analyticsUrl ?? options.url, driver, options)
  const migration = resolvePool('migration', migrationUrl, pgDriver, options)
  const secondary = options.secondaryUrl ? resolvePool('secondary', options.secondaryUrl, pgDriver, options) : undefined
  const auth = options.authUrl ? resolvePool('auth', options.authUrl, driver, options) : undefined
  const all = [primary, analytics, migration, ...(secondary ? [secondary] : []), ...(auth ? [auth] : [])]
  return {
    primary,
    analytics,
    migration,
    ...(secondary && { secondary }),
    ...(auth && { auth }),
    start: async () => {
      await Promise.all(all.map((pool) => pool.start()))
      await Promise.all(all.map((pool) => checkVersion(pool, pool.name)))
    },
    health: async (timeoutMs = healthTimeoutMs) => {
      const answers = await Promise.all(all.map(async (pool) => [pool.name, await healthOf(pool, timeoutMs)] as const))
      return { ok: answers.every(([, health]) => health.ok), pools: Object.fromEntries(answers) }
    },
    stop: async (timeoutMs) => {
      await Promise.all(all.map((pool) => pool.stop(timeoutMs)))
    },
  }
}
