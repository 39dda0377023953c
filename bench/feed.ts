// `npm run bench:feed`: how fast the write-ahead log reaches one follower, how late, and in how much memory. See README.md.
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { platformSource } from '../packages/tidemark/dist/schema/migration-files.js'
import { createMigrator } from '../packages/tidemark/dist/schema/migrator.js'
import { sessionsOf } from '../packages/tidemark/dist/schema/sessions.js'
import { count, main, parseOptions } from '../scripts/options.ts'
import { type FanOutResults, measureFanOut } from './feed/fan-out.ts'
import { follow, insertInSteps, openSource, publication, settledAges, takeAges } from './feed/feed-source.ts'
import { startWriter } from './feed/paced-writer.ts'
import { type BenchPostgres, openBenchPostgres } from './measuring/bench-postgres.ts'
import { closingLine, type Figure, judge, loadText, type Measure, summaryTable } from './measuring/report.ts'
import { percentile, ratios } from './measuring/statistics.ts'

const usage = `npm run bench:feed -- [options]
  --rows <n>      row changes of each throughput round (default 500000)
  --rounds <n>    rounds (default 3)
  --rate <n>      changes a second of the latency test (default 2000)
  --seconds <n>   its length (default 10)
  --large <n>     rows of the one large transaction (default 1000000)`

const mebibyte = 1024 * 1024

/** What the stream keeps of them fits into its bound, even where the second node falls behind. */
const mostFanOutRows = 200_000

interface FeedOptions {
  readonly rows: number
  readonly rounds: number
  readonly rate: number
  readonly seconds: number
  readonly large: number
}

const readOptions = (): FeedOptions => {
  const names = ['rows', 'rounds', 'rate', 'seconds', 'large'] as const
  const given = parseOptions(usage, Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])))
  const number = (name: (typeof names)[number], preset: number): number =>
    count(name, given[name], { default: preset, min: 1, max: 100_000_000 })
  return {
    rows: number('rows', 500_000),
    rounds: number('rounds', 3),
    rate: number('rate', 2000),
    seconds: number('seconds', 10),
    large: number('large', 1_000_000),
  }
}

const insert = (client: pg.Client, rows: number) =>
  client.query(
    "INSERT INTO changes (id, name, amount, note) SELECT n, 'name ' || n, n / 7.0, repeat('x', 60) FROM generate_series(1, $1::bigint) AS n ON CONFLICT (id) DO UPDATE SET amount = changes.amount + 1",
    [rows],
  )

/** What Postgres itself needs to decode the same changes, sent nowhere: nobody can be faster. */
const decodeAlone = async (client: pg.Client, rows: number): Promise<number> => {
  const slot = `bench_decode_${randomBytes(3).toString('hex')}`
  await client.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput', true)", [slot])
  await insertInSteps(client, rows)
  const started = performance.now()
  await client.query(
    "SELECT count(*) FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', $2)",
    [slot, publication],
  )
  const elapsedMs = performance.now() - started
  await client.query('SELECT pg_drop_replication_slot($1)', [slot])
  return elapsedMs
}

const throughput = async ({ url, client }: BenchPostgres, rows: number): Promise<number> => {
  const source = openSource(url)
  try {
    const from = await source.open()
    await insertInSteps(client, rows)
    let seen = 0
    const started = performance.now()
    await follow(source, from, ({ changes }) => {
      seen += changes.length
      return seen >= rows
    })
    return performance.now() - started
  } finally {
    await source.stop()
  }
}

/** From the moment a commit was asked for to the moment its change is here, both by this machine's clock. */
const latencies = async ({ url }: BenchPostgres, { rate, seconds }: FeedOptions): Promise<readonly number[]> => {
  const source = openSource(url)
  const from = await source.open()
  const writer = startWriter(url, { rate, seconds })
  const late: number[] = []
  try {
    await follow(source, from, (piece) => takeAges(piece, late))
    await writer.ended
  } finally {
    writer.stop()
    await source.stop()
  }
  return settledAges(late)
}

/** How much this process grows while one transaction of so many rows comes through. */
const largeTransaction = async ({ url, client }: BenchPostgres, rows: number): Promise<number> => {
  const source = openSource(url)
  try {
    const from = await source.open()
    await client.query('TRUNCATE changes')
    await insert(client, rows)
    globalThis.gc?.()
    const before = process.memoryUsage().rss
    let [seen, peak] = [0, before]
    await follow(source, from, ({ changes, last }) => {
      seen += changes.length
      peak = Math.max(peak, process.memoryUsage().rss)
      return last && seen >= rows
    })
    return (peak - before) / mebibyte
  } finally {
    await source.stop()
  }
}

