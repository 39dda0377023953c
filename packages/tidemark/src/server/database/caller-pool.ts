import type { TidemarkConfig } from '../../config/config.js'
import type { Logger } from '../../observability/observability.js'
import type { ConnectOptions, PoolsOptions } from '../../postgres/postgres.js'
import type { Observation } from '../observation/observation.js'
import type { Runtime } from '../runtime.js'
import { createPoolObserver } from './pool-metrics.js'

export interface CallerPoolOptions {
  readonly config: TidemarkConfig
  readonly runtime: Runtime
  readonly observation: Observation
  readonly log: Logger
}

/**
 * A pool that logs in as the one role that may become those of callers and can do nothing by itself. A transaction pooler knows only
 * the logins it was told of, so through one the configured login stays.
 */
export const callerPoolOptions = async (
  name: 'rest' | 'realtime',
  { config, runtime, observation, log }: CallerPoolOptions,
): Promise<PoolsOptions> => {
  const { isTransactionPooler } = await import('../../postgres/postgres.js')
  const { url, driver, sslMode, channelBinding, statementTimeoutMs, slowQueryMs } = config.postgres
  const pooled = url !== undefined && isTransactionPooler(url)
  return {
    url: pooled ? url : runtime.database.urls.authenticator,
    driver,
    slowQueryMs,
    pools: { [name]: config.postgres[name] },
    observer: createPoolObserver(observation.metrics, log.child('postgres')),
    ...(sslMode !== undefined && { sslMode }),
    ...(channelBinding !== undefined && { channelBinding }),
    ...(statementTimeoutMs !== undefined && { statementTimeoutMs }),
  }
}

/** How a session of its own hears of changes; undefined where only a transaction pooler is known. */
export const callerListenOptions = async ({
  config,
  runtime,
}: Pick<CallerPoolOptions, 'config' | 'runtime'>): Promise<ConnectOptions | undefined> => {
  const { directUrl } = await import('../../postgres/postgres.js')
  const { sslMode, channelBinding } = config.postgres
  const url = directUrl(runtime.database.urls.authenticator)
  if (url === undefined) return undefined
  return { url, ...(sslMode !== undefined && { sslMode }), ...(channelBinding !== undefined && { channelBinding }) }
}
