// `npm run bench:webhook-workers`: events a second that one process handles, retries, dedupe and lanes on. See README.md.

import { createNamedPool, type Pool } from '../packages/tidemark/dist/postgres/postgres.js'
import { createRedis } from '../packages/tidemark/dist/redis/create-redis.js'
import type { Redis } from '../packages/tidemark/dist/redis/redis.js'
import { bootstrappedTemplate, testUrl } from '../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { startTestRedis } from '../packages/tidemark/dist/testing/redis/redis-server.js'
import { until } from '../packages/tidemark/dist/time/until.js'
import { giveQueued, giveWhole } from '../packages/tidemark/dist/webhooks/testing/give-events.js'
import type { EventHandler } from '../packages/tidemark/dist/webhooks/webhooks.js'
import { createHandlers } from '../packages/tidemark/dist/webhooks/workers/create-handlers.js'
import { openWorkers } from '../packages/tidemark/dist/webhooks/workers/open-workers.js'
import { count, main, parseOptions } from '../scripts/options.ts'
import { openBenchPostgres } from './measuring/bench-postgres.ts'
import { closingLine, type Figure, judge, loadText, type Measure, summaryTable, type Target } from './measuring/report.ts'
import { percentile } from './measuring/statistics.ts'

const entities = 1_000
/** About a kilobyte of a contact. */
const filler = { notes: 'Would like to see the house on the hill again, in the morning if possible. '.repeat(11) }

type Contender = 'noop' | 'whole' | 'row'

const labels: Readonly<Record<Contender, string>> = {
  noop: 'webhook-workers-noop',
  whole: 'webhook-workers-noop-redis',
  row: 'webhook-workers-one-row',
}

const noop: EventHandler = async () => {}
const oneRow: EventHandler = async ({ id }, { db }) => {
  await db.query('insert into bench_effects (event) values ($1)', [id], { name: 'bench effect' })
}

interface Place {
  readonly client: Parameters<typeof giveQueued>[0]
  readonly pool: Pool
  readonly redis: Redis
  readonly connect: () => Promise<Redis>
}

const given = (events: number) => Array.from({ length: events }, (_each, n) => ({ entity: `e${n % entities}`, n, data: filler }))

const processed = async ({ client }: Place): Promise<number> =>
  Number((await client.query(`select count(*) as n from webhook_events where status = 'processed'`)).rows[0].n)

const clear = async ({ client, redis }: Place): Promise<void> => {
  await client.query('truncate webhook_events, bench_effects, tidemark.webhook_partitions, tidemark.webhook_workers')
  await client.query('checkpoint')
  await redis.command(['FLUSHALL'])
}

/** The stream is full before the process begins, so that nothing else is measured. */
const drain = async (place: Place, contender: Contender, events: number): Promise<number> => {
  await clear(place)
  for (let at = 0; at < events; at += 1_000) {
    const part = given(Math.min(1_000, events - at))
    await (contender === 'whole' ? giveWhole(place.redis, part) : giveQueued(place.client, place.redis, part))
  }
  const { pool, redis, connect } = place
  const handlers = createHandlers({ '*': contender === 'row' ? oneRow : noop })
  const startedAt = performance.now()
  const workers = await openWorkers({ pool, redis, connect, handlers })
  try {
    await until(async () => (await processed(place)) === events, { timeoutMs: 300_000, intervalMs: 50 })
    return (events / (performance.now() - startedAt)) * 1000
  } finally {
    await workers.stop()
  }
}

