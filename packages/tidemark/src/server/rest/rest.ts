import { isCloud } from '../../auth/open-callers.js'
import type { TidemarkConfig } from '../../config/config.js'
import type { HealthFinding, Logger } from '../../observability/observability.js'
import { within } from '../../postgres/pool/within.js'
import type { Pool } from '../../postgres/postgres.js'
import type { OpenCatalogue, Rest, RestSettings } from '../../rest/rest.js'
import { systemClock } from '../../time/clock.js'
import { callerListenOptions, callerPoolOptions } from '../database/caller-pool.js'
import { createPoolGauges } from '../database/pool-metrics.js'
import type { Observation } from '../observation/observation.js'
import type { Runtime } from '../runtime.js'
import { readVersion } from '../version.js'

/** `/rest/v1` as a server has it: its pool, what it knows of the schema, and what answers. */
export interface ServerRest {
  readonly rest: Rest
  stop(): Promise<void>
}

export interface OpenRestOptions {
  readonly config: TidemarkConfig
  readonly runtime: Runtime
  readonly observation: Observation
  readonly log: Logger
}

/** Whether this server answers `/rest/v1`, where its roles say that it may. */
export const servesRest = (config: TidemarkConfig): boolean => config.rest.enabled && !isCloud(config)

export const restSettingsOf = ({ rest }: TidemarkConfig): RestSettings => {
  const [schema, name] = rest.preRequest?.split('.') ?? []
  return {
    schemas: rest.schemas,
    extraSearchPath: rest.extraSearchPath,
    maxRows: rest.maxRows === 0 ? undefined : rest.maxRows,
    maxBodyBytes: rest.maxBodyBytes,
    aggregates: rest.aggregates,
    plans: rest.plans,
    transactionOverride: rest.transactionOverride,
    root: true,
    preRequest: schema !== undefined && name !== undefined ? { schema, name } : undefined,
    appSettings: new Map(),
    version: readVersion(),
  }
}

const checkCatalogue = (catalogue: OpenCatalogue): HealthFinding => {
  const { generation, failure, changes } = catalogue.state()
  if (generation === 0) return { status: 'down', detail: failure ?? 'the schema is being read' }
  return failure === undefined
    ? { status: 'up' }
    : { status: 'degraded', detail: `the schema is not current (${changes}): ${failure}` }
}

/** Shows how much is known of the schema, and how many connections serve it. */
const measure = ({ observation }: OpenRestOptions, catalogue: OpenCatalogue, pool: Pool): (() => void) => {
  const { metrics } = observation
  const generation = metrics.gauge('tidemark_rest_catalogue_generation_entries', 'Readings of the schema since the start.')
  const duration = metrics.gauge('tidemark_rest_catalogue_read_seconds', 'How long the last reading of the schema took.')
  const showPools = createPoolGauges(metrics)
  return observation.onRefresh(() => {
    const { generation: readings, readMs } = catalogue.state()
    generation.set(readings)
    if (readMs !== undefined) duration.set(readMs / 1000)
    showPools([pool])
  })
}

/** How long a start waits for the schema. Until it is read, requests are answered with PGRST002. */
const readWithinMs = 3_000

/** Opens it: a server that says it is ready knows its schema, unless that cannot be read. */
export const openServerRest = async (options: OpenRestOptions): Promise<ServerRest> => {
  const { config, runtime, observation, log } = options
  const [{ createNamedPool }, { createRest, openCatalogue }] = await Promise.all([
    import('../../postgres/postgres.js'),
    import('../../rest/rest.js'),
  ])
  const pool = createNamedPool('rest', await callerPoolOptions('rest', options))
  const catalogue = openCatalogue({
    pool,
    log,
    schemas: config.rest.schemas,
    extraSearchPath: config.rest.extraSearchPath,
    authenticator: runtime.database.bootstrap.roles.authenticator,
    listen: await callerListenOptions(options),
  })
  observation.health.register({ name: 'rest', critical: false, check: () => checkCatalogue(catalogue) })
  const unmeasure = measure(options, catalogue, pool)
  const opened = Promise.all([pool.start(), catalogue.ready()])
  opened.catch((err: unknown) => log.warn('rest is not ready yet', { err }))
  await within(systemClock, readWithinMs, opened)
  return {
    rest: createRest({ pool, catalogue, settings: restSettingsOf(config), log }),
    stop: async () => {
      unmeasure()
      await catalogue.stop()
      await pool.stop()
    },
  }
}
