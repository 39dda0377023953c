import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { propertyRuns } from '../../../testing/property-runs.js'
import { type Choice, Lanes } from './lanes.js'

interface Item {
  readonly lane: string
  readonly n: number
  /** How many attempts fail before one succeeds. */
  readonly failures: number
}

const all = (): Choice => 'batch'

describe('the first of a lane goes before the second (R67, HOOK-2)', () => {
  test('one event of a lane runs at a time, unless they are one batch', () => {
    const lanes = new Lanes<number>()
    lanes.arrive('a', 1)
    lanes.arrive('a', 2)
    expect(lanes.take(1, all)).toEqual([{ lane: 'a', items: [1] }])
    expect(lanes.take(1, all)).toEqual([])
    lanes.succeeded('a', 1)
    expect(lanes.take(1, all)).toEqual([{ lane: 'a', items: [2] }])
  })

  test('other lanes run on while one waits for its next attempt', () => {
    const lanes = new Lanes<number>()
    for (const n of [1, 2, 3]) lanes.arrive('a', n)
    lanes.take(1, all)
    expect(lanes.failed('a', 1)).toEqual([2, 3])
    lanes.stored('a', 2)
    expect(lanes.arrive('a', 4)).toBe('store')
    expect(lanes.arrive('b', 1)).toBe('held')
    expect(lanes.take(10, all)).toEqual([{ lane: 'b', items: [1] }])
    expect(lanes.takeStored()).toBeUndefined()
  })

  test('the rows of a lane wait until what is on its way to them has arrived', () => {
    const lanes = new Lanes<number>()
    lanes.park('a', true)
    lanes.arrive('a', 1)
    expect(lanes.takeStored()).toBeUndefined()
    lanes.stored('a', 1)
    expect(lanes.takeStored()).toBe('a')
  })

  test('a lane that was emptied while something came for it is looked at again', () => {
    const lanes = new Lanes<number>()
    lanes.park('a', true)
    expect(lanes.takeStored()).toBe('a')
    expect(lanes.arrive('a', 1)).toBe('store')
    lanes.storedEnded('a', 'empty')
    expect(lanes.takeStored()).toBeUndefined()
    lanes.stored('a', 1)
    expect(lanes.takeStored()).toBe('a')
    lanes.storedEnded('a', 'empty')
    expect(lanes.isEmpty).toBe(true)
  })

  test('a lane whose rows were looked at before something was stored behind them is looked at again', () => {
    const lanes = new Lanes<number>()
    lanes.park('a', true)
    expect(lanes.takeStored()).toBe('a')
    expect(lanes.arrive('a', 1)).toBe('store')
    lanes.stored('a', 1)
    lanes.storedEnded('a', 'empty')
    expect(lanes.takeStored()).toBe('a')
    lanes.storedEnded('a', 'empty')
    expect(lanes.isEmpty).toBe(true)
  })

  test('what has to run alone is taken alone, and what may not run now keeps its place', () => {
    const lanes = new Lanes<string>()
    for (const item of ['solo', 'batch 1', 'later', 'batch 2']) lanes.arrive(item, item)
    const choose = (item: string): Choice => (item === 'solo' || item === 'later' ? item : 'batch')
    expect(lanes.take(10, choose)).toEqual([{ lane: 'solo', items: ['solo'] }])
    expect(lanes.take(10, choose).map(({ lane }) => lane)).toEqual(['batch 1', 'batch 2'])
    expect(lanes.take(10, choose)).toEqual([])
    expect(lanes.take(10, all)).toEqual([{ lane: 'later', items: ['later'] }])
  })
})

/** Workers over lanes, with Postgres as a list for each lane; every step takes as long as the scheduler likes. */
class World {
  readonly lanes = new Lanes<Item>()
  readonly rows = new Map<string, Item[]>()
  readonly done = new Map<string, number[]>()
  readonly #left = new Map<Item, number>()
  readonly #running = new Map<string, number>()
  readonly #pause: () => Promise<void>
  #storing: Promise<void> = Promise.resolve()
  #work = new Set<Promise<void>>()
  overlap = false

  constructor(pause: () => Promise<void>) {
    this.#pause = pause
  }

  arrive(items: readonly Item[]): void {
    const toStore = items.filter((item) => this.lanes.arrive(item.lane, item) === 'store')
    if (toStore.length > 0) this.#store(toStore)
    this.pump()
  }

