// `npm run bench:webhooks`: the whole intake beside bare Fastify routes that only check and append, or only answer. See README.md.
import { bootstrappedTemplate } from '../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { startTestRedis } from '../packages/tidemark/dist/testing/redis/redis-server.js'
import { count, main, parseOptions } from '../scripts/options.ts'
import { openBenchPostgres } from './measuring/bench-postgres.ts'
import { closingLine, type Figure, judge, loadText, type Measure, summaryTable, type Target } from './measuring/report.ts'
import { percentile, ratios } from './measuring/statistics.ts'
import { Caller, runLoad } from './rest/callers.ts'
import { requestText } from './webhooks/requests.ts'
import type { WebhookAddresses } from './webhooks/serving.ts'
import { startWebhooks } from './webhooks/start-webhooks.ts'

const contenders = ['redis', 'postgres', 'append', 'answer'] as const
type Contender = (typeof contenders)[number]

const labels: Readonly<Record<Contender, string>> = {
  redis: 'webhooks-redis',
  postgres: 'webhooks-postgres',
  append: 'fastify-hmac-xadd',
  answer: 'fastify-200',
}

interface Turn {
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

const measure = async (
  addresses: WebhookAddresses,
  { rounds, ms, callers, signal }: Options,
): Promise<ReadonlyMap<Contender, Turn[]>> => {
  const turns = new Map<Contender, Turn[]>(contenders.map((contender) => [contender, []]))
  for (let round = 0; round < warmUps + rounds; round++) {
    for (let i = 0; i < contenders.length; i++) {
      signal.throwIfAborted()
      const contender = contenders[(i + round) % contenders.length]!
      const before = await cpuMicros(addresses)
      const status = contender === 'answer' ? 200 : 202
      const load = await runLoad({ port: addresses[contender], callers, ms, request: requestText, status })
      const cpuUs = ((await cpuMicros(addresses)) - before) / load.requests
      const { perSecond, latencies } = load
      const turn = { perSecond, cpuUs, p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) }
      if (round >= warmUps) turns.get(contender)!.push(turn)
    }
    console.log(`round ${round < warmUps ? '(warming up)' : round - warmUps + 1} · ${loadText()}`)
  }
  return turns
}

/** Speed counts only where everything that was answered is kept. */
const checkKept = async (client: { query(text: string): Promise<{ rows: { n: string }[] }> }): Promise<void> => {
  const { rows } = await client.query("select count(*) as n from public.webhook_events where provider = 'bench'")
  if (Number(rows[0]!.n) === 0) throw new Error('nothing was kept in Postgres')
}

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
  const redis = await startTestRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'everysec'] })
  try {
    await bootstrappedTemplate.prepare(postgres.url)
    console.log(`${postgres.description} · Node ${process.versions.node} · ${options.callers} callers · ${loadText()}`)
    const serving = await startWebhooks(postgres.url, redis.url)
    const turns = await measure(serving.addresses, options).finally(() => serving.stop())
    await checkKept(postgres.client as never)
    const pick = (contender: Contender, field: keyof Turn): readonly number[] => turns.get(contender)!.map((turn) => turn[field])
    const ratioOf = (contender: Contender, baseline: Contender): Measure => ({
      name: labels[contender],
      baseline: labels[baseline],
      values: ratios(pick(contender, 'perSecond'), pick(baseline, 'perSecond')),
    })
    const toAppend = ratioOf('redis', 'append')
    const toAnswer = ratioOf('redis', 'answer')
    const cpu: Measure = { name: 'webhooks-redis-cpu-us', values: pick('redis', 'cpuUs') }
    const targets: readonly Target[] = [
      { measure: toAppend, what: 'events a second, to Fastify with HMAC and XADD, at least 0.90', limit: 0.9, bound: 'least' },
      { measure: toAnswer, what: 'events a second, to Fastify that only answers, at least 0.50', limit: 0.5, bound: 'least' },
      { measure: cpu, what: 'µs of the processor for an event, at most 75', limit: 75 },
    ]
    const figures = contenders.flatMap((contender): Figure[] => [
      { name: labels[contender], values: pick(contender, 'perSecond'), unit: 'events a second' },
      { name: '', values: pick(contender, 'cpuUs'), unit: 'µs of the processor' },
      { name: '', values: pick(contender, 'p50Ms'), unit: 'ms, half of the answers' },
      { name: '', values: pick(contender, 'p99Ms'), unit: 'ms, 99 of 100 answers' },
    ])
    const measures = [toAppend, toAnswer, ratioOf('postgres', 'append'), ratioOf('postgres', 'answer'), cpu]
    const verdict = judge(targets)
    console.log(['', summaryTable(figures), '', ...verdict.lines, '', ...measures.map(closingLine)].join('\n'))
    return verdict.met
  } finally {
    await redis.stop()
    await postgres.stop()
  }
})
