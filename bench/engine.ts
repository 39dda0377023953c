// `npm run bench:engine`: what RE Engine's documents promise of connections, statements, hits, changes and pools, under readers and writers. See README.md.
// @holds R134
// @holds R135
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { generate } from '../apps/re-engine/dist/generate.js'
import { reEngine } from '../apps/re-engine/dist/re-engine.js'
import { appSource, platformSource } from '../packages/tidemark/dist/schema/migration-files.js'
import { createMigrator } from '../packages/tidemark/dist/schema/migrator.js'
import { bootstrappedTemplate, connectTo, testUrl } from '../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { adminToken, secret } from '../packages/tidemark/dist/testing/app/app-tokens.js'
import { programAddress } from '../packages/tidemark/dist/testing/app/program-address.js'
import { openEventStream } from '../packages/tidemark/dist/testing/event-stream.js'
import { startTestRedis } from '../packages/tidemark/dist/testing/redis/redis-server.js'
import { mulberry32, zipfTrace } from '../packages/tidemark/dist/testing/zipf.js'
import { until } from '../packages/tidemark/dist/time/until.js'
import { count, main, parseOptions } from '../scripts/options.ts'
import { openBenchPostgres } from './measuring/bench-postgres.ts'
import { closingLine, type Figure, judge, loadText, type Measure, summaryTable } from './measuring/report.ts'
import { percentile } from './measuring/statistics.ts'

const usage = `npm run bench:engine -- [options]
  --seconds <n>   how long they read and write (default 30)
  --callers <n>   at a time (default 16)
  --leads <n>     that there are (default 2000)`

const program = fileURLToPath(new URL('../apps/re-engine/dist/main.js', import.meta.url))
const authorization = `Bearer ${adminToken()}`
const warmMs = 5_000
const tellEveryMs = 100
const lookEveryMs = 250
/** Of a hundred requests these are changes; the others look at one lead, and a few at a page of them. */
const [writes, pages] = [5, 3]

interface Node {
  readonly url: string
  stop(): Promise<void>
}

