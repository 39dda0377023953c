import { describe, expect, test } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { witness } from '../../testing/feed/feed-witness.js'
import { until } from '../../time/until.js'
import type { FeedEvent, Source } from '../feed.js'
import { createSoloFanOut } from './solo-fan-out.js'

const reset: FeedEvent = { type: 'reset', reason: 'start', epoch: 'supabase-1', position: { epoch: 'supabase-1', number: 0n } }

/** A source that gives one event, and then fails or waits. */
const sourceOf = (fails: boolean, stopped: () => void): Source => ({
  kind: 'supabase',
  guarantee: 'atMostOnce',
  async *events(signal) {
    if (fails) throw new Error('not subscribed')
    yield reset
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  },
  confirm: () => {},
  lag: async () => ({ head: null, confirmed: null, behind: 3, headroomBytes: null }),
  stop: async () => stopped(),
})

describe('a node that reads for itself alone', () => {
  test('says why nothing comes, tries again with a new source, and then says what it goes on without', async () => {
    const clock = createFakeClock()
    let made = 0
    let stopped = 0
    const fanOut = createSoloFanOut({
      clock,
      problem: 'at most once',
      source: () => {
        made += 1
        return sourceOf(made < 3, () => {
          stopped += 1
        })
      },
    })
    const roles: string[] = []
    fanOut.onRole(({ role }) => void roles.push(role))
    expect(await fanOut.lag()).toMatchObject({ behind: 0 })
    const seen = witness(fanOut.source)
    await until(() => fanOut.state().problem === 'not subscribed')
    expect(fanOut.state()).toMatchObject({ role: 'away', epoch: null })
    await clock.advance(100)
    await clock.advance(200)
    await until(() => seen.resets.length === 1)
    expect(fanOut.state()).toEqual({
      role: 'apart',
      epoch: 'supabase-1',
      streamEpoch: null,
      redisEpoch: null,
      problem: 'at most once',
    })
    expect(await fanOut.lag()).toMatchObject({ behind: 3 })
    expect([made, stopped, roles]).toEqual([3, 2, ['apart']])
    await seen.stop()
    expect(stopped).toBe(3)
  })
})
