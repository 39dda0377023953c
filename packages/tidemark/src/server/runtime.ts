import type { TidemarkConfig } from '../config/config.js'
import type { Logger, Metrics, Signals } from '../observability/observability.js'
import type { Pool, Pools, PoolsOptions } from '../postgres/postgres.js'
import type { State } from '../state/state.js'
import type { Database } from './database/database.js'
import { createPoolObserver } from './database/pool-metrics.js'
import { type OpenedRedis, openRedis } from './open-redis.js'
import type { WhenReachable } from './when-reachable.js'

/** Everything a serving process is connected to. */
export interface Runtime {
  readonly database: Database
  readonly pools: Pools
  /** Of Postgres, such as `18.4`. */
  readonly postgresVersion: string
  /** Of Postgres: how many sessions it allows. */
  readonly maxConnections: number
  readonly redis: OpenedRedis
  /** Lets go of all of it, in the reverse order of opening. */
  stop(): Promise<void>
}

export interface RuntimeOptions {
  readonly config: TidemarkConfig
  readonly state: State
  readonly log: Logger
  readonly metrics: Metrics
  readonly signals: Signals
  /** Being opened; the runtime owns it from now on. */
  readonly database: Promise<Database>
  readonly whenReachable: WhenReachable
}

/**
 * The pools under the least privileged roles: requests as tidemark_app, schema changes as tidemark_migrator. A transaction
 * pooler knows only the logins it was told of, so through one the configured login stays.
 */
const poolsOptions = async (database: Database, { config, log, metrics }: RuntimeOptions): Promise<PoolsOptions> => {
  const { isTransactionPooler } = await import('../postgres/postgres.js')
  const { url, analyticsUrl, secondaryUrl, sslMode, channelBinding, statementTimeoutMs } = config.postgres
  const pooled = url !== undefined && isTransactionPooler(url)
  if (pooled) log.info('requests go through the transaction pooler as the configured login; tidemark_app is not known to it')
  return {
    url: pooled ? url : database.urls.app,
    analyticsUrl: analyticsUrl ?? (pooled ? url : database.urls.app),
    migrationUrl: database.urls.migrator,
    driver: config.postgres.driver,
    pools: config.postgres,
    slowQueryMs: config.postgres.slowQueryMs,
    observer: createPoolObserver(metrics, log.child('postgres')),
    ...(secondaryUrl !== undefined && { secondaryUrl }),
    ...(database.bootstrap.ownsAuth && { authUrl: pooled ? url : database.urls.auth }),
    ...(sslMode !== undefined && { sslMode }),
    ...(channelBinding !== undefined && { channelBinding }),
    ...(statementTimeoutMs !== undefined && { statementTimeoutMs }),
  }
}

/** The secondary database is another system's: this one serves without it, and takes it up when it answers. */
const startPools = async ({ primary, analytics, migration, secondary }: Pools, log: Logger): Promise<void> => {
  const { checkVersion } = await import('../postgres/postgres.js')
  const start = async (pool: Pool): Promise<void> => {
    await pool.start()
    await checkVersion(pool, pool.name)
  }
  if (secondary) void start(secondary).catch((err: unknown) => log.warn('the secondary database is away', { err }))
  await Promise.all([primary, analytics, migration].map(start))
}

type Facts = Pick<Runtime, 'postgresVersion' | 'maxConnections'>

const readFacts = async ({ primary }: Pools): Promise<Facts> => {
  const { rows } = await primary.query<Facts>(
    `select split_part(current_setting('server_version'), ' ', 1) as "postgresVersion",
            current_setting('max_connections')::int as "maxConnections"`,
    [],
    { idempotent: true },
  )
  return rows[0]!
}

const openPools = async (database: Database, options: RuntimeOptions): Promise<readonly [Pools, Facts]> => {
  const { createPools } = await import('../postgres/postgres.js')
  const pools = createPools(await poolsOptions(database, options))
  try {
    await startPools(pools, options.log)
    return [pools, await readFacts(pools)]
  } catch (error) {
    await pools.stop(0)
    throw error
  }
}

const openPostgres = async (options: RuntimeOptions): Promise<readonly [Database, Pools, Facts]> => {
  const database = await options.database
  try {
    return [database, ...(await options.whenReachable(() => openPools(database, options)))]
  } catch (error) {
    await database.stop()
    throw error
  }
}

/** Connects a process to its Postgres and its Redis, starting the embedded ones where none is configured. */
export const openRuntime = async (options: RuntimeOptions): Promise<Runtime> => {
  const [postgres, redis] = await Promise.allSettled([openPostgres(options), openRedis(options)])
  if (postgres.status === 'rejected') {
    if (redis.status === 'fulfilled') await redis.value.stop()
    throw postgres.reason
  }
  const [database, pools, facts] = postgres.value
  if (redis.status === 'rejected') {
    await pools.stop(0)
    await database.stop()
    throw redis.reason
  }
  return {
    database,
    pools,
    ...facts,
    redis: redis.value,
    stop: async () => {
      await redis.value.stop()
      await pools.stop()
      await database.stop()
    },
  }
}
