import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../observability/observability.js'
import { systemClock } from '../../time/clock.js'
import { EntryStats } from '../entry/entry-stats.js'
import type { AnyEntry } from '../follow/cache-follower.js'
import type { FeedState } from '../follow/feed-state.js'
import { Sampler } from './sampler.js'

/** An entry that has one key in memory, over a Postgres that gives what the test says; and the feed's last proof. */
const world = (loads: readonly unknown[]) => {
  const state = {
    slot: { value: 'old' } as { value: unknown } | undefined,
    provenMs: Number.NEGATIVE_INFINITY,
    loads: 0,
    evicted: 0,
    standby: false,
  }
  const entry = {
    name: 'thing',
    names: [],
    definition: { template: 'thing' },
    stats: new EntryStats(),
    key: () => 'thing',
    inMemory: () => state.slot,
    inRedis: async () => undefined,
    loadAnew: async () => (state.standby ? undefined : { value: loads[Math.min(state.loads++, loads.length - 1)] }),
    evict: async () => {
      state.evicted++
    },
  }
  const feed = {
    get freshnessMs() {
      return systemClock.monotonicMs() - state.provenMs
    },
  }
  const sampler = new Sampler({
    entries: [entry as unknown as AnyEntry],
    feed: feed as FeedState,
    redis: null,
    prefix: '',
    everyMs: 0,
    clock: systemClock,
    random: () => 0,
    log: silentLogger,
    signals: undefined,
  })
  const comparing = () => sampler.compare({ entry: entry as unknown as AnyEntry, params: {}, key: 'thing' })
  return { state, comparing, stats: entry.stats, sampler }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 60))

describe('a difference between the cache and Postgres', () => {
  it('is judged only once the feed has passed what was committed before it was seen', async () => {
    const { state, comparing, stats } = world(['new'])
    state.provenMs = systemClock.monotonicMs()
    let verdict: boolean | undefined
    const done = comparing().then((stale) => {
      verdict = stale
    })
    await turn()
    expect([verdict, state.loads]).toEqual([undefined, 1])
    state.provenMs = systemClock.monotonicMs()
    await done
    expect([verdict, state.evicted, stats.staleFound]).toEqual([true, 1, 1])
  })

  it('is none where the change was on its way, and took the value', async () => {
    const { state, comparing, stats } = world(['new'])
    const done = comparing()
    await turn()
    state.slot = { value: 'new' }
    state.provenMs = systemClock.monotonicMs()
    expect([await done, stats.staleFound]).toEqual([false, 0])
  })

  it('is none where Postgres gives another answer each time, nor where it comes to agree', async () => {
    for (const loads of [
      ['new', 'newer'],
      ['new', 'old'],
    ]) {
      const { state, comparing } = world(loads)
      state.provenMs = Number.POSITIVE_INFINITY
      expect([await comparing(), state.loads, state.evicted]).toEqual([false, 2, 0])
    }
  })

  it('costs one load where there is none', async () => {
    const { state, comparing, stats } = world(['old'])
    expect([await comparing(), state.loads, stats.sampled]).toEqual([false, 1, 1])
  })

  it('is not looked for where a standby may answer, which is behind', async () => {
    const { state, comparing, stats } = world(['new'])
    state.standby = true
    expect([await comparing(), stats.sampled]).toEqual([false, 0])
  })

  it('is not waited for when the node stops', async () => {
    const { comparing, sampler, stats } = world(['new'])
    const done = comparing()
    sampler.stop()
    expect([await done, stats.staleFound]).toEqual([false, 0])
  })
})
