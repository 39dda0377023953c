// `npm run bench:webhook-answers`: how soon webhooks are answered at a steady pace, and under a flood of forged signatures. See README.md.
import { generateKeyPairSync, sign } from 'node:crypto'
import { bootstrappedTemplate } from '../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { startTestRedis } from '../packages/tidemark/dist/testing/redis/redis-server.js'
import { createSignatureQueue } from '../packages/tidemark/dist/webhooks/providers/signature-queue.js'
import { count, main, parseOptions } from '../scripts/options.ts'
import { openBenchPostgres } from './measuring/bench-postgres.ts'
import { closingLine, judge, loadText, type Measure, summaryTable, type Target } from './measuring/report.ts'
import { percentile } from './measuring/statistics.ts'
import { Caller, runLoad } from './rest/callers.ts'
import { runPaced } from './webhooks/paced-load.ts'
import { ed25519Request, forgedRequest, requestText } from './webhooks/requests.ts'
import type { WebhookAddresses } from './webhooks/serving.ts'
import { startWebhooks } from './webhooks/start-webhooks.ts'

const usage = `npm run bench:webhook-answers -- [options]
  --rounds <n>    rounds that count (default 3)
  --ms <n>        length of one turn (default 5000)`

const { publicKey, privateKey } = generateKeyPairSync('ed25519')
const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64')

/** T3 */
const perSecond = 1000
/** F21 */
const forgedPerSecond = 2000
const validPerSecond = 100

/** Since the last question. */
const loopDelayMs = async ({ answer }: WebhookAddresses): Promise<number> => {
  const caller = await Caller.open(answer)
  const { p99Ms } = JSON.parse((await caller.ask('GET /delay HTTP/1.1\r\nhost: a\r\n\r\n', 200)).toString())
  caller.close()
  return p99Ms
}

/** Signatures that the thread pool checks in one second of a processor. */
const verifiedPerCore = async (ms: number): Promise<number> => {
  const queue = createSignatureQueue()
  const message = Buffer.from('m'.repeat(2000))
  const signature = sign(null, message, privateKey)
  const endsAt = performance.now() + ms
  const before = process.cpuUsage()
  let checked = 0
  const caller = async (): Promise<void> => {
    for (; performance.now() < endsAt; checked++) await queue.verify(null, message, publicKey, signature)
  }
  await Promise.all(Array.from({ length: 64 }, caller))
  const { user, system } = process.cpuUsage(before)
  return (checked * 1e6) / (user + system)
}

const names = [
  'p50',
  'p99',
  'p999',
  'postgres-p50',
  'postgres-p99',
  'ed25519',
  'ed25519-delay',
  'flood-p99',
  'flood-delay',
] as const
type Name = (typeof names)[number]

const round = async (addresses: WebhookAddresses, ms: number): Promise<Readonly<Record<Name, number>>> => {
  const { redis: port, postgres } = addresses
  const quick = await runPaced({ port, perSecond, ms, request: requestText, status: 202 })
  const durable = await runPaced({ port: postgres, perSecond, ms, request: requestText, status: 202 })
  await loopDelayMs(addresses)
  await runLoad({ port, callers: 64, ms, request: ed25519Request(privateKey), status: 202 })
  const signedDelayMs = await loopDelayMs(addresses)
  const flood = runPaced({ port, perSecond: forgedPerSecond, ms, request: forgedRequest, status: 401 })
  const valid = await runPaced({ port, perSecond: validPerSecond, ms, request: ed25519Request(privateKey), status: 202 })
  await flood
  return {
    p50: percentile(quick, 0.5),
    p99: percentile(quick, 0.99),
    p999: percentile(quick, 0.999),
    'postgres-p50': percentile(durable, 0.5),
    'postgres-p99': percentile(durable, 0.99),
    ed25519: await verifiedPerCore(Math.min(ms, 2000)),
    'ed25519-delay': signedDelayMs,
    'flood-p99': percentile(valid, 0.99),
    'flood-delay': await loopDelayMs(addresses),
  }
}

const judged: Readonly<Record<Name, Omit<Target, 'measure'> & { readonly unit: string }>> = {
  p50: { what: 'ms until the answer at 1,000 a second, half of them, at most 5', limit: 5, unit: 'ms' },
  p99: { what: 'ms until the answer at 1,000 a second, 99 of 100, at most 25', limit: 25, unit: 'ms' },
  p999: { what: 'ms until the answer at 1,000 a second, 999 of 1,000, at most 100', limit: 100, unit: 'ms' },
  'postgres-p50': { what: '', limit: Number.POSITIVE_INFINITY, unit: 'ms' },
  'postgres-p99': { what: '', limit: Number.POSITIVE_INFINITY, unit: 'ms' },
  ed25519: {
    what: 'signatures of Ed25519 checked in a second of a processor, at least 4,000',
    limit: 4000,
    bound: 'least',
    unit: 'signatures',
  },
  'ed25519-delay': { what: 'ms that the event loop is late meanwhile, 99 of 100, at most 20', limit: 20, unit: 'ms' },
  'flood-p99': { what: 'ms until the answer under 2,000 forged ones a second, 99 of 100, at most 100', limit: 100, unit: 'ms' },
  'flood-delay': { what: 'ms that the event loop is late under them, 99 of 100, at most 50', limit: 50, unit: 'ms' },
}

await main(async (signal) => {
  const given = parseOptions(usage, { rounds: { type: 'string' }, ms: { type: 'string' } })
  const rounds = count('rounds', given['rounds'], { default: 3, min: 1, max: 100 })
  const ms = count('ms', given['ms'], { default: 5000, min: 200, max: 600_000 })
  const postgres = await openBenchPostgres()
  const redis = await startTestRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'everysec'] })
  try {
    await bootstrappedTemplate.prepare(postgres.url)
    console.log(`${postgres.description} · Node ${process.versions.node} · ${loadText()}`)
    const serving = await startWebhooks(postgres.url, redis.url, spki)
    const values: Record<Name, number[]> = Object.fromEntries(names.map((name) => [name, []])) as never
    try {
      // The first is for code to be compiled and statements to be prepared.
      for (let n = 0; n <= rounds; n++) {
        signal.throwIfAborted()
        const found = await round(serving.addresses, ms)
        if (n > 0) for (const name of names) values[name].push(found[name])
        console.log(`round ${n === 0 ? '(warming up)' : n} · ${loadText()}`)
      }
    } finally {
      await serving.stop()
    }
    const measures = names.map((name): Measure => ({ name: `webhook-answers-${name}`, values: values[name] }))
    const targets = names.flatMap((name, at) => (judged[name].what === '' ? [] : [{ ...judged[name], measure: measures[at] }]))
    const verdict = judge(targets)
    const figures = measures.map((measure, at) => ({ ...measure, unit: judged[names[at]!].unit }))
    console.log(['', summaryTable(figures), '', ...verdict.lines, '', ...measures.map(closingLine)].join('\n'))
    return verdict.met
  } finally {
    await redis.stop()
    await postgres.stop()
  }
})
