/** A node of a cache as a process of its own, for tests that freeze and kill it. Answers each line of its input with the number of thing 1. */
import { createInterface } from 'node:readline'
import type { LoadClient } from '../cache.js'
import { cached } from '../cached.js'
import { openCache } from '../open-cache.js'

export interface CacheProcessOptions {
  readonly database: string
  readonly redis: string
  readonly name: string
  readonly maxSilenceMs: number
}

const { database, redis, name, maxSilenceMs } = JSON.parse(process.argv[2] ?? '{}') as CacheProcessOptions

const entries = {
  thing: cached('thing:{id}', {
    ttl: '5m',
    from: { things: 'id' },
    linearizable: true,
    load: async ({ id }, db: LoadClient) =>
      (await db.query<{ n: number }>('select n from things where id = $1', [id])).rows[0]?.n ?? null,
  }),
}

const cache = await openCache({ entries, database, redis, name, maxSilenceMs })
createInterface({ input: process.stdin }).on('line', () => {
  const beganAt = Date.now()
  void cache.entries.thing.lookup({ id: 1 }).then((answer) => process.stdout.write(`${JSON.stringify({ ...answer, beganAt })}\n`))
})
