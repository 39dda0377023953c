// `npm run bench:webhooks`: the whole intake beside bare Fastify routes that only check and append, or only answer. See README.md.
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { createRedis } from '../packages/tidemark/dist/redis/create-redis.js'
import { bootstrappedTemplate } from '../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { startTestRedis } from '../packages/tidemark/dist/testing/redis/redis-server.js'
import { partitionKeys } from '../packages/tidemark/dist/webhooks/webhooks.js'
import { count, main, parseOptions } from '../scripts/options.ts'
import { type BenchPostgres, openBenchPostgres } from './measuring/bench-postgres.ts'
import { closingLine, type Figure, judge, loadText, type Measure, summaryTable, type Target } from './measuring/report.ts'
import { percentile, ratios } from './measuring/statistics.ts'
import { Caller, runLoad } from './rest/callers.ts'
import { requestText } from './webhooks/requests.ts'
import type { WebhookAddresses } from './webhooks/serving.ts'
import { startWebhooks } from './webhooks/start-webhooks.ts'

const contenders = ['redis', 'postgres', 'append', 'answer'] as const
type Contender = (typeof contenders)[number]

/** Those whom it concerns when Redis writes out its log. */
const appending: readonly Contender[] = ['redis', 'append']

const labels: Readonly<Record<Contender, string>> = {
  redis: 'webhooks-redis',
  postgres: 'webhooks-postgres',
  append: 'fastify-hmac-xadd',
  answer: 'fastify-200',
}

interface Turn {
  readonly requests: number
  readonly perSecond: number
  readonly cpuUs: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const cpuMicros = async ({ answer }: WebhookAddresses): Promise<number> => {
  const caller = await Caller.open(answer)
  const { user, system } = JSON.parse((await caller.ask('GET /cpu HTTP/1.1\r\nhost: a\r\n\r\n', 200)).toString())
  caller.close()
  return user + system
}

interface Options {
  readonly rounds: number
  readonly ms: number
  readonly callers: number
  readonly signal: AbortSignal
}

/** Rounds before the first that counts: until then code is being compiled, and statements are being prepared. */
const warmUps = 2

type Turns = ReadonlyMap<Contender, readonly Turn[]>

const measure = async (
  addresses: WebhookAddresses,
  those: readonly Contender[],
  { rounds, ms, callers, signal }: Options,
): Promise<Turns> => {
  const turns = new Map<Contender, Turn[]>(those.map((contender) => [contender, []]))
  for (let round = 0; round < warmUps + rounds; round++) {
    for (let i = 0; i < those.length; i++) {
      signal.throwIfAborted()
      const contender = those[(i + round) % those.length]!
      const before = await cpuMicros(addresses)
      const status = contender === 'answer' ? 200 : 202
      const load = await runLoad({ port: addresses[contender], callers, ms, request: requestText, status })
      const cpuUs = ((await cpuMicros(addresses)) - before) / load.requests
      const { requests, perSecond, latencies } = load
      const turn = { requests, perSecond, cpuUs, p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) }
      turns.get(contender)!.push(turn)
    }
    console.log(`round ${round < warmUps ? '(warming up)' : round - warmUps + 1} · ${loadText()}`)
  }
  return turns
}

/** Speed counts only where everything that was answered is kept. */
const checkKept = (turns: readonly Turn[], kept: number, where: string): void => {
  const answered = turns.reduce((sum, { requests }) => sum + requests, 0)
  if (kept < answered) throw new Error(`${answered} events were answered, of which ${where} holds ${kept}`)
}

const rowsOf = async ({ client }: BenchPostgres): Promise<number> => {
  const { rows } = await client.query<{ n: string }>("select count(*) as n from public.webhook_events where provider = 'bench'")
  return Number(rows[0]!.n)
}

const entriesOf = async (redisUrl: string): Promise<number> => {
  const redis = await createRedis({ url: redisUrl })
  return redis.command<number>(['XLEN', partitionKeys(0, 1).stream]).finally(() => redis.stop())
}

/** Over a Redis of its own, which writes out its log every second, or before each answer. */
const measureOver = async (
  databaseUrl: string,
  appendfsync: 'everysec' | 'always',
  those: readonly Contender[],
  options: Options,
): Promise<Turns> => {
  console.log(`appendfsync ${appendfsync}`)
  const redis = await startTestRedis({ args: ['--appendonly', 'yes', '--appendfsync', appendfsync] })
  try {
    const serving = await startWebhooks(databaseUrl, redis.url)
    const turns = await measure(serving.addresses, those, options).finally(() => serving.stop())
    const intake = those.filter((contender) => contender === 'redis' || contender === 'postgres')
    checkKept(
      intake.flatMap((contender) => turns.get(contender)!),
      await entriesOf(redis.url),
      'the stream',
    )
    return turns
  } finally {
    await redis.stop()
  }
}