const startNode = async (env: Readonly<Record<string, string>>): Promise<Node> => {
  const child: ChildProcess = spawn(process.execPath, [program], {
    env: { PATH: process.env['PATH'], PORT: '0', NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  return { url: await programAddress(child, 're-engine', () => undefined), stop }
}

interface Lead {
  readonly id: string
  readonly version: number
}

interface Counts {
  requests: number
  failed: number
  reads: number
  hits: number
  /** Answers that were older than a write that had returned before they were asked for. */
  stale: number
  readMs: number[]
}

const zero = (): Counts => ({ requests: 0, failed: 0, reads: 0, hits: 0, stale: 0, readMs: [] })

/** One caller: the next request begins when the last was answered. */
const call = async (
  nodes: readonly Node[],
  leads: readonly string[],
  written: Map<string, number>,
  counts: Counts,
  seed: number,
  signal: AbortSignal,
): Promise<void> => {
  const trace = zipfTrace(leads.length, 100_000, { skew: 1, seed })
  const dice = mulberry32(seed)
  let at = 0
  const ask = async (path: string, body?: object): Promise<Response | undefined> => {
    const node = nodes[Math.floor(dice() * nodes.length)]!
    counts.requests += 1
    const init = body && { method: 'PATCH', body: JSON.stringify(body) }
    const headers = { authorization, ...(body && { 'content-type': 'application/json' }) }
    const response = await fetch(`${node.url}${path}`, { ...init, headers }).catch(() => undefined)
    if (response?.ok) return response
    counts.failed += 1
    await response?.arrayBuffer()
    return undefined
  }
  const versionIn = async (response: Response): Promise<number> => ((await response.json()) as Lead).version
  while (!signal.aborted) {
    const [id, choice] = [leads[trace[at++ % trace.length]!]!, dice() * 100]
    if (choice < writes) {
      const response = await ask(`/leads/${id}`, { timeline: `${at} months` })
      if (response) written.set(id, Math.max(written.get(id) ?? 0, await versionIn(response)))
    } else if (choice < writes + pages) await (await ask('/leads?limit=20'))?.arrayBuffer()
    else {
      const [least, startedAt] = [written.get(id) ?? 0, performance.now()]
      const response = await ask(`/leads/${id}`)
      if (!response) continue
      counts.reads += 1
      counts.hits += response.headers.get('x-cache') === 'HIT' ? 1 : 0
      if ((await versionIn(response)) < least) counts.stale += 1
      counts.readMs.push(performance.now() - startedAt)
    }
  }
}

const every = async (ms: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> => {
  while (!signal.aborted) {
    await work()
    await new Promise((resolve) => setTimeout(resolve, ms))
  }
}

/** Below which bound so many of a histogram's values lie, over all of its series, in milliseconds. */
const boundMs = (text: string, name: string, share: number): number => {
  const buckets = new Map<number, number>()
  for (const [, labels, value] of text.matchAll(new RegExp(`^${name}_bucket\\{([^}]*)\\} (\\S+)$`, 'gm'))) {
    const bound = Number(/le="([^"]+)"/.exec(labels!)![1]!.replace('+Inf', 'Infinity'))
    buckets.set(bound, (buckets.get(bound) ?? 0) + Number(value))
  }
  const all = buckets.get(Number.POSITIVE_INFINITY) ?? 0
  const [found] = [...buckets].sort(([a], [b]) => a - b).find(([, below]) => below >= all * share) ?? []
  return all === 0 ? Number.NaN : (found ?? Number.POSITIVE_INFINITY) * 1000
}

const total = (text: string, name: string): number =>
  [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce((sum, [, value]) => sum + Number(value), 0)

const sorted = (values: readonly number[]): readonly number[] => values.toSorted((a, b) => a - b)

await main(async (stopping) => {
  const text = { type: 'string' } as const
  const given = parseOptions(usage, { seconds: text, callers: text, leads: text })
  const seconds = count('seconds', given['seconds'], { default: 30, min: 1, max: 36_000 })
  const callers = count('callers', given['callers'], { default: 16, min: 1, max: 1000 })
  const leadCount = count('leads', given['leads'], { default: 2000, min: 20, max: 1_000_000 })
  const stops: (() => Promise<unknown>)[] = []
  try {
    const redis = await startTestRedis()
    stops.push(() => redis.stop())
    const postgres = await openBenchPostgres()
    stops.push(() => postgres.stop())
    await bootstrappedTemplate.prepare(postgres.url)
    const url = (role: Parameters<typeof testUrl>[1]): string => testUrl(postgres.url, role)
    const sources = [platformSource, appSource(reEngine.name, reEngine.migrations)]
    await createMigrator({ connect: connectTo(url('migrator')), sources }).up()
    const owner = await connectTo(url('migrator'))()
    stops.push(() => owner.end())
    await owner.query('begin')
    await generate(owner, { leads: leadCount, agents: 20 })
    await owner.query('commit')
    const { rows } = await owner.query<{ id: string }>('select id from leads order by id')
    console.log(`${postgres.description} · Node ${process.versions.node} · ${loadText()}`)
    const env = {
      ...{ DATABASE_URL: url('app'), POOLED_DATABASE_URL: url('app'), OWNER_DATABASE_URL: url('migrator') },
      ...{ FEED_DATABASE_URL: url('feed'), CALLERS_DATABASE_URL: url('authenticator') },
      ...{ REDIS_URL: redis.url, CACHE_PREFIX: 'bench:', JWT_SECRET: secret },
    }
    const nodes: Node[] = []
    for (let n = 0; n < 2; n++) {
      const node = await startNode(env)
      stops.push(() => node.stop())
      nodes.push(node)
    }
    const leads = rows.map(({ id }) => id)
    const told = leads[0]!
    const stream = await openEventStream(`${nodes[1]!.url}/leads/updates`, { authorization })
    await until(() => stream.events.length > 0)

    const counts = zero()
    const [tellMs, utilisation]: [number[], number[]] = [[], []]
    const end = new AbortController()
    const signal = AbortSignal.any([end.signal, stopping])
    // The caches are empty at first; what is wrong then counts all the same.
    setTimeout(() => Object.assign(counts, { ...zero(), stale: counts.stale }), warmMs)
    setTimeout(() => end.abort(), warmMs + seconds * 1000)
    const written = new Map<string, number>()
    await Promise.all([
      ...Array.from({ length: callers }, (_, n) => call(nodes, leads, written, counts, n + 1, signal)),
      every(tellEveryMs, signal, async () => {
        const [city, startedAt] = [`City ${tellMs.length}`, performance.now()]
        await owner.query('update leads set city = $2 where id = $1', [told, city])
        const isTold = () => stream.events.some(({ data }) => (data['record'] as { city?: string } | undefined)?.city === city)
        await until(isTold, { intervalMs: 2, timeoutMs: 30_000 })
        tellMs.push(performance.now() - startedAt)
      }),
      every(lookEveryMs, signal, async () => {
        const answers = nodes.map((node) => fetch(`${node.url}/ops/overview`, { headers: { authorization } }))
        for (const answer of await Promise.all(answers)) {
          const { pools } = (await answer.json()) as { pools: readonly { utilisation: number }[] }
          utilisation.push(Math.max(...pools.map((pool) => pool.utilisation)))
        }
      }),
    ])
    stream.drop()
    const metrics = (await Promise.all(nodes.map(async (node) => (await fetch(`${node.url}/metrics`)).text()))).join('\n')
    const one = (name: string, value: number): Measure => ({ name, values: [value] })
    const connects = total(metrics, 'tidemark_postgres_connect_seconds_count')
    const connect = one('engine-connect-p95-ms', boundMs(metrics, 'tidemark_postgres_connect_seconds', 0.95))
    const statement = one('engine-statement-p95-ms', boundMs(metrics, 'tidemark_postgres_query_duration_seconds', 0.95))
    const hits = one('engine-hit-rate', counts.hits / counts.reads)
    const tell = one('engine-told-p95-ms', percentile(sorted(tellMs), 0.95))
    const pool = one('engine-pool-utilisation-mean', utilisation.reduce((sum, each) => sum + each, 0) / utilisation.length)
    const errors = one('engine-error-rate', counts.failed / counts.requests)
    const lost = one(
      'engine-lost-connections',
      total(metrics, 'tidemark_postgres_lost_connections_total') / Math.max(1, connects),
    )
    const stale = one('engine-stale-reads', counts.stale)
    const figures: readonly Figure[] = [
      { ...one('requests', counts.requests / seconds), unit: `a second, of ${callers} callers over two processes` },
      { ...one('reads', percentile(sorted(counts.readMs), 0.95)), unit: 'ms, 95 of 100, over HTTP' },
      { ...one('changes told', tellMs.length), unit: 'from the commit to a client of the other process' },
    ]
    const verdict = judge([
      { measure: connect, what: 'ms until a connection is open, 95 of 100, at most 50 (R134)', limit: 50 },
      { measure: statement, what: 'ms a statement takes, 95 of 100, at most 100 (R134)', limit: 100 },
      { measure: hits, what: 'reads that a cache answers, at least 0.8 (R134)', limit: 0.8, bound: 'least' },
      { measure: tell, what: 'ms from a commit until a client is told, 95 of 100, at most 200 (R134)', limit: 200 },
      { measure: pool, what: 'of its connections the fullest pool uses at most 0.7 (R134)', limit: 0.7 },
      { measure: errors, what: 'requests that fail, at most 0.001 (R135)', limit: 0.001 },
      { measure: lost, what: 'connections that break, at most 0.0001 (R135)', limit: 0.0001 },
      { measure: stale, what: 'reads that show what a finished write had replaced, none (R135)', limit: 0 },
    ])
    const closing = [connect, statement, hits, tell, pool, errors, lost, stale]
    console.log(['', summaryTable(figures), '', ...verdict.lines, '', ...closing.map(closingLine)].join('\n'))
    return verdict.met
  } finally {
    for (const each of stops.reverse()) await each()
  }
})
