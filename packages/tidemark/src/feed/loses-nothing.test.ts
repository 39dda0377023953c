import { expect, test } from 'vitest'
import type { FeedReset } from './feed.js'
import { losesNothing } from './loses-nothing.js'

const reset = (reason: FeedReset['reason'], number: bigint, epoch = 'wal-1'): FeedReset => ({
  type: 'reset',
  reason,
  epoch,
  position: { epoch, number },
})
const reached = { epoch: 'wal-1', number: 5n }

test('FEED-1: who was given more than what Redis lost misses nothing', () => {
  expect(losesNothing(reset('streamLost', 4n), reached)).toBe(true)
  expect(losesNothing(reset('purgesChanged', 5n), reached)).toBe(true)
  expect(losesNothing(reset('streamLost', 6n), reached)).toBe(false)
  expect(losesNothing(reset('streamLost', 4n, 'wal-2'), reached)).toBe(false)
  expect(losesNothing(reset('streamLost', 4n), undefined)).toBe(false)
})

test('FEED-1: where entries or the history are gone something may be missing wherever it goes on', () => {
  for (const reason of ['gap', 'start', 'slotLost', 'newHistory'] as const)
    expect(losesNothing(reset(reason, 4n), reached)).toBe(false)
})
