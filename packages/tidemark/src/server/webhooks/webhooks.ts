import type { TidemarkConfig } from '../../config/config.js'
import type { HealthFinding, Logger } from '../../observability/observability.js'
import { formatDuration } from '../../time/durations.js'
import type { Intake } from '../../webhooks/intake/intake.js'
import { openWebhooks, type Webhooks } from '../../webhooks/open-webhooks.js'
import type { HandlerTable, Workers } from '../../webhooks/workers/workers.js'
import type { Observation } from '../observation/observation.js'
import type { Runtime } from '../runtime.js'
import { webhookProviders } from './webhook-providers.js'

/** The webhooks of one process. */
export interface ServerWebhooks {
  readonly intake: Intake
  readonly webhooks: Webhooks
  /** Waits for what is under way, once no more requests come, and hands over what was not begun. */
  stop(): Promise<void>
}

export interface ServerWebhooksOptions {
  readonly config: TidemarkConfig
  readonly runtime: Runtime
  readonly observation: Observation
  readonly log: Logger
}

/** From how long on a wait is told. */
const longWaitMs = 60_000

const healthOf = ({ state: { paused, backlog, oldestMs, parkedLanes } }: Workers): HealthFinding => {
  const waiting = backlog === 0 ? 'nothing waits' : `${backlog} wait, the oldest for ${formatDuration(oldestMs)}`
  const detail = parkedLanes === 0 ? waiting : `${waiting}; ${parkedLanes} lanes wait for a next attempt`
  if (paused !== undefined) return { status: 'degraded', detail: `Postgres does not take events; ${detail}` }
  return { status: oldestMs > longWaitMs ? 'degraded' : 'up', detail }
}

const settingsOf = ({ webhooks }: TidemarkConfig) => ({
  concurrency: webhooks.concurrency,
  maxAttempts: webhooks.maxRetries,
  retryBaseMs: webhooks.retryBaseMs,
  retryMaxMs: webhooks.retryMaxMs,
  handlerTimeoutMs: webhooks.handlerTimeoutMs,
  unhandled: webhooks.unhandled,
  whenRedisIsDown: webhooks.whenRedisIsDown,
  replayPerSecond: webhooks.replayPerSecond,
})

/** Opens what takes webhooks and what handles them. Raises TM_WEBHOOKS_* for providers without keys, and for a Redis that may drop events. */
export const openServerWebhooks = async ({
  config,
  runtime,
  observation,
  log,
}: ServerWebhooksOptions): Promise<ServerWebhooks> => {
  const { durability, partitions, dedupeTtlMs, bodyTimeoutMs, storeTimeoutMs, maxDepth, failuresPerMinute, on } = config.webhooks
  // Without a handler every event would count as done, those for which another process has one too.
  const handles = config.webhooks.handles ?? Object.keys(on ?? {}).length > 0
  const webhooks = await openWebhooks({
    providers: webhookProviders(config),
    pool: runtime.pools.primary,
    redis: runtime.redis.redis,
    connect: runtime.redis.connect,
    handles,
    workers: settingsOf(config),
    durability,
    partitions,
    dedupeTtlMs,
    bodyTimeoutMs,
    storeTimeoutMs,
    maxDepth,
    failuresPerMinute,
    metrics: observation.metrics,
    signals: observation.signals,
    log,
    ...(on && { on: on as HandlerTable }),
  })
  const { intake, workers } = webhooks
  log.info(`taking webhooks of ${intake.providers.join(', ')}`, { durability, partitions, handles })
  const forget = workers && observation.health.register({ name: 'webhooks', critical: false, check: () => healthOf(workers) })
  return {
    intake,
    webhooks,
    stop: async () => {
      forget?.()
      await webhooks.stop()
    },
  }
}
