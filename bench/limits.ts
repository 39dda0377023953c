// `npm run bench:limits`: limiters beside a plain sorted set, what a breaker costs a call, and what processes agree on. See README.md.

import { Redis as Ioredis } from 'ioredis'
import { createRedis } from '../packages/tidemark/dist/redis/create-redis.js'
import { createSharedLimiterStore } from '../packages/tidemark/dist/redis/limits.js'
import { createBreaker } from '../packages/tidemark/dist/resilience/breaker.js'
import { createLimiter } from '../packages/tidemark/dist/resilience/limiter.js'
import { startTestRedis, type TestRedis } from '../packages/tidemark/dist/testing/redis/redis-server.js'
import {
  createService,
  endPeer,
  isReady,
  type Peer,
  startPeer,
  stateOf,
  statesOf,
} from '../packages/tidemark/dist/testing/resilience/resilience-peers.js'
import { until } from '../packages/tidemark/dist/time/until.js'
import { count, main, parseOptions } from '../scripts/options.ts'
import { type Pace, type Paces, paceAtOnce, paceAwaited, paceOfCallers, takeTurns } from './cache/turns.ts'
import { closingLine, type Figure, judge, loadText, type Measure, summaryTable, type Target } from './measuring/report.ts'
import { ratios } from './measuring/statistics.ts'

const usage = `npm run bench:limits -- [options]
  --rounds <n>        rounds of what is measured in turns (default 5)
  --ms <n>            length of one turn (default 1000)
  --keys <n>          keys that callers take from in turn (default 5000)
  --seconds <n>       for how long four processes overload one limit (default 5)`

const readOptions = () => {
  const names = ['rounds', 'ms', 'keys', 'seconds'] as const
  const given = parseOptions(usage, Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])))
  const number = (name: (typeof names)[number], preset: number, max: number): number =>
    count(name, given[name], { default: preset, min: 1, max })
  return {
    rounds: number('rounds', 5, 100),
    ms: number('ms', 1000, 60_000),
    keys: number('keys', 5000, 1_000_000),
    seconds: number('seconds', 5, 600),
  }
}

interface Found {
  readonly figures: readonly Figure[]
  readonly measures: readonly Measure[]
  readonly targets: readonly Target[]
}

const callers = 64
const slow = { timeoutMs: 120_000, intervalMs: 50 }

/** The sorted set of the textbooks, on the caller's clock, in one transaction: what a limiter costs at least that is not exact. */
const plainSortedSet = (url: string, limit: number, windowMs: number) => {
  const client = new Ioredis(url, { protocol: 2 })
  let tokens = 0
  return {
    take: async (key: string): Promise<boolean> => {
      const now = Date.now()
      tokens += 1
      const replies = await client
        .multi()
        .zremrangebyscore(key, 0, now - windowMs)
        .zadd(key, now, `${now}-${tokens}`)
        .zcard(key)
        .pexpire(key, windowMs)
        .exec()
      return Number(replies?.[2]?.[1]) <= limit
    },
    stop: () => client.disconnect(),
  }
}

const kilo = (name: string, { perSecond, cpuUsPerCall }: Paces): readonly Figure[] => [
  { name, values: perSecond.map((value) => value / 1000), unit: 'thousand checks a second' },
  { name: '', values: cpuUsPerCall, unit: 'µs of the processor' },
]

