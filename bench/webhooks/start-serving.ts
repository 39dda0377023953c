import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { WebhookAddresses } from './serving.ts'

/** The process that takes webhooks. */
export interface Serving {
  readonly addresses: WebhookAddresses
  stop(): Promise<void>
}

/** `publicKey`: of a provider that signs with one, as base64 of its SPKI. */
export const startServing = async (databaseUrl: string, redisUrl: string, publicKey?: string): Promise<Serving> => {
  const script = fileURLToPath(new URL('serving.ts', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, ['node_modules/.bin/jiti', script], {
    env: {
      ...process.env,
      WEBHOOKS_BENCH_POSTGRES: databaseUrl,
      WEBHOOKS_BENCH_REDIS: redisUrl,
      ...(publicKey !== undefined && { WEBHOOKS_BENCH_KEY: publicKey }),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  const [said] = (await Promise.race([once(child.stdout!, 'data'), ended])) as [Buffer | number | null]
  if (!Buffer.isBuffer(said)) throw new Error(`the process that serves ended with ${String(said)}`)
  return { addresses: JSON.parse(said.toString()) as WebhookAddresses, stop }
}
