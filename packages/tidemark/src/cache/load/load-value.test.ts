import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import type { CachePool, LoadClient } from '../cache.js'
import { Loader } from './load-value.js'

const client = {} as LoadClient
const pool = { withClient: (fn: (lent: LoadClient) => Promise<unknown>) => fn(client) } as unknown as CachePool

interface Held {
  readonly signal: AbortSignal
  readonly finish: (value: string) => void
  readonly fail: (error: Error) => void
}

const openLoader = (timeoutMs: number) => {
  const clock = createFakeClock()
  const held = new Map<number, Held>()
  const load = ({ id }: { readonly id: number }, _db: LoadClient, signal: AbortSignal) =>
    new Promise<string>((finish, fail) => held.set(id, { signal, finish, fail }))
  const loader = new Loader({ pool, load, timeoutMs, clock })
  const begin = (id: number) => {
    const outcome: { value?: string; error?: unknown; atMs?: number } = {}
    loader.load({ key: `item:${id}`, params: { id }, stamp: false }).then(
      ({ value }) => Object.assign(outcome, { value, atMs: clock.monotonicMs() }),
      (error: unknown) => Object.assign(outcome, { error, atMs: clock.monotonicMs() }),
    )
    return outcome
  }
  return { clock, held, begin }
}

describe('loads', () => {
  it.each([40, 1000, 10_000])('are given up %d ms after each began, and not before', async (timeoutMs) => {
    const { clock, held, begin } = openLoader(timeoutMs)
    const startedMs = clock.monotonicMs()
    const first = begin(1)
    await clock.advance(timeoutMs / 4)
    const [second, third] = [begin(2), begin(3)]
    await clock.advance(timeoutMs / 4)
    held.get(2)!.finish('two')
    await clock.advance(timeoutMs * 2)
    const late = begin(4)
    await clock.advance(timeoutMs * 2)
    expect(second).toMatchObject({ value: 'two' })
    expect([first, third, late].map(({ atMs }) => atMs! - startedMs)).toEqual([1, 1.25, 3.5].map((times) => times * timeoutMs))
    for (const [id, outcome] of [
      [1, first],
      [3, third],
      [4, late],
    ] as const) {
      // biome-ignore format: pairs
      expect(outcome.error).toMatchObject({ code: 'TM_CACHE_LOAD_TIMEOUT', parameters: { key: `item:${id}`, timeoutMs } })
      expect(held.get(id)!.signal.reason).toBe(outcome.error)
    }
    expect(held.get(2)!.signal.aborted).toBe(false)
  })

  it('raise what the loader raises, and leave no timer behind for longer than a nap', async () => {
    const { clock, held, begin } = openLoader(10_000)
    const outcome = begin(1)
    await clock.advance(10)
    held.get(1)!.fail(new Error('no such table'))
    await clock.advance(500)
    expect(outcome.error).toMatchObject({ message: 'no such table' })
    expect(clock.sleeping).toBe(0)
  })

  it('have all the time where there is no limit', async () => {
    const { clock, held, begin } = openLoader(Number.POSITIVE_INFINITY)
    const outcome = begin(1)
    await clock.advance(1e9)
    held.get(1)!.finish('one')
    await clock.advance(1)
    expect(outcome.value).toBe('one')
  })
})
