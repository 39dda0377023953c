import { describe, expect, it } from 'vitest'
import { createLimiter, takeAll } from '../resilience/limiter.js'
import { createFakeClock } from '../testing/fake-clock.js'
import { sharedRedisUrl } from '../testing/redis/redis-setup.js'
import { useRedis } from '../testing/redis/use-redis.js'
import { useCleanups } from '../testing/use-cleanups.js'
import { systemClock } from '../time/clock.js'
import { until } from '../time/until.js'
import { createRedis } from './create-redis.js'
import { createSharedLimiterStore, type SharedLimiterOptions, shareOf } from './limits.js'

const cleanups = useCleanups()
let names = 0

const connect = async (url: string, options: Partial<SharedLimiterOptions> = {}) => {
  const redis = await createRedis({ url, retryMaxMs: 50, commandTimeoutMs: 1000 })
  const store = createSharedLimiterStore({ redis, ...options })
  cleanups.push(() => redis.stop())
  cleanups.push(() => store.stop())
  names += 1
  return { redis, store, name: `test-${process.pid}-${names}` }
}

const shiftedClock = (byMs: number) => ({ ...systemClock, now: () => Date.now() + byMs })

interface Call {
  readonly sentAt: number
  readonly answeredAt: number
}

/** The most calls that certainly lay in one span: from when they were sent to when they were answered. */
const mostWithin = (calls: readonly Call[], spanMs: number): number => {
  const starts = calls.map(({ sentAt }) => sentAt)
  return Math.max(
    0,
    ...starts.map((from) => calls.filter((call) => call.sentAt >= from && call.answeredAt < from + spanMs).length),
  )
}

