import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createAbsentRedis } from '../../../redis/absent-redis.js'
import { scriptedRelation } from '../../../testing/feed/scripted-log.js'
import type { FeedEvent, TransactionPiece } from '../../feed.js'
import type { LeasedSource } from '../fan-out.js'
import { resolveSettings } from '../fan-out-settings.js'
import { Publisher } from './publisher.js'
import { Reader } from './reader.js'

const epoch = 'wal-1-1-1-aa'
const mebibyte = 2 ** 20

/** Of ten large rows each, as many as are asked for. */
const large = (text: string) => {
  let pulled = 0
  const piece = (number: number): TransactionPiece => ({
    type: 'transaction',
    position: { epoch, number: BigInt(number) },
    xid: BigInt(number),
    committedAt: new Date(0),
    firstOrdinal: 0,
    changes: Array.from({ length: 10 }, (_, id) => ({
      kind: 'insert',
      relation: scriptedRelation,
      old: null,
      new: [String(id), text],
    })),
    last: true,
  })
  const source: LeasedSource = {
    kind: 'wal',
    guarantee: 'exact',
    open: async () => ({ epoch, number: 0n }),
    events: async function* (signal): AsyncGenerator<FeedEvent> {
      for (let number = 1; number <= 400 && !signal.aborted; number++) {
        yield piece(number)
        pulled = number
      }
    },
    confirm: () => undefined,
    lag: async () => ({ head: null, confirmed: null, behind: 0, headroomBytes: null }),
    stop: async () => undefined,
  }
  return { source, pulled: () => pulled }
}

test('what waits for a slow consumer is bounded in bytes, however large its rows are', async () => {
  const { source, pulled } = large('x'.repeat(mebibyte / 10))
  const redis = { redis: createAbsentRedis(), connect: async () => createAbsentRedis() }
  const settings = resolveSettings({ redis })
  const publisher = new Publisher('test', { redis }, settings)
  const parts = { source, publisher, redis, settings, delivered: () => undefined, done: () => undefined }
  const events = new Reader({ epoch, number: 0n }, parts).events(new AbortController().signal)
  let most = 0
  for (let taken = 1; taken <= 40; taken++) {
    await events.next()
    for (let turn = 0; turn < 20; turn++) await setImmediate()
    most = Math.max(most, pulled() - taken)
  }
  await events.return()
  // Of a mebibyte each: in two queues, and between them what was taken out of the first.
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThan(64)
})
