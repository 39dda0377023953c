import { type Serving, startServing } from '../measuring/start-serving.ts'
import type { WebhookAddresses } from './serving.ts'

/** The process that takes webhooks. `publicKey`: of a provider that signs with one, as base64 of its SPKI. */
export const startWebhooks = (databaseUrl: string, redisUrl: string, publicKey?: string): Promise<Serving<WebhookAddresses>> =>
  startServing('webhooks/serving.ts', {
    WEBHOOKS_BENCH_POSTGRES: databaseUrl,
    WEBHOOKS_BENCH_REDIS: redisUrl,
    ...(publicKey !== undefined && { WEBHOOKS_BENCH_KEY: publicKey }),
  })