describe.skipIf(sharedRedisUrl() === undefined)('limits that processes share', () => {
  const url = sharedRedisUrl()!

  it('R71, C6: of 512 calls at once for a fresh key, exactly the limit passes, and the documented key holds it', async () => {
    const { redis, store, name } = await connect(url)
    const limiter = createLimiter({ name, limit: 100, windowMs: 60_000, store })
    const decisions = await Promise.all(Array.from({ length: 512 }, () => limiter.take('tours')))
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(100)
    const key = `reanna:rate_limit:${name}:tours`
    expect(await redis.command(['ZCARD', key])).toBe(100)
    const [, score] = await redis.command<string[]>(['ZRANGE', key, 0, 0, 'WITHSCORES'])
    expect(Math.abs(Number(score) * 1000 - Date.now())).toBeLessThan(60_000)
    expect(await redis.command<number>(['PTTL', key])).toBeGreaterThan(50_000)
  })

  it('C6: says what remains and when a refused call fits', async () => {
    const { store, name } = await connect(url, { maxDenials: 0 })
    for (const algorithm of ['log', 'ring', 'gcra'] as const) {
      const limiter = createLimiter({ name: `${name}-${algorithm}`, limit: 4, burst: 4, windowMs: 800, algorithm, store })
      let key = 0
      // A fourth of the window gives one call back: both have to come sooner, or it is another key's turn.
      const refused = await until(async () => {
        const startedAt = performance.now()
        const first = await limiter.take(String(++key), 3)
        expect(first).toMatchObject({ allowed: true, limit: 4, remaining: 1, retryAfterMs: 0, by: 'counted' })
        expect(Math.abs(first.resetAt - Date.now() - first.resetMs)).toBeLessThan(500)
        const second = await limiter.take(String(key), 2)
        return performance.now() - startedAt < 200 && second
      })
      expect(refused).toMatchObject({ allowed: false, remaining: 1 })
      expect(refused.retryAfterMs).toBeGreaterThan(0)
      await systemClock.sleep(refused.retryAfterMs + 2)
      expect(await limiter.take(String(key), 2)).toMatchObject({ allowed: true })
    }
  })

  it('F20: no window holds more than the limit under constant overload, whatever the clocks of the callers say', async () => {
    const limit = 50
    const windowMs = 400
    for (const algorithm of ['log', 'ring'] as const) {
      const admitted: Call[] = []
      const sides = await Promise.all([-700, 0, 350, 700].map((by) => connect(url, { clock: shiftedClock(by) })))
      const endsAt = performance.now() + 1600
      const name = `${sides[0]!.name}-${algorithm}`
      const callers = sides.flatMap(({ store }) => {
        const limiter = createLimiter({ name, limit, windowMs, algorithm, store })
        return Array.from({ length: 16 }, async () => {
          while (performance.now() < endsAt) {
            const sentAt = performance.now()
            const { allowed, by } = await limiter.take('k')
            if (allowed) admitted.push({ sentAt, answeredAt: performance.now() })
            if (by === 'remembered') await systemClock.sleep(2)
          }
        })
      })
      await Promise.all(callers)
      expect(mostWithin(admitted, windowMs)).toBeLessThanOrEqual(limit)
      // What the last window lets through late is not waited for.
      expect(admitted.length).toBeGreaterThanOrEqual(0.85 * limit * 4)
    }
  })

  it('is not fooled by a clock of Redis that goes back', async () => {
    const { redis, store, name } = await connect(url)
    const limiter = createLimiter({ name, limit: 2, windowMs: 60_000, store })
    const ahead = (Date.now() + 30_000) / 1000
    await redis.command(['ZADD', `reanna:rate_limit:${name}:k`, ahead.toFixed(6), 'of-the-primary-before'])
    expect(await limiter.take('k')).toMatchObject({ allowed: true, remaining: 0 })
    const refused = await limiter.take('k')
    expect(refused.allowed).toBe(false)
    expect(refused.retryAfterMs).toBeGreaterThan(59_000)
  })

  it('remembers refusals, so that a used-up key costs no round trip until a call fits', async () => {
    const clock = createFakeClock()
    const { store, name } = await connect(url, { clock })
    const limiter = createLimiter({ name, limit: 1, windowMs: 60_000, store })
    await limiter.take('k')
    expect(await limiter.take('k')).toMatchObject({ allowed: false, by: 'counted' })
    expect(await limiter.take('k')).toMatchObject({ allowed: false, by: 'remembered' })
    await clock.advance(59_000)
    const late = await limiter.take('k')
    expect(late).toMatchObject({ allowed: false, by: 'remembered' })
    expect(late.retryAfterMs).toBeLessThanOrEqual(1000)
    await clock.advance(1001)
    expect(await limiter.take('k')).toMatchObject({ allowed: false, by: 'counted' })
    expect(limiter.counts).toEqual({ allowed: 1, refused: 4, remembered: 2, local: 0, open: 0 })
  })

  it('decides by several rules, and gives back what one took while another refused', async () => {
    const { redis, store, name } = await connect(url, { maxDenials: 0 })
    for (const algorithm of ['log', 'ring', 'gcra'] as const) {
      const rules = [
        { limit: 5, windowMs: 60_000, algorithm, burst: 5 },
        { limit: 3, windowMs: 3_600_000, algorithm, burst: 3 },
      ]
      const limiter = createLimiter({ name: `${name}-${algorithm}`, rules, store })
      for (let n = 0; n < 3; n++) expect((await limiter.take('k')).allowed).toBe(true)
      for (let n = 0; n < 4; n++) expect(await limiter.take('k')).toMatchObject({ allowed: false, windowMs: 3_600_000 })
      const minute = createLimiter({ name: `${name}-${algorithm}`, ...rules[0]!, store })
      expect(await minute.take('k')).toMatchObject({ allowed: true, remaining: 1 })
    }
    expect(await redis.command(['EXISTS', `{reanna:rate_limit:${name}-log:k}:3/3600000`])).toBe(1)
    const tenant = createLimiter({ name: `${name}-tenant`, limit: 1, windowMs: 60_000, store })
    const user = createLimiter({ name: `${name}-user`, limit: 10, windowMs: 60_000, store })
    const both = () =>
      takeAll([
        { limiter: user, key: 'u' },
        { limiter: tenant, key: 't' },
      ])
    expect((await both()).allowed).toBe(true)
    expect((await both()).allowed).toBe(false)
    expect((await user.take('u')).remaining).toBe(8)
  })
})