/** From appending to the begin of the handler, one event every two milliseconds. */
const latency = async (place: Place, ms: number): Promise<readonly number[]> => {
  await clear(place)
  const latencies: number[] = []
  const { pool, redis, connect } = place
  const arrived = new Map<number, number>()
  const handlers = createHandlers({
    '*': async ({ data }) => {
      latencies.push(performance.now() - arrived.get(Number(data['n']))!)
    },
  })
  const workers = await openWorkers({ pool, redis, connect, handlers })
  try {
    await until(() => workers.state.owned.length === 1)
    const startedAt = performance.now()
    for (let n = 0; performance.now() - startedAt < ms; n += 5) {
      const part = Array.from({ length: 5 }, (_each, at) => ({ entity: `e${(n + at) % entities}`, n: n + at, data: filler }))
      for (const { n: number } of part) arrived.set(number, performance.now())
      await giveWhole(redis, part)
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, startedAt + (n + 5) * 2 - performance.now())))
    }
    await until(() => latencies.length === arrived.size)
  } finally {
    await workers.stop()
  }
  return latencies.sort((one, other) => one - other)
}

const usage = `npm run bench:webhook-workers -- [options]
  --rounds <n>   rounds that count (default 5)
  --events <n>   events of a turn (default 20000)
  --ms <n>       length of the turn at 500 events a second (default 5000)`

await main(async (signal) => {
  const option = { type: 'string' } as const
  const values = parseOptions(usage, { rounds: option, events: option, ms: option })
  const rounds = count('rounds', values['rounds'], { default: 5, min: 1, max: 100 })
  const events = count('events', values['events'], { default: 20_000, min: 100, max: 1e7 })
  const ms = count('ms', values['ms'], { default: 5_000, min: 500, max: 600_000 })
  const postgres = await openBenchPostgres()
  const redisServer = await startTestRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'everysec'] })
  await bootstrappedTemplate.prepare(postgres.url)
  await postgres.client.query('create table bench_effects (event uuid); grant all on bench_effects to tidemark_app')
  const pool = createNamedPool('primary', { url: testUrl(postgres.url, 'app') })
  const connect = () => createRedis({ url: redisServer.url })
  const redis = await connect()
  try {
    console.log(`${postgres.description} · Node ${process.versions.node} · ${loadText()}`)
    const place: Place = { client: postgres.client, pool, redis, connect }
    const speeds: Record<Contender, number[]> = { noop: [], whole: [], row: [] }
    const p50: number[] = []
    const p99: number[] = []
    for (let round = 0; round <= rounds; round++) {
      for (const contender of ['noop', 'whole', 'row'] as const) {
        signal.throwIfAborted()
        const speed = await drain(place, contender, events)
        if (round > 0) speeds[contender].push(speed)
      }
      const latencies = await latency(place, ms)
      if (round > 0) p50.push(percentile(latencies, 0.5))
      if (round > 0) p99.push(percentile(latencies, 0.99))
      console.log(`round ${round === 0 ? '(warming up)' : round} · ${loadText()}`)
    }
    const measure = (name: string, list: readonly number[]): Measure => ({ name, values: list })
    const speed = measure(labels.noop, speeds.noop)
    const start50 = measure('webhook-start-p50-ms', p50)
    const start99 = measure('webhook-start-p99-ms', p99)
    const targets: readonly Target[] = [
      { measure: speed, what: 'events a second that one process handles, at least 10,000', limit: 10_000, bound: 'least' },
      { measure: start50, what: 'ms from appending to the handler at 500 a second, half of them, at most 10', limit: 10 },
      { measure: start99, what: 'ms from appending to the handler at 500 a second, 99 of 100, at most 50', limit: 50 },
    ]
    const figures: readonly Figure[] = [
      ...(['noop', 'whole', 'row'] as const).map((each) => ({ ...measure(labels[each], speeds[each]), unit: 'events a second' })),
      { ...start50, unit: 'ms, half of them' },
      { ...start99, unit: 'ms, 99 of 100' },
    ]
    const verdict = judge(targets)
    console.log(['', summaryTable(figures), '', ...verdict.lines, '', ...figures.map(closingLine)].join('\n'))
    return verdict.met
  } finally {
    await redis.stop()
    await pool.stop()
    await redisServer.stop()
    await postgres.stop()
  }
})