  #store(items: readonly Item[]): void {
    this.#storing = this.#storing.then(async () => {
      for (const item of items) {
        await this.#pause()
        const rows = this.rows.get(item.lane) ?? []
        this.rows.set(item.lane, rows)
        rows.push(item)
        this.lanes.stored(item.lane, 1)
      }
      this.pump()
    })
    this.#track(this.#storing)
  }

  #track(work: Promise<void>): void {
    this.#work.add(work)
    void work.finally(() => this.#work.delete(work))
  }

  pump(): void {
    for (;;) {
      const taken = this.lanes.take(3, ({ n }) => (n % 4 === 0 ? 'solo' : 'batch'))
      const stored = this.lanes.takeStored()
      if (taken.length > 0) this.#track(this.#runHeld(taken))
      if (stored !== undefined) this.#track(this.#runStored(stored))
      if (taken.length === 0 && stored === undefined) return
    }
  }

  #tries(item: Item): boolean {
    const left = this.#left.get(item) ?? item.failures
    this.#left.set(item, left - 1)
    return left <= 0
  }

  async #within<T>(lane: string, run: () => Promise<T>): Promise<T> {
    const running = this.#running.get(lane) ?? 0
    if (running > 0) this.overlap = true
    this.#running.set(lane, running + 1)
    await this.#pause()
    const result = await run()
    this.#running.set(lane, this.#running.get(lane)! - 1)
    return result
  }

  #finish({ lane, n }: Item): void {
    const done = this.done.get(lane) ?? []
    this.done.set(lane, done)
    done.push(n)
  }

  async #runHeld(taken: readonly { readonly lane: string; readonly items: readonly Item[] }[]): Promise<void> {
    for (const { lane, items } of taken) {
      await this.#within(lane, async () => {
        const failedAt = items.findIndex((item) => !this.#tries(item))
        const ran = failedAt < 0 ? items : items.slice(0, failedAt)
        for (const item of ran) this.#finish(item)
        if (failedAt < 0) return this.lanes.succeeded(lane, items.length)
        // The one that failed and those of its batch are rows by the end of the transaction; the rest of the lane follows.
        this.rows.set(lane, [...(this.rows.get(lane) ?? []), ...items.slice(failedAt)])
        const rest = this.lanes.failed(lane, items.length)
        if (rest.length > 0) this.#store(rest)
        this.#track(
          this.#pause().then(() => {
            this.lanes.park(lane, true)
            this.pump()
          }),
        )
      })
      this.pump()
    }
  }

  async #runStored(lane: string): Promise<void> {
    const how = await this.#within(lane, async () => {
      const rows = this.rows.get(lane) ?? []
      for (;;) {
        await this.#pause()
        const [head] = rows
        if (!head) return 'empty' as const
        if (!this.#tries(head)) return 'again' as const
        rows.shift()
        this.#finish(head)
      }
    })
    this.lanes.storedEnded(lane, how)
    this.pump()
  }

  async settled(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled([...this.#work])
  }
}

const arrivals = fc.array(
  fc.array(fc.record({ lane: fc.constantFrom('a', 'b', 'c'), failures: fc.constantFrom(0, 0, 0, 1, 3) }), { maxLength: 8 }),
  { maxLength: 8 },
)

test('HOOK-2: however steps fall, each lane is done once and in order, and all of it', async () => {
  await fc.assert(
    fc.asyncProperty(arrivals, fc.scheduler(), async (parts, scheduler) => {
      const world = new World(() => scheduler.schedule(Promise.resolve()))
      const next = new Map<string, number>()
      const given = parts.map((part) =>
        part.map(({ lane, failures }): Item => {
          const n = next.get(lane) ?? 0
          next.set(lane, n + 1)
          return { lane, n, failures }
        }),
      )
      const reading = (async () => {
        for (const part of given) {
          await scheduler.schedule(Promise.resolve())
          world.arrive(part)
        }
      })()
      await scheduler.waitFor(reading.then(() => world.settled()))
      expect(world.overlap).toBe(false)
      for (const [lane, count] of next) expect(world.done.get(lane)).toEqual(Array.from({ length: count }, (_each, n) => n))
      expect(world.lanes.isEmpty).toBe(true)
      expect(world.lanes.held).toBe(0)
    }),
    propertyRuns(300, 60),
  )
})
