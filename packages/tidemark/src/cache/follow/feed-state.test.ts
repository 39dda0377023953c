import { expect, it } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { FeedState } from './feed-state.js'

it('keeps nothing of a read that was given up before it began to wait', async () => {
  const feed = new FeedState({ maxSilenceMs: 1000, waitMs: 500, clock: createFakeClock() })
  feed.attach({ waitFor: () => new Promise(() => undefined), redisEpoch: () => null })
  feed.reset({ epoch: 'wal-1', number: 1n })
  let asked = 0
  const wanted = {
    epoch: 'wal-1',
    number: 9n,
    get xid() {
      asked++
      return 7n
    },
  }
  await expect(feed.reach(wanted, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
  const before = asked
  feed.passed({ epoch: 'wal-1', number: 2n }, 5n)
  expect(asked).toBe(before)
})

it('FEED-3: a machine that slept answers nothing before the next proof, however its clocks go', async () => {
  const clock = createFakeClock(1_000_000)
  const feed = new FeedState({ maxSilenceMs: 1000, waitMs: 500, clock })
  const position = { epoch: 'wal-1', number: 1n }
  const prove = (asOf = clock.monotonicMs()) => feed.prove({ type: 'fresh', asOf, position })
  prove()
  await clock.advance(500)
  expect(feed.isFresh).toBe(true)
  const asked = clock.monotonicMs()
  clock.shiftWall(3_600_000)
  expect(feed.isFresh).toBe(false)
  // An answer that had come before it slept.
  await clock.advance(5)
  prove(asked - 5)
  expect(feed.isFresh).toBe(false)
  prove()
  expect(feed.isFresh).toBe(true)
  clock.shiftWall(-7_200_000)
  expect(feed.isFresh).toBe(true)
  await clock.advance(1001)
  expect(feed.isFresh).toBe(false)
})