const picker =
  (turns: Turns) =>
  (contender: Contender, field: keyof Turn): readonly number[] =>
    turns
      .get(contender)!
      .slice(warmUps)
      .map((turn) => turn[field])

const figuresOf = (turns: Turns, suffix = ''): readonly Figure[] => {
  const pick = picker(turns)
  return [...turns.keys()].flatMap((contender): Figure[] => [
    { name: `${labels[contender]}${suffix}`, values: pick(contender, 'perSecond'), unit: 'events a second' },
    { name: '', values: pick(contender, 'cpuUs'), unit: 'µs of the processor' },
    { name: '', values: pick(contender, 'p50Ms'), unit: 'ms, half of the answers' },
    { name: '', values: pick(contender, 'p99Ms'), unit: 'ms, 99 of 100 answers' },
  ])
}

const ratioOf = (turns: Turns, contender: Contender, baseline: Contender, suffix = ''): Measure => ({
  name: `${labels[contender]}${suffix}`,
  baseline: `${labels[baseline]}${suffix}`,
  values: ratios(picker(turns)(contender, 'perSecond'), picker(turns)(baseline, 'perSecond')),
})

/** Where files are kept in memory, writing them out costs nothing. */
const tmpfs = 0x0102_1994
const writesOut = async (): Promise<boolean> => (await statfs(tmpdir())).type !== tmpfs

const usage = `npm run bench:webhooks -- [options]
  --rounds <n>    rounds that count (default 7)
  --ms <n>        length of one turn (default 1500)
  --callers <n>   callers at a time, each of whom waits for its answer (default 64)`

await main(async (signal) => {
  const given = parseOptions(usage, { rounds: { type: 'string' }, ms: { type: 'string' }, callers: { type: 'string' } })
  const options: Options = {
    rounds: count('rounds', given['rounds'], { default: 7, min: 1, max: 100 }),
    ms: count('ms', given['ms'], { default: 1500, min: 100, max: 60_000 }),
    callers: count('callers', given['callers'], { default: 64, min: 1, max: 1000 }),
    signal,
  }
  const postgres = await openBenchPostgres()
  try {
    await bootstrappedTemplate.prepare(postgres.url)
    console.log(`${postgres.description} · Node ${process.versions.node} · ${options.callers} callers · ${loadText()}`)
    const turns = await measureOver(postgres.url, 'everysec', contenders, options)
    checkKept(turns.get('postgres')!, await rowsOf(postgres), 'Postgres')
    const always = await measureOver(postgres.url, 'always', appending, options)
    const toAppend = ratioOf(turns, 'redis', 'append')
    const toAnswer = ratioOf(turns, 'redis', 'answer')
    const toAppendAlways = ratioOf(always, 'redis', 'append', '-always')
    const cpu: Measure = { name: 'webhooks-redis-cpu-us', values: picker(turns)('redis', 'cpuUs') }
    const targets: readonly Target[] = [
      { measure: toAppend, what: 'events a second, to Fastify with HMAC and XADD, at least 0.90', limit: 0.9, bound: 'least' },
      { measure: toAnswer, what: 'events a second, to Fastify that only answers, at least 0.50', limit: 0.5, bound: 'least' },
      { measure: cpu, what: 'µs of the processor for an event, at most 75', limit: 75 },
      {
        measure: (await writesOut()) ? toAppendAlways : undefined,
        what: 'the same to Fastify with HMAC and XADD where Redis writes out its log before each answer, at least 1.50',
        limit: 1.5,
        bound: 'least',
      },
    ]
    const measures = [
      toAppend,
      toAnswer,
      ratioOf(turns, 'postgres', 'append'),
      ratioOf(turns, 'postgres', 'answer'),
      toAppendAlways,
      cpu,
    ]
    const figures = [...figuresOf(turns), ...figuresOf(always, '-always')]
    const verdict = judge(targets)
    console.log(['', summaryTable(figures), '', ...verdict.lines, '', ...measures.map(closingLine)].join('\n'))
    return verdict.met
  } finally {
    await postgres.stop()
  }
})
