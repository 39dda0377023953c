/** Breakers, limits and the metrics of requests, over the server's own connections. */
import type { TidemarkConfig } from '../../config/config.js'
import type { HealthCheck, Logger } from '../../observability/observability.js'
import type { Journal } from '../../resilience/journal/journal.js'
import type { State } from '../../state/state.js'
import { systemClock } from '../../time/clock.js'
import { keepRetention } from '../database/retention.js'
import type { ApiMetrics, ApiMetricsStores, RequestRow } from '../observation/api-metrics.js'
import type { Observation } from '../observation/observation.js'
import type { Runtime } from '../runtime.js'
import type { Resilience } from './open-resilience.js'

export interface ServerResilience {
  readonly resilience: Resilience
  /** From now on requests are written down. */
  attach(metrics: ApiMetrics): void
  stop(): Promise<void>
}

export interface ServerResilienceOptions {
  readonly config: TidemarkConfig
  readonly state: State
  readonly runtime: Runtime
  readonly observation: Observation
  readonly log: Logger
}

const keepEveryMs = 3_600_000
/** Where it did not work: tomorrow's rows can wait in the default partition meanwhile. */
const keepAgainMs = 60_000

const breakersCheck = ({ breakers }: Resilience): HealthCheck => ({
  name: 'breakers',
  critical: false,
  check: () => {
    const open = breakers.list().flatMap((breaker) => {
      const { service, state } = breaker.read()
      return state === 'CLOSED' ? [] : [`${service} is ${state === 'OPEN' ? 'open' : 'half open'}`]
    })
    return open.length === 0 ? { status: 'up' } : { status: 'degraded', detail: open.join(', ') }
  },
})

/** Makes the days of api_metrics that come, and lets go of those that are over. One server does it, whichever comes first. */
const keepPartitions = async ({ config, runtime, log }: ServerResilienceOptions, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    const waitMs = await runtime.pools.primary
      .query<{ gone: number | null }>('select tidemark.keep_api_metrics($1) as gone', [config.metrics.keepDays], { signal })
      .then(({ rows }) => {
        const gone = rows[0]?.gone ?? 0
        if (gone > 0) log.info('days of api_metrics were let go', { days: gone })
        return keepEveryMs
      })
      .catch((err: unknown) => {
        if (!signal.aborted) log.warn('the days of api_metrics could not be looked after', { err })
        return keepAgainMs
      })
    await systemClock.sleep(waitMs, signal).catch(() => undefined)
  }
}

/** Raises TM_STATE_FOLDER_UNUSABLE. */
export const openServerResilience = async (options: ServerResilienceOptions): Promise<ServerResilience> => {
  const { config, state, runtime, observation } = options
  const log = options.log.child('resilience')
  const [{ openResilience }, { openJournal }, { insertRequestRows }, { isValueRefused }, { createLiveCounters }] =
    await Promise.all([
      import('./open-resilience.js'),
      import('../../resilience/journal/open-journal.js'),
      import('../observation/api-metrics.js'),
      import('./breaker-events.js'),
      import('../observation/live-counters.js'),
    ])
  const { primary } = runtime.pools
  const folder = state.path('journal')
  const { prefix } = config.cache
  const resilience = await openResilience({
    redis: runtime.redis.redis,
    pool: primary,
    folder,
    breaker: config.breaker,
    signals: observation.signals,
    metrics: observation.metrics,
    log,
    ...(prefix !== undefined && { prefix }),
  })
  const requests: Journal<RequestRow> | undefined =
    config.metrics.requests && config.metrics.journal
      ? await openJournal<RequestRow>({
          name: 'api-metrics',
          folder,
          log,
          isRefused: isValueRefused,
          write: (entries, signal) =>
            insertRequestRows(
              primary,
              entries.map(({ data }) => data),
              signal,
            ),
        })
      : undefined
  const stopping = new AbortController()
  const keeping = config.metrics.requests ? keepPartitions({ ...options, log }, stopping.signal) : undefined
  const retention = keepRetention({ pool: primary, days: config.retention, log }, stopping.signal)
  const { health } = observation
  const forget = [
    health.register(breakersCheck(resilience)),
    ...[resilience.journal, requests].flatMap((journal) => (journal ? [health.register(journal.healthCheck)] : [])),
    observation.onRefresh(() => resilience.refreshMetrics()),
  ]
  let measured: ApiMetrics | undefined
  const stores: ApiMetricsStores = {
    ...(config.metrics.requests && { pool: primary }),
    ...(requests && { journal: requests }),
    ...(config.metrics.live && {
      counters: createLiveCounters({ redis: runtime.redis.redis, ...(prefix !== undefined && { prefix }) }),
    }),
  }
  return {
    resilience,
    attach: (metrics) => {
      measured = metrics
      metrics.attach(stores)
    },
    stop: async () => {
      for (const each of forget) each()
      stopping.abort()
      await Promise.all([keeping, retention])
      await measured?.stop()
      await requests?.stop()
      await resilience.stop()
    },
  }
}
