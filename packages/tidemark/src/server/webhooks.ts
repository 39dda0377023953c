import type { TidemarkConfig } from '../config/config.js'
import type { Logger } from '../observability/observability.js'
import { type Intake, openIntake } from '../webhooks/intake/intake.js'
import type { Observation } from './observation.js'
import type { Runtime } from './runtime.js'
import { webhookProviders } from './webhook-providers.js'

/** The webhooks of one process. */
export interface ServerWebhooks {
  readonly intake: Intake
  /** Waits for what is under way, once no more requests come. */
  stop(): Promise<void>
}

export interface ServerWebhooksOptions {
  readonly config: TidemarkConfig
  readonly runtime: Runtime
  readonly observation: Observation
  readonly log: Logger
}

/** Opens what takes webhooks. Raises TM_WEBHOOKS_* for providers without keys, and for a Redis that may drop events. */
export const openServerWebhooks = async ({
  config,
  runtime,
  observation,
  log,
}: ServerWebhooksOptions): Promise<ServerWebhooks> => {
  const { durability, partitions, dedupeTtlMs, bodyTimeoutMs, storeTimeoutMs, maxDepth, failuresPerMinute } = config.webhooks
  const intake = await openIntake({
    providers: webhookProviders(config),
    pool: runtime.pools.primary,
    redis: runtime.redis.redis,
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
  })
  log.info(`taking webhooks of ${intake.providers.join(', ')}`, { durability, partitions })
  return { intake, stop: () => intake.stop() }
}
