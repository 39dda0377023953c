/** What is done to servers, Postgres and Redis while clients listen. */
import { setTimeout as pause } from 'node:timers/promises'
import { createRedis } from '../../../packages/tidemark/dist/redis/create-redis.js'
import { isGone } from '../project.ts'
import { between } from '../random.ts'
import type { Storm } from './storm.ts'

export interface Fault {
  readonly name: string
  /** How often among the others. */
  readonly weight: number
  strike(storm: Storm): Promise<void>
}

const terminate = (storm: Storm, from: string): Promise<number> =>
  storm.asAdmin(`select pg_terminate_backend(pid) from ${from}`).catch(() => 0)

export const faults: readonly Fault[] = [
  {
    name: 'server-killed',
    weight: 3,
    strike: async (storm) => {
      const index = between(storm.options.dice, 0, storm.nodeCount - 1)
      await storm.killNode(index)
      await pause(between(storm.options.dice, 0, 500))
      await storm.startNode(index)
    },
  },
  {
    name: 'walsender',
    weight: 3,
    strike: async (storm) => {
      await terminate(storm, 'pg_stat_replication')
    },
  },
  {
    name: 'sessions',
    weight: 2,
    strike: async (storm) => {
      storm.writingFails()
      await terminate(storm, `pg_stat_activity where backend_type = 'client backend' and application_name <> 'storm'`)
    },
  },
  {
    name: 'postgres-killed',
    weight: 1,
    strike: async (storm) => {
      storm.writingFails()
      // Of a process that dies under it Postgres says goodbye to all, and recovers; without its first process somebody starts it again.
      const whole = storm.options.dice() < 0.5
      const pid = whole ? await storm.postgresPid() : await storm.checkpointerPid()
      process.kill(pid, 'SIGKILL')
      if (!(await isGone(pid))) throw new Error('Postgres does not end')
      for (let tries = 0; tries < 300; tries++) {
        if ((await storm.asAdmin('select 1').catch(() => 0)) === 1) return
        await pause(200)
      }
      throw new Error('Postgres did not come up again')
    },
  },
  {
    name: 'redis-flushed',
    weight: 2,
    strike: async (storm) => {
      const redis = await createRedis({ url: `redis://127.0.0.1:${storm.redisPort}` })
      await redis.command(['FLUSHALL']).catch(() => undefined)
      await redis.stop()
    },
  },
  {
    name: 'redis-killed',
    weight: 1,
    strike: async (storm) => {
      storm.redis.signal('SIGKILL')
      await pause(between(storm.options.dice, 10, 1500))
      await storm.restartRedis()
    },
  },
]
