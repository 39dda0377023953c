/**
 * Servers that do the same for long: `npm run soak -- --minutes 60`. Rows are written at an even pace, clients listen and callers ask; every few seconds it is looked at what each server holds (memory,
 * descriptors, sessions) and what is kept for it (log behind slots, entries of the stream). Ends with a verdict; the exit status is 0 only if none of it grew from the second quarter of
 * the time to the last by more than is allowed, no request failed and nobody missed a change.
 * @holds FEED-4
 */
import { mkdtemp, readdir } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { residentBytes } from '../../bench/measuring/process-memory.ts'
import { createRedis } from '../../packages/tidemark/dist/redis/create-redis.js'
import { until } from '../../packages/tidemark/dist/time/until.js'
import { count, interruptible, main, parseOptions } from '../options.ts'
import { openBalancer } from '../scale/balancer.ts'
import { startLoad } from '../scale/load.ts'
import { diceOf } from './random.ts'
import { Storm } from './realtime/storm.ts'

const usage = `npm run soak -- [options]
  --minutes <n>   how long (default 30)
  --nodes <n>     servers (default 2)
  --rate <n>      changes a second (default 100)
  --callers <n>   (default 2)
  --seed <n>      what the dice begin with (default 1)`

interface Kind {
  readonly unit: string
  /** What it may grow by, for itself and as a part of what it was. */
  readonly slack: number
  readonly part: number
}

/** The stream is let go by time, so it has its length once it is as old as that. */
const kinds = {
  memory: { unit: 'MiB', slack: 24, part: 0.15 },
  descriptors: { unit: '', slack: 10, part: 0.1 },
  sessions: { unit: '', slack: 5, part: 0.1 },
  slots: { unit: '', slack: 0, part: 0 },
  'log behind slots': { unit: 'MiB', slack: 64, part: 0.25 },
  'entries of the stream': { unit: '', slack: 2_000, part: 0.25 },
} as const satisfies Readonly<Record<string, Kind>>

type Sample = Readonly<Record<keyof typeof kinds, number>>

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
const sum = (values: readonly number[]): number => values.reduce((total, each) => total + each, 0)

const slotsSql = `select coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), min(restart_lsn)), 0)::float8 as behind, count(*)::int as slots,
  (select count(*)::int from pg_stat_activity where backend_type in ('client backend', 'walsender') and pid <> pg_backend_pid()) as sessions
  from pg_replication_slots`

const streamLength = async (url: string): Promise<number> => {
  const redis = await createRedis({ url })
  try {
    let cursor = '0'
    let entries = 0
    do {
      const [next, keys] = (await redis.command(['SCAN', cursor, 'TYPE', 'stream', 'COUNT', '500'])) as unknown as [
        string,
        string[],
      ]
      for (const key of keys) entries += Number(await redis.command(['XLEN', key]))
      cursor = next
    } while (cursor !== '0')
    return entries
  } finally {
    await redis.stop()
  }
}

const look = async (storm: Storm): Promise<Sample> => {
  const pids = Array.from({ length: storm.nodeCount }, (_, index) => storm.nodeAt(index).pid!)
  const descriptors = await Promise.all(pids.map(async (pid) => (await readdir(`/proc/${pid}/fd`).catch(() => [])).length))
  const [held] = await storm.rows<{ behind: number; slots: number; sessions: number }>(slotsSql)
  return {
    memory: sum(pids.map((pid) => residentBytes(pid) ?? 0)) / 1024 / 1024,
    descriptors: sum(descriptors),
    sessions: held!.sessions,
    slots: held!.slots,
    'log behind slots': held!.behind / 1024 / 1024,
    'entries of the stream': await streamLength(`redis://127.0.0.1:${storm.redisPort}`),
  }
}

/** From the second quarter, when all that warms up is warm, to the last. */
const judge = (samples: readonly Sample[]): { readonly lines: readonly string[]; readonly failures: readonly string[] } => {
  const quarter = Math.floor(samples.length / 4)
  const lines: string[] = []
  const failures: string[] = []
  for (const [name, { unit, slack, part }] of Object.entries(kinds) as [keyof typeof kinds, Kind][]) {
    const of = (from: number, to: number) => median(samples.slice(from, to).map((sample) => sample[name]))
    const [early, late] = [of(quarter, 2 * quarter), of(samples.length - quarter, samples.length)]
    const line = `${name}: ${early.toFixed(0)} → ${late.toFixed(0)} ${unit}`.trimEnd()
    lines.push(line)
    if (late - early > slack + part * early) failures.push(`it grew: ${line}`)
  }
  return { lines, failures }
}

await main(async (signal) => {
  const option = { type: 'string' } as const
  const presets = { minutes: 30, nodes: 2, rate: 100, callers: 2, seed: 1 }
  const values = parseOptions(usage, Object.fromEntries(Object.keys(presets).map((name) => [name, option])))
  const number = (name: keyof typeof presets): number =>
    count(name, values[name], { default: presets[name], min: 1, max: 100_000 })
  const minutes = number('minutes')
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-soak-'))
  const seed = number('seed')
  const options = { dir, nodes: number('nodes'), clients: 2, rate: number('rate'), young: false, dice: diceOf(seed) }
  const storm = await Storm.open({ ...options, tell: console.log })
  const failures: string[] = []
  const samples: Sample[] = []
  const run = async (): Promise<void> => {
    await storm.start()
    const balancer = await openBalancer(Array.from({ length: storm.nodeCount }, (_, index) => storm.nodeAt(index).port))
    storm.write()
    const load = startLoad(balancer.port, storm.anonKey, number('callers'), { writes: false })
    const endsAt = Date.now() + minutes * 60_000
    while (Date.now() < endsAt) {
      await pause(Math.min(5_000, minutes * 500))
      samples.push(await look(storm))
      if (samples.length % 12 === 0) console.log(`${samples.length} looks, memory ${samples.at(-1)!.memory.toFixed(0)} MiB`)
    }
    const { reads, failures: failed } = await load.stop()
    const last = await storm.endWriting()
    await balancer.stop()
    const isThere = () => storm.clients.every(({ ledger }) => ledger.highest === last)
    await until(isThere, { timeoutMs: 60_000, what: 'The last change at every client' }).catch((error: unknown) =>
      failures.push(String(error)),
    )
    for (const [what, times] of failed) failures.push(`${times} requests failed: ${what}`)
    failures.push(...storm.failures, ...storm.clients.flatMap(({ ledger }) => ledger.tallies.wrong))
    const { lines, failures: grown } = judge(samples)
    failures.push(...grown)
    for (const line of lines) console.log(line)
    console.log(`${last} changes, ${reads} requests, ${samples.length} looks`)
  }
  try {
    await interruptible(signal, run())
  } catch (error) {
    failures.push(String(error))
  } finally {
    await storm.stop()
  }
  for (const failure of failures) console.log(failure)
  console.log(
    `${failures.length === 0 ? 'PASSED' : 'FAILED'}: ${minutes} minutes, seed ${seed}, load ${loadavg()[0]!.toFixed(1)} on ${cpus().length} processors`,
  )
  return failures.length === 0
})
