// `npm run bench:webhooks`: the whole intake beside bare Fastify routes that only check and append, or only answer. See README.md.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { bootstrappedTemplate } from '../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { startTestRedis } from '../packages/tidemark/dist/testing/redis-server.js'
import { count, main, parseOptions } from '../scripts/options.ts'
import { openBenchPostgres } from './bench-postgres.ts'
import { closingLine, type Figure, judge, loadText, type Measure, summaryTable, type Target } from './report.ts'
import { Caller, runLoad } from './rest/callers.ts'
import { percentile, ratios } from './statistics.ts'
import type { WebhookAddresses } from './webhooks/serving.ts'

const secret = 'a secret of the benchmark'

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

interface Serving {
  readonly addresses: WebhookAddresses
  stop(): Promise<void>
}

const startServing = async (databaseUrl: string, redisUrl: string): Promise<Serving> => {
  const script = fileURLToPath(new URL('webhooks/serving.ts', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, ['node_modules/.bin/jiti', script], {
    env: { ...process.env, WEBHOOKS_BENCH_POSTGRES: databaseUrl, WEBHOOKS_BENCH_REDIS: redisUrl },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  const [said] = (await Promise.race([once(child.stdout!, 'data'), ended])) as [Buffer | number | null]
  if (!Buffer.isBuffer(said)) throw new Error(`the process that serves ended with ${String(said)}`)
  return { addresses: JSON.parse(said.toString()) as WebhookAddresses, stop }
}

/** A contact as a CRM sends it, of about two kilobytes, with an id that nobody has seen. */
const bodyOf = (n: number): string =>
  JSON.stringify({
    eventId: randomUUID(),
    event: 'contact.updated',
    timestamp: new Date().toISOString(),
    contact: String(n % 5000),
    name: 'Zoë Müller',
    notes: 'Would like to see the house on the hill again, in the morning if possible. '.repeat(22),
    tags: ['buyer', 'spring', 'second visit'],
    address: { city: 'Darwin', state: 'NT', postalCode: '0800', country: 'AU' },
  })

const requestText = (n: number): string => {
  const body = bodyOf(n)
  const signature = createHmac('sha256', secret).update(body).digest('hex')
  const head = [
    'POST /webhooks/bench HTTP/1.1',
    'host: 127.0.0.1',
    'content-type: application/json',
    `x-bench-signature: ${signature}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  return [...head, '', body].join('\r\n')
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
    const serving = await startServing(postgres.url, redis.url)
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
