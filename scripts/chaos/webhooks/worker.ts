/** A process of `chaos:webhooks`: handles events until it is killed, some of them with trouble. */
import { setTimeout as sleep } from 'node:timers/promises'
import { TidemarkError } from '../../../packages/tidemark/dist/errors.js'
import { createLogger } from '../../../packages/tidemark/dist/observability/log.js'
import { createNamedPool } from '../../../packages/tidemark/dist/postgres/postgres.js'
import { createRedis } from '../../../packages/tidemark/dist/redis/create-redis.js'
import type { EventHandler } from '../../../packages/tidemark/dist/webhooks/webhooks.js'
import { createHandlers } from '../../../packages/tidemark/dist/webhooks/workers/create-handlers.js'
import { openWorkers } from '../../../packages/tidemark/dist/webhooks/workers/open-workers.js'
import { diceOf } from '../random.ts'

export interface WorkerSetup {
  readonly postgres: string
  readonly redis: string
  readonly partitions: number
  /** Of all attempts, those that fail. */
  readonly failing: number
  readonly seed: number
}

const setup = JSON.parse(process.env['CHAOS_WEBHOOKS'] ?? '{}') as WorkerSetup
const dice = diceOf(setup.seed)
const pool = createNamedPool('primary', { url: setup.postgres })
const connect = () => createRedis({ url: setup.redis, retryMaxMs: 500 })

const handler: EventHandler = async ({ id, data }, { db, attempt, replayId }) => {
  // What operators send through again was mended meanwhile.
  if (data['refused'] === true && replayId === undefined) throw new TidemarkError('TM_WEBHOOKS_REFUSED', { reason: 'on purpose' })
  if (typeof data['sleepMs'] === 'number') await sleep(data['sleepMs'])
  await db.query('insert into chaos_effects (event, entity, n, worker) values ($1, $2, $3, $4)', [
    id,
    data['entity'],
    data['n'],
    process.pid,
  ])
  if (data['poison'] === true) process.kill(process.pid, 'SIGKILL')
  // Of many attempts one has to be left: nothing may become a dead letter for this.
  if (attempt < 6 && dice() < setup.failing) throw new Error('trouble on purpose')
}

const redis = await connect()
const log = createLogger({ level: process.env['CHAOS_LOG'] === undefined ? 'silent' : 'debug' })
const settings = { retryBaseMs: 50, retryMaxMs: 1_000 }
const handlers = createHandlers({ '*': handler })
const workers = await openWorkers({ pool, redis, connect, handlers, log, settings, partitions: setup.partitions })

const stop = async (): Promise<void> => {
  await workers.stop()
  await redis.stop()
  await pool.stop()
}
process.once('SIGTERM', () => void stop().then(() => process.exit(0)))
setInterval(() => process.stdout.write(`${JSON.stringify({ ...workers.state, rss: process.memoryUsage.rss() })}\n`), 500)
