/**
 * A process with breakers and limits of its own, for tests that kill it. Prints what it sees as one JSON object a line; calls `url` from many
 * callers, or takes from a limiter, until it is told to stop.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createNamedPool } from '../../postgres/postgres.js'
import { createRedis } from '../../redis/create-redis.js'
import type { LimitRule } from '../../resilience/limiter/limits.js'
import { openResilience } from '../../server/resilience/open-resilience.js'
import { systemClock } from '../../time/clock.js'

export interface ResilienceProcessOptions {
  readonly redisUrl: string
  readonly databaseUrl?: string
  /** Of the state, for what waits for Postgres. */
  readonly folder?: string
  readonly callers: number
  readonly breaker?: {
    readonly service: string
    readonly url: string
    readonly recoveryTimeoutMs: number
    readonly pauseMs: number
  }
  /** Takes for so long. The clock of this process is off by `shiftMs`. */
  readonly limit?: LimitRule & { readonly name: string; readonly forMs: number; readonly shiftMs: number }
}

/** A line of its output; `at` is the machine's wall time in milliseconds. */
export type ResilienceProcessLine =
  | { readonly ready: true }
  /** `stalledMs`: the longest that the process could do nothing, because the machine had others to serve. */
  | { readonly state: string; readonly scope: string; readonly at: number; readonly stalledMs: number }
  /** Moments at which an admitted call was sent, and at which it was known to be admitted; on the machine's monotonic clock. */
  | {
      readonly admitted: readonly (readonly [sentAt: number, answeredAt: number])[]
      readonly asked: number
      readonly checks: number
    }

const say = (line: ResilienceProcessLine): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6

const takeUntil = async (options: ResilienceProcessOptions): Promise<void> => {
  const { limit, callers, redisUrl } = options
  if (!limit) return
  const clock = { ...systemClock, now: () => Date.now() + limit.shiftMs }
  const redis = await createRedis({ url: redisUrl, retryMaxMs: 50 })
  const resilience = await openResilience({ redis, clock })
  const limiter = resilience.limiter({ rules: [limit], name: limit.name })
  say({ ready: true })
  await new Promise((resolve) => process.stdin.once('data', resolve))
  const endsAt = performance.now() + limit.forMs
  const admitted: (readonly [number, number])[] = []
  let asked = 0
  const caller = async (): Promise<void> => {
    while (performance.now() < endsAt) {
      const sentAt = monotonicMs()
      const { allowed, by, retryAfterMs } = await limiter.take('k')
      asked += 1
      if (allowed) admitted.push([sentAt, monotonicMs()])
      // Constant overload, and yet a machine that others use too.
      else if (by === 'remembered') await systemClock.sleep(Math.min(5, retryAfterMs))
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  say({ admitted, asked, checks: asked - limiter.counts.remembered })
  await resilience.stop()
  await redis.stop()
}

const callUntil = async (options: ResilienceProcessOptions): Promise<void> => {
  const { breaker: wanted, callers, redisUrl, databaseUrl, folder } = options
  if (!wanted) return
  const redis = await createRedis({ url: redisUrl, retryMaxMs: 50, commandTimeoutMs: 3000 })
  const pool =
    databaseUrl === undefined
      ? undefined
      : createNamedPool('primary', { url: databaseUrl, pools: { primary: { minConnections: 0, maxConnections: 1 } } })
  const resilience = await openResilience({ redis, ...(pool && { pool }), ...(folder !== undefined && { folder }) })
  const breaker = resilience.breaker(wanted.service, { recoveryTimeoutMs: wanted.recoveryTimeoutMs, jitter: 0 })
  const stalls = monitorEventLoopDelay({ resolution: 5 })
  let isStopping = false
  let last = ''
  const watch = setInterval(() => {
    const { state, scope } = breaker.read()
    if (`${state} ${scope}` === last) return
    last = `${state} ${scope}`
    say({ state, scope, at: Date.now(), stalledMs: Math.ceil(stalls.max / 1e6) })
  }, 5)
  // The service counts who probes.
  const call = (signal: AbortSignal): Promise<Response> => {
    const { state, scope } = breaker.read()
    return fetch(wanted.url, { signal, headers: { 'x-as': `${state} ${scope}` } })
  }
  const caller = async (): Promise<void> => {
    while (!isStopping) {
      const refused = breaker.refusal()
      if (!refused)
        await breaker.run(call).then(
          (answer) => answer.body?.cancel(),
          () => undefined,
        )
      // Whoever is refused comes back soon: all want to be the one that probes.
      await systemClock.sleep(refused ? 250 : wanted.pauseMs * (0.5 + Math.random()))
    }
  }
  const calling = Array.from({ length: callers }, caller)
  // Not what starting took.
  stalls.enable()
  say({ ready: true })
  await new Promise((resolve) => process.once('SIGTERM', resolve))
  isStopping = true
  clearInterval(watch)
  await Promise.all(calling)
  await resilience.journal?.drained()
  await resilience.stop()
  await pool?.stop()
  await redis.stop()
}

const options = JSON.parse(process.argv[2] ?? '{}') as ResilienceProcessOptions
await takeUntil(options)
await callUntil(options)
process.exit(0)
