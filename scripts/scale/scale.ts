/**
 * Many nodes on one Postgres and one Redis: `npm run scale -- --nodes 4`; with `--cluster` a Redis Cluster of three masters, of which some are lost. The reader of the log is killed again and again while rows are written and clients of
 * realtime listen at all nodes; then each node is replaced while callers ask through a balancer; then caches and webhooks get the same number of processes.
 * Ends with what was measured and a verdict; the exit status is 0 only if another node read on within the limit, nobody missed or was told anything twice without a
 * word, no request failed while nodes were replaced, each write is there once, and caches and webhooks passed.
 * @holds FEED-2
 */
import { mkdtemp } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { residentBytes } from '../../bench/measuring/process-memory.ts'
import { startTestCluster, type TestCluster } from '../../packages/tidemark/dist/testing/redis/redis-cluster.js'
import { until } from '../../packages/tidemark/dist/time/until.js'
import { diceOf } from '../chaos/random.ts'
import { Storm } from '../chaos/realtime/storm.ts'
import { count, interruptible, main, parseOptions } from '../options.ts'
import { runScript } from '../programs.ts'
import { openBalancer } from './balancer.ts'
import { startLoad } from './load.ts'

const tell = (text: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`)

const usage = `npm run scale -- [options]
  --nodes <n>     servers (default 4)
  --kills <n>     how often the reader of the log is killed (default 3)
  --rate <n>      changes a second meanwhile (default 200)
  --callers <n>   while nodes are replaced (default 8)
  --limit <ms>    within which another node reads on (default 5000)
  --cluster       on a Redis Cluster of three masters, one of which is lost with what its replica had not heard yet
  --parts <a,b>   of feed, rolling, caches, webhooks (default: all)
  --seed <n>      what the dice begin with (default 1)`

const visits = `
  set role tidemark_migrator;
  create table visits (id bigint generated always as identity primary key, n bigint not null);
  alter table visits enable row level security;
  grant insert on visits to anon;
  create policy come on visits for insert to anon with check (true);
  reset role`

const metric = async (port: number, line: RegExp): Promise<boolean> => {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined)
  return answer !== undefined && line.test(await answer.text().catch(() => ''))
}

const isReading = (port: number): Promise<boolean> => metric(port, /^tidemark_feed_role_state\{role="reading"\} 1$/m)

const indexes = (storm: Storm): readonly number[] => Array.from({ length: storm.nodeCount }, (_, index) => index)

const findReader = async (storm: Storm): Promise<number | undefined> => {
  for (const index of indexes(storm)) {
    const { port, pid } = storm.nodeAt(index)
    if (pid !== undefined && (await isReading(port))) return index
  }
  return undefined
}

const percentile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

interface Outcome {
  readonly figures: Record<string, string>
  readonly failures: string[]
}

const handOver = async (storm: Storm, limitMs: number, outcome: Outcome, waits: number[]): Promise<void> => {
  const reader = await until(async () => (await findReader(storm))?.toString(), {
    timeoutMs: 60_000,
    what: 'A reader of the log',
  })
  const at = performance.now()
  const killing = storm.killNode(Number(reader))
  await killing
  await until(async () => (await findReader(storm)) !== undefined, { timeoutMs: 60_000, intervalMs: 5, what: 'Another reader' })
  const tookMs = performance.now() - at
  const { written } = storm
  const heard = () => storm.clients.every(({ ledger }) => ledger.highest > written || ledger.isExcused)
  await until(heard, { timeoutMs: 60_000, intervalMs: 10, what: 'The next change at every client' })
  const heardMs = performance.now() - at
  waits.push(tookMs)
  tell(
    `the reader was killed: another one reads after ${tookMs.toFixed(0)} ms, and every client is told again after ${heardMs.toFixed(0)} ms`,
  )
  if (tookMs > limitMs) outcome.failures.push(`another node read on after ${tookMs.toFixed(0)} ms, and ${limitMs} is the limit`)
  await storm.startNode(Number(reader))
}

/** A master of the cluster is killed, and its replica takes its place. */
const failOver = async (storm: Storm, cluster: TestCluster, outcome: Outcome): Promise<void> => {
  const master = cluster.masters[0]!
  const replica = await cluster.addReplica(master)
  await cluster.deafen(master, replica)
  const at = performance.now()
  await cluster.loseMaster(master, replica)
  const replacedMs = performance.now() - at
  const { written } = storm
  const heard = () => storm.clients.every(({ ledger }) => ledger.highest > written || ledger.isExcused)
  await until(heard, { timeoutMs: 60_000, intervalMs: 10, what: 'The next change at every client' })
  const text = `replaced after ${replacedMs.toFixed(0)} ms, every client told again ${(performance.now() - at - replacedMs).toFixed(0)} ms later`
  tell(`a master of the cluster was lost: ${text}`)
  outcome.figures['a lost master of the cluster'] = text
}

interface FeedPart {
  readonly kills: number
  readonly limitMs: number
  readonly cluster: TestCluster | undefined
}

const feedPart = async (storm: Storm, { kills, limitMs, cluster }: FeedPart, outcome: Outcome): Promise<void> => {
  const waits: number[] = []
  storm.write()
  for (let n = 0; n < kills; n++) await handOver(storm, limitMs, outcome, waits)
  if (cluster) await failOver(storm, cluster, outcome)
  const last = await storm.endWriting()
  await until(() => storm.clients.every(({ ledger }) => ledger.highest === last || ledger.isExcused), {
    timeoutMs: 60_000,
    what: 'The last change at every client',
  }).catch((error: unknown) => outcome.failures.push(String(error)))
  outcome.failures.push(...storm.failures, ...storm.clients.flatMap(({ ledger }) => ledger.tallies.wrong))
  const gaps = storm.clients.reduce((sum, { ledger }) => sum + ledger.tallies.gaps, 0)
  outcome.figures['hand-over of the feed, most'] = `${Math.max(...waits).toFixed(0)} ms (${kills} kills)`
  outcome.figures['changes written, and told to every client'] =
    `${last} to ${storm.clients.length} clients, ${gaps} gaps announced`
}

const rollingPart = async (storm: Storm, callers: number, outcome: Outcome): Promise<void> => {
  await storm.asAdmin(visits)
  const ports = indexes(storm).map((index) => storm.nodeAt(index).port)
  const balancer = await openBalancer(ports)
  try {
    const probe = () =>
      Promise.all(
        ports.map(async (port) => {
          const answer = await fetch(`http://127.0.0.1:${port}/rest/v1/visits`, {
            method: 'POST',
            headers: { apikey: storm.anonKey, 'content-type': 'application/json' },
            body: '{"n":0}',
          })
          return answer.status === 201
        }),
      )
    // Each node has seen the new table.
    await until(async () => (await probe()).every(Boolean), { timeoutMs: 60_000, what: 'Nodes that know the table' })
    await storm.asAdmin('delete from visits')
    const load = startLoad(balancer.port, storm.anonKey, callers)
    await until(() => load.totals().reads > 20 * callers, { timeoutMs: 60_000, what: 'Load' })
    for (const index of indexes(storm)) {
      await storm.endNode(index)
      await storm.startNode(index)
      tell(`node ${index} was replaced: ${load.totals().reads + load.totals().writes} requests so far`)
    }
    const { reads, writes, latencies, failures } = await load.stop()
    const there = await storm.asAdmin('select n from visits')
    outcome.figures['requests while each node was replaced'] =
      `${reads} reads and ${writes} writes, ${[...failures.values()].reduce((a, b) => a + b, 0)} failed`
    outcome.figures['their latency'] =
      `p50 ${percentile(latencies, 0.5).toFixed(0)} ms, p99 ${percentile(latencies, 0.99).toFixed(0)} ms`
    outcome.figures['connections refused by a node and taken by another'] = String(balancer.refused())
    for (const [what, times] of failures) outcome.failures.push(`${times} requests failed: ${what}`)
    if (there !== writes) outcome.failures.push(`${writes} writes were acknowledged, and ${there} rows are there`)
  } finally {
    await balancer.stop()
  }
}

