import { describe, expect, it } from 'vitest'
import type { EntryOptions, LoadClient } from '../cache.js'
import { FeedState } from '../follow/feed-state.js'
import { Gate } from '../testing/gate.js'
import { ModelClock } from '../testing/model-clock.js'
import { modelParts } from '../testing/model-parts.js'
import { ModelPostgres } from '../testing/model-postgres.js'
import { ModelRedis } from '../testing/model-redis.js'
import { Entry } from './entry.js'

const epoch = 'wal-1'
const key = 'item:1'
const params = { id: 1 }
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface Params {
  readonly id: number
}

const open = (given: Partial<EntryOptions<Params, unknown>> = {}) => {
  const step = async () => undefined
  const clock = new ModelClock()
  const redis = new ModelRedis(step, clock)
  const pool = new ModelPostgres(step, clock).pool()
  const feed = new FeedState({ maxSilenceMs: 1e9, waitMs: 500, clock })
  feed.attach({ waitFor: async () => undefined, redisEpoch: () => 'r' })
  feed.prove({ type: 'fresh', position: { epoch, number: 10n }, asOf: clock.monotonicMs() })
  let loads = 0
  const options: EntryOptions<Params, unknown> = {
    ttl: 60_000,
    load: async ({ id }, db: LoadClient) => {
      loads++
      return (await db.query<{ n: number }>('select n from items where id = $1', [id])).rows[0]!.n
    },
    ...given,
  }
  const entry = new Entry(modelParts({ template: 'item:{id}', options }, { redis, feed, pool, clock }))
  return { entry, clock, redis, feed, loads: () => loads }
}

/** Lets the work go on, and time where nothing else does. */
const finished = async <T>(clock: ModelClock, work: Promise<T>): Promise<T> => {
  let isOver = false
  const over = () => {
    isOver = true
  }
  work.then(over, over)
  for (;;) {
    for (let turn = 0; turn < 5 && !isOver; turn++) await settled()
    if (isOver) return work
    clock.skip()
  }
}

