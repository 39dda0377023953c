/** What is done to a cache while it is read and written. */
import { setTimeout as pause } from 'node:timers/promises'
import { createRedis } from '../../../packages/tidemark/dist/redis/create-redis.js'
import { until } from '../../../packages/tidemark/dist/time/until.js'
import { between, oneOf } from '../random.ts'
import type { Storm } from './storm.ts'

export interface Fault {
  readonly name: string
  /** What may fail meanwhile; everything else may not. */
  readonly mayFail?: RegExp
  /** Where values are: in one Redis, or in a cluster. Default: both. */
  readonly only?: 'single' | 'cluster'
  /** Ends with everything as it was. */
  strike(storm: Storm): Promise<void>
}

const withRedis = async (
  storm: Storm,
  act: (command: (...words: [string, ...string[]]) => Promise<unknown>) => Promise<void>,
) => {
  const redis = await createRedis({ url: `redis://127.0.0.1:${storm.redisPort}` })
  try {
    await act((...words) => redis.command(words).catch(() => undefined))
  } finally {
    await redis.stop()
  }
}

/** Again and again with pauses. */
const repeat = async (storm: Storm, times: number, act: () => Promise<unknown>): Promise<void> => {
  for (let time = 0; time < times; time++) {
    await act()
    await pause(between(storm.options.dice, 100, 500))
  }
}

const restart = async (storm: Storm, isSaved: boolean): Promise<void> => {
  if (isSaved) {
    await withRedis(storm, async (command) => void (await command('SAVE')))
    await pause(1000)
  }
  storm.redis.signal('SIGKILL')
  await pause(between(storm.options.dice, 10, 1500))
  await storm.restartRedis()
}

const kill = async (storm: Storm, index: number, at?: 'commit' | 'announced'): Promise<void> => {
  const node = storm.nodes.find((each) => each.index === index)!
  if (at) node.tell({ type: 'die', at })
  else node.child.kill('SIGKILL')
  await until(() => !node.isAlive, { timeoutMs: 20_000, what: `The death of node ${index}` })
  await pause(between(storm.options.dice, 0, 1500))
  await storm.startNode(index)
}

/** A master of the cluster is killed, and its replica has not heard what was purged last. */
const loseMaster = async ({ cluster, options: { dice } }: Storm): Promise<void> => {
  const master = cluster!.masters[lost++]
  if (!master) return
  const replica = await cluster!.addReplica(master)
  await pause(500)
  await cluster!.deafen(master, replica)
  await pause(between(dice, 50, 800))
  await cluster!.loseMaster(master, replica)
}
let lost = 0

const anyNode = (storm: Storm): number => between(storm.options.dice, 0, storm.options.nodes - 1)
const frozenMs = (storm: Storm): number => oneOf(storm.options.dice, [300, 1500, 3500])

export const faults: readonly Fault[] = [
  { name: 'calm', strike: async () => undefined },
  {
    name: 'cut',
    only: 'single',
    strike: (storm) =>
      withRedis(storm, (command) =>
        repeat(storm, 6, async () => {
          for (const type of ['normal', 'pubsub']) await command('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')
        }),
      ),
  },
  { name: 'redis-killed', only: 'single', strike: (storm) => restart(storm, false) },
  { name: 'redis-old', only: 'single', strike: (storm) => restart(storm, true) },
  {
    name: 'redis-frozen',
    only: 'single',
    strike: async (storm) => {
      storm.redis.signal('SIGSTOP')
      await pause(frozenMs(storm))
      storm.redis.signal('SIGCONT')
    },
  },
  {
    name: 'flush',
    only: 'single',
    strike: (storm) => withRedis(storm, (command) => repeat(storm, 4, () => command('FLUSHALL'))),
  },
  {
    name: 'backends',
    mayFail: / TM_POSTGRES_| TM_CACHE_INTENT$/,
    strike: (storm) =>
      repeat(storm, 4, () =>
        storm.client.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name <> 'storm' and backend_type in ('client backend', 'walsender')`,
        ),
      ),
  },
  {
    name: 'reader',
    strike: async (storm) => {
      await until(() => storm.reader !== undefined, { what: 'A node that reads the log' })
      await kill(storm, storm.reader!.index)
    },
  },
  {
    name: 'reader-frozen',
    strike: async (storm) => {
      await until(() => storm.reader !== undefined, { what: 'A node that reads the log' })
      const { child } = storm.reader!
      child.kill('SIGSTOP')
      await pause(frozenMs(storm))
      child.kill('SIGCONT')
    },
  },
  { name: 'master-lost', only: 'cluster', strike: loseMaster },
  { name: 'writer-killed', strike: (storm) => kill(storm, anyNode(storm), 'commit') },
  { name: 'writer-killed-before', strike: (storm) => kill(storm, anyNode(storm), 'announced') },
]
