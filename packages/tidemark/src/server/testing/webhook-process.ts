/**
 * A process that takes webhooks, for tests that kill it and its like. Prints the addresses of its two servers, one for each durability;
 * on a line of input it prints how many duplicates it has counted.
 */
import { createInterface } from 'node:readline'
import { startWebhookServer, type WebhookServer } from './use-webhook-server.js'

export interface WebhookProcessOptions {
  readonly databaseUrl: string
  readonly redisUrl: string
}

export interface WebhookProcessAddresses {
  readonly postgres: string
  readonly redis: string
}

const say = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

const duplicatesOf = async ({ metrics }: WebhookServer): Promise<number> =>
  Number(/tidemark_webhook_duplicate_total\{.*?\} (\d+)/.exec(await metrics.render())?.[1] ?? 0)

const options = JSON.parse(process.argv[2] ?? '{}') as WebhookProcessOptions
const postgres = await startWebhookServer({ ...options, durability: 'postgres' })
const redis = await startWebhookServer({ ...options, durability: 'redis' })
say({ postgres: postgres.url, redis: redis.url } satisfies WebhookProcessAddresses)
createInterface({ input: process.stdin }).on('line', async () => {
  say({ postgres: await duplicatesOf(postgres), redis: await duplicatesOf(redis) })
})