/** What a node takes when nobody asks it anything. */
const costs = async (storm: Storm, outcome: Outcome): Promise<void> => {
  const bytes = await Promise.all(indexes(storm).map((index) => residentBytes(storm.nodeAt(index).pid!)))
  const mebibytes = bytes.map((each) => (each ?? 0) / 1024 / 1024)
  const sessions = await storm.asAdmin(
    `select pid from pg_stat_activity where pid <> pg_backend_pid() and backend_type in ('client backend', 'walsender')`,
  )
  outcome.figures['memory of a node'] = `${Math.min(...mebibytes).toFixed(0)} to ${Math.max(...mebibytes).toFixed(0)} MiB`
  outcome.figures['sessions of Postgres, a node'] = (sessions / storm.nodeCount).toFixed(1)
}

/** Another program of the house, which has a verdict of its own: its last line. */
const program = async (script: string, args: readonly string[], outcome: Outcome, signal: AbortSignal): Promise<void> => {
  signal.throwIfAborted()
  const { code, lastLine, output } = await runScript(script, args, { signal })
  tell(`${script}: ${lastLine}`)
  outcome.figures[script] = lastLine
  if (code !== 0) outcome.failures.push(`${script}: ${output.slice(-2_000)}`)
}

interface StormSize {
  readonly nodes: number
  readonly rate: number
  readonly seed: number
  readonly cluster: TestCluster | undefined
  readonly signal: AbortSignal
}

