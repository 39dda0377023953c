/** A process that handles webhooks, for tests that kill it: each event is a row of `effects`. Says when it has opened. */
import { createNamedPool } from '../../postgres/postgres.js'
import { createRedis } from '../../redis/create-redis.js'
import { createHandlers } from '../workers/create-handlers.js'
import { openWorkers } from '../workers/open-workers.js'
import { quickSettings } from './use-workers.js'

export interface WorkerProcessOptions {
  readonly databaseUrl: string
  readonly redisUrl: string
}

const { databaseUrl, redisUrl } = JSON.parse(process.argv[2] ?? '{}') as WorkerProcessOptions
const connect = () => createRedis({ url: redisUrl, retryMaxMs: 100 })

await openWorkers({
  pool: createNamedPool('primary', { url: databaseUrl }),
  redis: await connect(),
  connect,
  settings: quickSettings,
  handlers: createHandlers({
    '*': async ({ id, data }, { db }) => {
      await db.query('insert into effects (event, entity, n) select $1, $2, $3 from pg_sleep(0.002)', [
        id,
        data['entity'],
        data['n'],
      ])
    },
  }),
})
process.stdout.write('open\n')