describe('an entry', () => {
  it('stops looking in Redis before it asks for a lease where Redis has next to nothing, and looks again once it has', async () => {
    const { entry, redis, clock, loads } = open()
    let looks = 0
    const get = redis.get.bind(redis)
    redis.get = (...args) => {
      looks++
      return get(...args)
    }
    const read = (id: number) => {
      entry.memory?.clear()
      return finished(clock, entry.lookup({ id }))
    }
    const looksOf = async (ids: readonly number[]) => {
      looks = 0
      for (const id of ids) await read(id)
      return looks
    }
    const ids = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)
    expect(await looksOf(ids(0, 40))).toBe(40)
    await looksOf(ids(40, 20))
    expect(await looksOf(ids(60, 20))).toBe(0)
    // What is there is found all the same, and soon looked for again.
    const before = loads()
    expect(await read(60)).toMatchObject({ source: 'redis' })
    await looksOf(ids(0, 40))
    expect(await looksOf(ids(0, 40))).toBe(40)
    expect(loads()).toBe(before)
  })

  it('CACHE-3: waits a second for a load elsewhere, of which nothing may be left, and then loads for itself', async () => {
    const { entry, clock, redis, loads } = open()
    expect(await redis.lease(key, 'r')).toMatchObject({ state: 'granted' })
    const began = clock.monotonicMs()
    expect(await finished(clock, entry.lookup(params))).toMatchObject({ value: 0, source: 'load' })
    const tookMs = clock.monotonicMs() - began
    expect([tookMs >= 1000, tookMs < 1100, loads()]).toEqual([true, true, 1])
    expect(await entry.lookup(params)).toMatchObject({ source: 'memory' })
  })

  it.each<readonly [what: string, given: Partial<EntryOptions<Params, unknown>>, error: object]>([
    ['a loader that throws', { load: () => Promise.reject(new RangeError('no')) }, { message: 'no' }],
    [
      'a loader that throws at once',
      {
        load: () => {
          throw new RangeError('no')
        },
      },
      { message: 'no' },
    ],
    ['undefined', { load: async () => undefined }, { code: 'TM_CACHE_VALUE' }],
    [
      'tags that throw',
      {
        tags: () => {
          throw new RangeError('no tags')
        },
      },
      { message: 'no tags' },
    ],
  ])('gives the lease back after %s', async (_what, given, error) => {
    const { entry, redis } = open(given)
    await expect(entry.get(params)).rejects.toMatchObject(error)
    await settled()
    expect(await redis.lease(key, 'r')).toMatchObject({ state: 'granted' })
  })

  it('gives up a loader that hangs, and answers what it kept where it may', async () => {
    let hangs = false
    const load = async (): Promise<unknown> => (hangs ? new Promise(() => undefined) : 'first')
    const { entry, clock } = open({ load, ttl: 1000, softTimeout: 100, hardTimeout: 3000, staleIfErrorFor: 60_000 })
    expect(await finished(clock, entry.get(params))).toBe('first')
    hangs = true
    clock.advance(2000)
    const began = clock.monotonicMs()
    expect(await finished(clock, entry.lookup(params))).toMatchObject({ value: 'first', source: 'stale', ageMs: 2100 })
    expect(clock.monotonicMs() - began).toBe(100)
    expect(
      await finished(
        clock,
        entry.lookup({ id: 2 }).catch((error: unknown) => error),
      ),
    ).toMatchObject({
      code: 'TM_CACHE_LOAD_TIMEOUT',
      parameters: { key: 'item:2', timeoutMs: 3000 },
    })
  })

  it('leaves no clock running behind a load that was in time', async () => {
    const { entry, clock } = open({ softTimeout: 5000, hardTimeout: Number.POSITIVE_INFINITY, staleIfErrorFor: 1000 })
    await entry.get(params)
    await settled()
    expect(clock.skip()).toBe(false)
  })

  it('CACHE-6: answers no value of Redis that was evicted, nor one older than it may be, when Postgres is away', async () => {
    let fails = false
    const load = async (): Promise<unknown> => {
      if (fails) throw new RangeError('away')
      return 'kept'
    }
    const given = { load, ttl: 1000, staleIfErrorFor: 2000, staleWhileRevalidate: 600_000, tags: () => ['t'] }
    const { entry, clock } = open(given)
    const answers = async () =>
      finished(
        clock,
        entry.get(params).catch(() => 'nothing'),
      )
    expect(await answers()).toBe('kept')
    await settled()
    fails = true
    entry.memory!.clear()
    clock.advance(1500)
    expect(await answers()).toBe('kept')
    clock.advance(2000)
    expect(await answers()).toBe('nothing')

    const other = open(given)
    fails = false
    await other.entry.get(params)
    await settled()
    fails = true
    other.entry.dropTag('t', 11n)
    expect(await other.entry.get(params).catch(() => 'nothing')).toBe('nothing')
  })

  describe('with tags that only values tell', () => {
    /** A load that waits where it has read, of an entry whose tags are what it read. */
    const held = (reads: readonly number[]) => {
      const gates = reads.map((value) => ({ value, gate: new Gate() }))
      for (const { gate } of gates) gate.close()
      const left = [...gates]
      const load = async () => {
        const { value, gate } = left.shift()!
        await gate.pass()
        return value
      }
      return { gates: gates.map(({ gate }) => gate), load, tags: (_params: Params, value: unknown) => [`n:${value}`] }
    }

    it('CACHE-3: goes on with a load, shares it and keeps it, where the tag of another changes', async () => {
      const { gates, ...given } = held([1])
      const { entry } = open(given)
      const before = entry.get(params)
      await settled()
      entry.dropTag('n:7', 11n)
      const after = entry.get(params)
      gates[0]!.open()
      expect(await Promise.all([before, after])).toEqual([1, 1])
      await settled()
      expect([entry.peek(params), entry.stats.loads, entry.stats.refused]).toEqual([1, 1, 0])
      expect(await entry.inRedis(key)).toMatchObject({ value: 1, tags: ['n:1'] })
    })

    it('CACHE-3: keeps a load of the tag nowhere, and who comes after the change gets the next', async () => {
      const { gates, ...given } = held([1, 2])
      const { entry, redis } = open(given)
      const before = entry.get(params)
      await settled()
      entry.dropTag('n:1', 11n)
      const after = [entry.get(params), entry.get(params)]
      gates[0]!.open()
      expect(await before).toBe(1)
      await settled()
      expect([entry.peek(params), redis.look(key, 'r'), gates[1]!.waiting]).toEqual([undefined, undefined, 1])
      gates[1]!.open()
      expect(await Promise.all(after)).toEqual([2, 2])
      expect([entry.stats.loads, entry.stats.refused]).toEqual([2, 1])
    })
  })

  it('keeps to itself what fails behind whoever went away', async () => {
    const { entry } = open({ load: () => Promise.reject(new RangeError('late')) })
    const gone = new DOMException('gone', 'AbortError')
    await expect(entry.get(params, { signal: AbortSignal.abort(gone) })).rejects.toBe(gone)
    const leaving = new AbortController()
    const read = entry.get({ id: 2 }, { signal: leaving.signal })
    leaving.abort(gone)
    await expect(read).rejects.toBe(gone)
    await settled()
  })
})