const withStorm = async (
  { nodes, rate, seed, cluster, signal }: StormSize,
  fn: (storm: Storm) => Promise<void>,
): Promise<void> => {
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-scale-'))
  const storm = await Storm.open({
    dir,
    nodes,
    clients: nodes,
    rate,
    young: false,
    dice: diceOf(seed),
    tell,
    env: { TIDEMARK_LEAVE: '2s', ...(cluster && { REDIS_URL: cluster.url }) },
  })
  const run = async (): Promise<void> => {
    await storm.start()
    tell(`${nodes} nodes serve, and ${storm.clients.length} clients listen`)
    await fn(storm)
  }
  try {
    await interruptible(signal, run())
  } finally {
    await storm.stop()
  }
}

await main(async (signal) => {
  const option = { type: 'string' } as const
  const presets = { nodes: 4, kills: 3, rate: 200, callers: 8, limit: 5_000, seed: 1 }
  const values = parseOptions(usage, {
    ...Object.fromEntries(Object.keys(presets).map((name) => [name, option])),
    parts: option,
    cluster: { type: 'boolean' },
  })
  const number = (name: keyof typeof presets, min: number): number =>
    count(name, values[name], { default: presets[name], min, max: 100_000 })
  const nodes = number('nodes', 2)
  const parts = String(values['parts'] ?? 'feed,rolling,caches,webhooks').split(',')
  const outcome: Outcome = { figures: {}, failures: [] }
  const attempt = (what: string, fn: () => Promise<void>) =>
    fn().catch(
      (error: unknown) => void outcome.failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`),
    )
  const cluster = values['cluster'] === true ? await startTestCluster() : undefined
  if (parts.includes('feed') || parts.includes('rolling')) {
    await attempt('nodes', () =>
      withStorm({ nodes, rate: number('rate', 1), seed: number('seed', 0), cluster, signal }, async (storm) => {
        await costs(storm, outcome)
        const feed = { kills: number('kills', 1), limitMs: number('limit', 1), cluster }
        if (parts.includes('feed')) await attempt('feed', () => feedPart(storm, feed, outcome))
        if (parts.includes('rolling')) await attempt('rolling', () => rollingPart(storm, number('callers', 1), outcome))
      }),
    )
  }
  const seed = ['--seed', String(number('seed', 0))]
  if (parts.includes('caches')) {
    const names = cluster ? 'calm,writer-killed,master-lost' : 'calm,writer-killed'
    const where = cluster ? ['--cluster'] : []
    const faults = ['--minutes', '0', '--seconds', '5', '--nodes', String(nodes), '--faults', names, ...where, ...seed]
    await attempt('caches', () => program('scripts/chaos/cache.ts', faults, outcome, signal))
  }
  const where = cluster ? ['--redis', cluster.url] : []
  if (parts.includes('webhooks'))
    await attempt('webhooks', () =>
      program('scripts/chaos/webhooks.ts', ['--scenarios', 'rolling', '--events', '600', ...where, ...seed], outcome, signal),
    )
  await cluster?.stop()
  for (const [what, figure] of Object.entries(outcome.figures)) console.log(`${what.padEnd(52)} ${figure}`)
  for (const failure of outcome.failures) console.log(failure)
  const machine = `${cpus().length} processors shared with all of it, load ${loadavg()[0]!.toFixed(1)}`
  console.log(
    `${outcome.failures.length === 0 ? 'PASSED' : 'FAILED'}: ${nodes} nodes${cluster ? ' on a Redis Cluster' : ''}, ${parts.join(', ')}; ${machine}`,
  )
  return outcome.failures.length === 0
})
