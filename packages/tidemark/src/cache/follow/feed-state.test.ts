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