describe.skipIf(sharedRedisUrl() === undefined)('checks of one turn of the event loop', () => {
  const url = sharedRedisUrl()!

  it('go together, each for itself: a key that cannot be counted spoils no other', async () => {
    const { redis, store, name } = await connect(url)
    await redis.command(['SET', `reanna:rate_limit:${name}:foreign`, 'of somebody else'])
    const limiter = createLimiter({ name, limit: 2, windowMs: 60_000, store })
    const keys = ['a', 'foreign', 'b', 'a', 'a', 'b']
    const taken = await Promise.all(keys.map((key) => limiter.take(key)))
    expect(taken.map(({ allowed }) => allowed)).toEqual([true, true, true, true, false, true])
    expect(taken.map(({ by }) => by)).toEqual(['counted', 'local', 'counted', 'counted', 'counted', 'counted'])
    expect(taken.map(({ remaining }) => remaining)).toEqual([1, 1, 1, 0, 0, 0])
  })

  it('keep their key for a window and a half from the first call of each half of a window', async () => {
    const { redis, store, name } = await connect(url)
    const limiter = createLimiter({ name, limit: 1000, windowMs: 60_000, store })
    const key = `reanna:rate_limit:${name}:k`
    const left = () => redis.command<number>(['PTTL', key])
    await limiter.take('k')
    expect(await left()).toBeGreaterThan(90_000)
    await redis.command(['DEL', key])
    await redis.command(['ZADD', key, ((Date.now() - 31_000) / 1000).toFixed(6), 'of-the-half-before'])
    await redis.command(['PEXPIRE', key, 29_000])
    await limiter.take('k')
    expect(await left()).toBeGreaterThan(90_000)
    await redis.command(['ZADD', key, ((Date.now() + 31_000) / 1000).toFixed(6), 'of-a-clock-ahead'])
    await redis.command(['PEXPIRE', key, 29_000])
    await limiter.take('k')
    expect(await left()).toBeGreaterThan(90_000)
  })
})

describe.skipIf(sharedRedisUrl() === undefined)('limits while Redis is away', () => {
  const server = useRedis()

  it('count locally up to a share, or let through, by rule; and are counted', async () => {
    const { redis, store, name } = await connect(server.url, { instance: 'one' })
    const other = await connect(server.url, { instance: 'two' })
    const strict = createLimiter({ name, limit: 10, windowMs: 60_000, store })
    const open = createLimiter({ name: `${name}-open`, limit: 10, windowMs: 60_000, whenAway: 'open', store })
    await createLimiter({ name, store: other.store }).take('x')
    await strict.take('x')
    await until(() => store.instances === 2, { timeoutMs: 10_000 })
    server.signal('SIGKILL')
    await until(() => redis.state === 'down')
    const taken = await Promise.all(Array.from({ length: 20 }, () => strict.take('k')))
    expect(taken.filter(({ allowed }) => allowed)).toHaveLength(5)
    expect(taken.every(({ by }) => by === 'local')).toBe(true)
    const let20 = await Promise.all(Array.from({ length: 20 }, () => open.take('k')))
    expect(let20.every(({ allowed, by }) => allowed && by === 'open')).toBe(true)
    expect(strict.counts).toMatchObject({ local: 20, refused: 15 })
    expect(open.counts).toMatchObject({ open: 20, allowed: 20 })
  })

  it('give each process a whole call at least', () => {
    const { rule } = createLimiter({ name: 'x', limit: 3, windowMs: 1000 })
    expect([1, 2, 3, 10].map((instances) => shareOf(rule, instances).limit)).toEqual([3, 1, 1, 1])
  })
})