const prepare = async ({ url, client }: BenchPostgres): Promise<void> => {
  await createMigrator({ connect: sessionsOf({ url }), sources: [platformSource] }).up()
  await client.query(`
    CREATE TABLE changes (id bigint PRIMARY KEY, name text NOT NULL, amount numeric(14, 4) NOT NULL, note text NOT NULL);
    CREATE PUBLICATION ${publication} FOR TABLE changes;
    CREATE PROCEDURE write_changes(rows bigint, step integer) LANGUAGE plpgsql AS $$
    DECLARE done bigint := 0; base bigint := coalesce((SELECT max(id) FROM changes), 0);
    BEGIN
      WHILE done < rows LOOP
        INSERT INTO changes SELECT base + done + n, 'name ' || n, n / 7.0, repeat('x', 60) FROM generate_series(1, least(step, rows - done)) AS n;
        done := done + least(step, rows - done);
        COMMIT;
      END LOOP;
    END $$;`)
}

interface FeedResults {
  /** Milliseconds, by round. */
  readonly decoding: readonly number[]
  readonly following: readonly number[]
  readonly late: readonly number[]
  readonly grown: number
  readonly fanOut: FanOutResults | undefined
}

const fanOutFigures = ({ rate }: FeedOptions, { rows, directMs, secondMs, ages }: FanOutResults): readonly Figure[] => {
  const perSecond = (all: readonly number[]) => all.map((ms) => rows / ms)
  return [
    { name: 'one follower, while it is written', values: perSecond(directMs), unit: 'thousand row changes a second' },
    { name: 'second node, while it is written', values: perSecond(secondMs), unit: 'thousand row changes a second' },
    { name: `commit to second node at ${rate} changes/s, p50`, values: [percentile(ages, 0.5)], unit: 'ms' },
    { name: `commit to second node at ${rate} changes/s, p99`, values: [percentile(ages, 0.99)], unit: 'ms' },
  ]
}

const fanOutMeasures = ({ directMs, secondMs, ages }: FanOutResults): readonly Measure[] => [
  { name: 'feed-fan-out-time', baseline: 'one-follower', values: ratios(secondMs, directMs) },
  { name: 'feed-fan-out-latency-p50-ms', values: [percentile(ages, 0.5)] },
  { name: 'feed-fan-out-latency-p99-ms', values: [percentile(ages, 0.99)] },
]

const report = (options: FeedOptions, { decoding, following, late, grown, fanOut }: FeedResults) => {
  const perSecond = following.map((ms) => (options.rows / ms) * 1000)
  const [middle, worst] = [[percentile(late, 0.5)], [percentile(late, 0.99)]]
  const figures: readonly Figure[] = [
    { name: 'one follower', values: perSecond.map((n) => n / 1000), unit: 'thousand row changes a second' },
    { name: 'Postgres decoding alone', values: decoding.map((ms) => options.rows / ms), unit: 'thousand row changes a second' },
    { name: `commit to follower at ${options.rate} changes/s, p50`, values: middle, unit: 'ms' },
    { name: `commit to follower at ${options.rate} changes/s, p99`, values: worst, unit: 'ms' },
    { name: `growth during one transaction of ${options.large} rows`, values: [grown], unit: 'MiB' },
    ...(fanOut ? fanOutFigures(options, fanOut) : []),
  ]
  const ratio: Measure = { name: 'feed-time', baseline: 'decoding-alone', values: ratios(following, decoding) }
  const slowness: Measure = { name: 'feed-us-per-change', values: perSecond.map((n) => 1e6 / n) }
  const p50: Measure = { name: 'feed-latency-p50-ms', values: middle }
  const p99: Measure = { name: 'feed-latency-p99-ms', values: worst }
  const memory: Measure = { name: 'feed-large-transaction-mib', values: [grown] }
  const verdict = judge([
    { measure: slowness, what: 'at most 20 µs a row change (50,000 a second)', limit: 20 },
    { measure: p50, what: 'half of the commits here within 2 ms', limit: 2 },
    { measure: p99, what: '99 of 100 within 20 ms', limit: 20 },
    { measure: memory, what: 'at most 64 MiB more for one large transaction', limit: 64 },
  ])
  const closing = [...(fanOut ? fanOutMeasures(fanOut) : []), ratio, slowness, p50, p99, memory].map(closingLine)
  return { met: verdict.met, text: [summaryTable(figures), '', ...verdict.lines, '', ...closing].join('\n') }
}

await main(async (signal) => {
  const options = readOptions()
  const postgres = await openBenchPostgres()
  try {
    await prepare(postgres)
    console.log(`${postgres.description} · Node ${process.versions.node} · ${loadText()}`)
    const decoding: number[] = []
    const following: number[] = []
    for (let round = 1; round <= options.rounds; round++) {
      signal.throwIfAborted()
      decoding.push(await decodeAlone(postgres.client, options.rows))
      following.push(await throughput(postgres, options.rows))
      console.log(
        `round ${round}: ${Math.round((options.rows / following.at(-1)!) * 1000).toLocaleString('en')} changes/s · ${loadText()}`,
      )
    }
    const late = await latencies(postgres, options)
    const grown = await largeTransaction(postgres, options.large)
    await postgres.client.query('TRUNCATE changes')
    const fanOut = await measureFanOut(postgres, { ...options, rows: Math.min(options.rows, mostFanOutRows), signal })
    const { met, text } = report(options, { decoding, following, late, grown, fanOut })
    console.log(`\n${text}`)
    return met
  } finally {
    await postgres.stop()
  }
})