/** Every check goes to Redis: the keys are many, and none is used up for long. */
const limiters = async (redis: TestRedis, options: ReturnType<typeof readOptions>, signal: AbortSignal): Promise<Found> => {
  const { rounds, ms, keys } = options
  const [limit, windowMs] = [100, 1000]
  const connection = await createRedis({ url: redis.url })
  const store = createSharedLimiterStore({ redis: connection, maxDenials: 0 })
  const limiter = (algorithm: 'log' | 'ring' | 'gcra') =>
    createLimiter({ name: `bench-${algorithm}`, limit, windowMs, algorithm, store })
  const plain = plainSortedSet(redis.url, limit, windowMs)
  const [log, ring, gcra] = [limiter('log'), limiter('ring'), limiter('gcra')]
  const remembering = createSharedLimiterStore({ redis: connection })
  const hot = createLimiter({ name: 'bench-hot', limit: 1, windowMs: 3_600_000, store: remembering })
  await hot.take('k')
  await hot.take('k')
  const turn = (take: (key: string) => Promise<unknown>) => (): Promise<Pace> =>
    paceOfCallers(ms, callers, (n) => take(`k${n % keys}`))
  const found = await takeTurns(
    {
      log: turn((key) => log.take(key)),
      ring: turn((key) => ring.take(key)),
      gcra: turn((key) => gcra.take(key)),
      plain: turn((key) => plain.take(`plain:${key}`)),
      refused: () => paceAwaited(ms, () => hot.take('k')),
    },
    { rounds, signal },
  )
  await Promise.all([store.stop(), remembering.stop()])
  await connection.stop()
  plain.stop()
  const checks = { name: 'limits-log-checks-a-second', values: found.log.perSecond }
  return {
    figures: [
      ...kilo('exact log', found.log),
      ...kilo('ring', found.ring),
      ...kilo('gcra', found.gcra),
      ...kilo('plain sorted set, MULTI', found.plain),
      ...kilo('refused from memory', found.refused),
    ],
    measures: [
      checks,
      { name: 'limits-log', baseline: 'plain-sorted-set', values: ratios(found.log.perSecond, found.plain.perSecond) },
    ],
    targets: [{ measure: checks, what: 'at least 30,000 exact checks a second by one process', limit: 30_000, bound: 'least' }],
  }
}

const breakerCosts = async ({ rounds, ms }: ReturnType<typeof readOptions>, signal: AbortSignal): Promise<Found> => {
  const breaker = createBreaker({ service: 'bench' })
  const work = async (): Promise<number> => 1
  const found = await takeTurns(
    {
      check: () => paceAtOnce(ms, () => breaker.refusal() === undefined),
      loop: () => paceAtOnce(ms, (n) => n >= 0),
      run: () => paceAwaited(ms, () => breaker.run(work)),
      bare: () => paceAwaited(ms, () => work()),
    },
    { rounds, signal },
  )
  const microseconds = (paces: Paces): readonly number[] => paces.perSecond.map((value) => 1e6 / value)
  const check = { name: 'breaker-check-microseconds', values: microseconds(found.check) }
  return {
    figures: [
      { name: 'check of a closed breaker', values: microseconds(found.check), unit: 'µs' },
      { name: 'the loop around it', values: microseconds(found.loop), unit: 'µs' },
      { name: 'a call through a breaker', values: microseconds(found.run), unit: 'µs' },
      { name: 'the call alone', values: microseconds(found.bare), unit: 'µs' },
    ],
    measures: [check],
    targets: [{ measure: check, what: 'less than a microsecond for the check of a breaker', limit: 1 }],
  }
}

/** What certainly lay in one window: from when a call was sent to when it was answered. */
const mostWithin = (calls: readonly (readonly [number, number])[], windowMs: number): number => {
  const sorted = calls.toSorted(([a], [b]) => a - b)
  let most = 0
  for (const [at, [from]] of sorted.entries()) {
    let within = 0
    for (let n = at; n < sorted.length && sorted[n]![0] < from + windowMs; n++) if (sorted[n]![1] < from + windowMs) within += 1
    most = Math.max(most, within)
  }
  return most
}

const overload = async (redis: TestRedis, { seconds }: ReturnType<typeof readOptions>): Promise<Found> => {
  const [limit, windowMs] = [100, 1000]
  const forMs = seconds * 1000
  const peers: Peer[] = [-700, -100, 100, 700].map((shiftMs) =>
    startPeer({
      redisUrl: redis.url,
      callers,
      limit: { name: 'bench-overload', limit, windowMs, algorithm: 'log', forMs, shiftMs },
    }),
  )
  try {
    await until(() => peers.every(isReady), slow)
    for (const { child } of peers) child.stdin?.write('go\n')
    const told = await until(() => {
      const lines = peers.flatMap(({ lines }) => lines.flatMap((line) => ('admitted' in line ? [line] : [])))
      return lines.length === peers.length ? lines : undefined
    }, slow)
    const admitted = told.flatMap((line) => line.admitted)
    const over = { name: 'limits-over-admissions', values: [Math.max(0, mostWithin(admitted, windowMs) - limit)] }
    const share = { name: 'limits-admitted-of-the-limit', values: [admitted.length / (limit * (forMs / windowMs))] }
    return {
      figures: [
        {
          name: 'most in one window, 4 × 64 callers, clocks ±700 ms',
          values: [mostWithin(admitted, windowMs)],
          unit: `of ${limit}`,
        },
      ],
      measures: [over, share],
      targets: [
        { measure: over, what: 'no window holds more than the limit', limit: 0 },
        { measure: share, what: 'under overload at least 95 % of the limit passes', limit: 0.95, bound: 'least' },
      ],
    }
  } finally {
    await Promise.all(peers.map((peer) => endPeer(peer, 'SIGKILL')))
  }
}

/** From the trip, as Redis has it, until the last of eight processes is open. */
const agreementMs = async (redis: TestRedis, round: number, signal: AbortSignal): Promise<number> => {
  const service = await createService()
  const name = `bench-${round}`
  const breaker = { service: name, url: service.url, recoveryTimeoutMs: 60_000, pauseMs: 1000 }
  const peers = Array.from({ length: 8 }, () => startPeer({ redisUrl: redis.url, callers: 16, breaker }))
  const client = new Ioredis(redis.url, { protocol: 2 })
  try {
    await until(() => peers.every((peer) => isReady(peer) && stateOf(peer) === 'CLOSED'), slow)
    signal.throwIfAborted()
    service.become({ status: 503, takesMs: 0 })
    await until(() => peers.every((peer) => stateOf(peer) === 'OPEN'), slow)
    const openedAt = Date.parse((await until(() => client.hget(`reanna:circuit:${name}`, 'opened_at'), slow)) ?? '')
    const last = Math.max(...peers.map((peer) => statesOf(peer).find(({ state }) => state === 'OPEN')?.at ?? 0))
    return Math.max(0, last - openedAt)
  } finally {
    client.disconnect()
    await Promise.all(peers.map((peer) => endPeer(peer, 'SIGKILL')))
    service.stop()
  }
}

const agreement = async (redis: TestRedis, signal: AbortSignal): Promise<Found> => {
  const values: number[] = []
  for (let round = 0; round < 3; round++) values.push(await agreementMs(redis, round, signal))
  const measure = { name: 'breaker-agreement-ms', values }
  return {
    figures: [{ name: 'eight processes open after the trip', values, unit: 'ms' }],
    measures: [measure],
    targets: [{ measure, what: 'eight processes agree within a second of the trip', limit: 1000 }],
  }
}

await main(async (signal) => {
  const options = readOptions()
  const redis = await startTestRedis()
  try {
    console.log(`Redis at ${redis.url} · Node ${process.versions.node} · ${loadText()}`)
    const parts: Readonly<Record<string, () => Promise<Found>>> = {
      breaker: () => breakerCosts(options, signal),
      limiters: () => limiters(redis, options, signal),
      overload: () => overload(redis, options),
      agreement: () => agreement(redis, signal),
    }
    const found: Found[] = []
    for (const [name, part] of Object.entries(parts)) {
      const startedAt = performance.now()
      found.push(await part())
      console.log(`${name}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s · ${loadText()}`)
    }
    const verdict = judge(found.flatMap(({ targets }) => targets))
    const lines = found.flatMap(({ measures }) => measures).map(closingLine)
    console.log(['', summaryTable(found.flatMap(({ figures }) => figures)), '', ...verdict.lines, '', ...lines].join('\n'))
    return verdict.met
  } finally {
    await redis.stop()
  }
})
