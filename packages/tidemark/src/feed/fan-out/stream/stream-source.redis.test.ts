import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../../observability/observability.js'
import { createRedis } from '../../../redis/create-redis.js'
import type { Redis } from '../../../redis/redis.js'
import { type FeedWitness, witness } from '../../../testing/feed/feed-witness.js'
import { scriptedRelation } from '../../../testing/feed/scripted-log.js'
import { startTestRedis } from '../../../testing/redis/redis-server.js'
import { sharedRedisUrl } from '../../../testing/redis/redis-setup.js'
import { startUpstashFacade, type UpstashFacade } from '../../../testing/redis/upstash-facade.js'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { systemClock } from '../../../time/clock.js'
import { until } from '../../../time/until.js'
import type { Source } from '../../feed.js'
import { zeroId } from './entry-id.js'
import { encodePiece } from './piece-encoder.js'
import { PublishedStream } from './published-stream.js'
import { stateKey, streamKey } from './stream-keys.js'
import { createStreamSource } from './stream-source.js'
import type { StreamEntry } from './transaction-collector.js'

const url = sharedRedisUrl()
const epoch = 'wal-7'

const entry = (number: bigint): StreamEntry => ({
  id: { number, ordinal: 0n },
  body: encodePiece({
    type: 'transaction',
    position: { epoch, number },
    xid: number,
    committedAt: new Date(0),
    firstOrdinal: 0,
    changes: [{ kind: 'insert', relation: scriptedRelation, old: null, new: ['1', 'a'] }],
    last: true,
  }),
})

const claim = async (redis: Redis, scope: string, base = 100n, force = false): Promise<PublishedStream> => {
  const stream = await PublishedStream.claim({ redis, scope, epoch, base, force, purges: '' })
  if (stream === 'fenced') throw new Error('fenced')
  return stream
}

describe.skipIf(url === undefined)('the stream', () => {
  let redis: Redis
  let scope: string
  const cleanups = useCleanups()

  beforeAll(async () => {
    redis = await createRedis({ url: url ?? '' })
  })
  afterAll(async () => {
    await redis?.stop()
  })

  const fresh = (): string => {
    scope = `test-${randomBytes(6).toString('hex')}`
    return scope
  }

  const tail = async (
    options: {
      readonly from?: bigint
      readonly strict?: boolean
      readonly silence?: number
      readonly on?: Redis
      readonly begins?: 'oldest'
    } = {},
  ): Promise<FeedWitness> => {
    const own = options.on ?? (await createRedis({ url: url ?? '' }))
    const settings = {
      maxSilenceMs: options.silence ?? 300,
      clock: systemClock,
      log: silentLogger,
      ...(options.begins && { begins: options.begins }),
    }
    const source = createStreamSource({ redis: own, scope, settings, ...(options.strict && { strict: true }) })
    const { from } = options
    const placed: Source =
      from === undefined
        ? source
        : {
            kind: source.kind,
            guarantee: source.guarantee,
            events: (signal) => source.events(signal, { epoch, number: from }),
            confirm: () => source.confirm(),
            lag: () => source.lag(),
            stop: () => source.stop(),
          }
    const seen = witness(placed)
    cleanups.push(() => seen.stop())
    return seen
  }

  test('S2: append compares: only who knows the newest entry adds to it, all or nothing', async () => {
    const stream = await claim(redis, fresh())
    expect(await stream.append([entry(101n), entry(102n)])).toBe('ok')
    const zombie = await claim(redis, scope)
    expect(zombie.top).toMatchObject({ id: { number: 102n }, last: true })
    // Claimed later: the first is fenced at its next append, and at its next beat.
    expect(await stream.append([entry(103n)])).toBe('fenced')
    expect((await stream.beat({ proof: undefined, bye: false })).answer).toBe('fenced')
    expect(await zombie.append([entry(103n)])).toBe('ok')
    const state = stateKey(streamKey(zombie.epoch))
    await redis.command(['HSET', state, 'top', '999-0'])
    expect(await zombie.append([entry(104n)])).toBe('fenced')
    await redis.command(['HSET', state, 'top', '102-0'])
    expect(await zombie.append([entry(104n)])).toBe('lost')
    expect(await redis.command(['XLEN', streamKey(zombie.epoch)])).toBe(3)
  })

  test('a node that begins at the oldest is given everything that is kept, and told from where on that is', async () => {
    const stream = await claim(redis, fresh())
    const begun = async (begins?: 'oldest') => {
      const seen = await tail(begins ? { begins } : {})
      await until(() => seen.resets.length === 1)
      return seen
    }
    const from = (number: bigint) => [expect.objectContaining({ reason: 'start', position: { epoch, number } })]
    expect((await begun('oldest')).resets).toEqual(from(100n))
    await stream.append([entry(101n), entry(102n), entry(103n)])
    const whole = await begun('oldest')
    await until(() => whole.changes.length === 3)
    expect(whole.resets).toEqual(from(100n))
    await redis.command(['XTRIM', streamKey(stream.epoch), 'MINID', '102-0'])
    const trimmed = await begun('oldest')
    await stream.append([entry(104n)])
    await until(() => trimmed.changes.length === 3)
    expect(trimmed.changes).toEqual(['102/0', '103/0', '104/0'])
    // Nothing is missing after the last one that was trimmed.
    expect(trimmed.resets).toEqual(from(101n))
    expect((await begun()).resets).toEqual(from(104n))
  })

  test('S2 S12: a stream, its state, or its name that is gone is a loss, and the next claim begins anew', async () => {
    for (const gone of [(key: string) => key, (key: string) => `{${key}}:state`, () => `tidemark:feed:${scope}:current`]) {
      const stream = await claim(redis, fresh())
      await stream.append([entry(101n)])
      await stream.beat({ proof: undefined, bye: false })
      await stream.beat({ proof: { from: zeroId, distanceMs: 0, number: 101n, top: stream.last }, bye: false })
      await redis.command(['DEL', gone(streamKey(stream.epoch))])
      const { answer } = await stream.beat({ proof: undefined, bye: false })
      expect(answer).toBe('lost')
      const next = await claim(redis, scope, 100n, true)
      expect(next).toMatchObject({ isNew: true, completeTo: 100n })
      expect(next.epoch).not.toBe(stream.epoch)
    }
  })

  test('S4: a stream that ends before what the source can give again has a hole, and is not gone on with', async () => {
    const stream = await claim(redis, fresh(), 100n)
    await stream.append([entry(101n)])
    expect(await claim(redis, scope, 101n)).toMatchObject({ isNew: false, epoch: stream.epoch })
    expect(await claim(redis, scope, 102n)).toMatchObject({ isNew: true, completeTo: 102n })
  })

  test('S12: another run id of Redis is a loss', async () => {
    const stream = await claim(redis, fresh())
    await redis.command(['HSET', `tidemark:feed:${scope}:current`, 'run', 'another'])
    const next = await claim(redis, scope)
    expect(next.isNew).toBe(true)
    expect(next.epoch).not.toBe(stream.epoch)
  })

  test('S12: a reader whose Redis is suddenly another, with all of its data, does not beat again', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'tidemark-feed-redis-'))
    cleanups.push(() => rm(dir, { recursive: true, force: true }))
    const args = ['--dir', dir, '--appendonly', 'yes', '--appendfsync', 'always']
    const server = await startTestRedis({ args })
    cleanups.push(() => server.stop())
    const own = await createRedis({ url: server.url, retryMaxMs: 50 })
    cleanups.push(() => own.stop())
    const stream = await claim(own, fresh())
    expect(await stream.append([entry(101n)])).toBe('ok')
    expect((await stream.beat({ proof: undefined, bye: false })).answer).toBe('ok')
    server.signal('SIGKILL')
    await until(() => own.state === 'down')
    const again = await startTestRedis({ args, port: server.port })
    cleanups.push(() => again.stop())
    await until(() => own.state === 'up')
    expect((await stream.beat({ proof: undefined, bye: false })).answer).toBe('lost')
  })

  test('S2: a missing entry is a gap: announced, and gone on behind it', async () => {
    const stream = await claim(redis, fresh())
    await stream.append([entry(101n)])
    const seen = await tail()
    await until(() => seen.resets.length === 1)
    await stream.append([entry(102n)])
    await until(() => seen.changes.length === 1)
    const key = streamKey(stream.epoch)
    await redis.command(['XADD', key, '105-0', 'p', '103-0', 'b', entry(105n).body])
    await redis.command(['XADD', key, '106-0', 'p', '105-0', 'b', entry(106n).body])
    await until(() => seen.changes.length === 3)
    expect(seen.changes).toEqual(['102/0', '105/0', '106/0'])
    expect(seen.resets.map(({ reason, position }) => [reason, position.number])).toEqual([
      ['start', 101n],
      ['gap', 104n],
    ])
    expect(seen.events.map(({ type }) => type)).toEqual(['reset', 'transaction', 'reset', 'transaction', 'transaction'])
  })

  test('S2: an entry that cannot be read is a gap as well, never a misread change', async () => {
    const stream = await claim(redis, fresh())
    const seen = await tail()
    await until(() => seen.resets.length === 1)
    const key = streamKey(stream.epoch)
    await redis.command(['XADD', key, '101-0', 'p', '0-0', 'b', Buffer.from([9, 9, 9])])
    await redis.command(['XADD', key, '102-0', 'p', '101-0', 'b', entry(102n).body])
    await until(() => seen.changes.length === 1)
    expect(seen.resets.map(({ reason }) => reason)).toEqual(['start', 'gap'])
  })

  test('RT-2: from a position it goes on exactly there; from one that is trimmed, or of another history, it says so', async () => {
    const stream = await claim(redis, fresh())
    await stream.append([101n, 103n, 105n, 107n].map(entry))
    for (const [from, expected] of [
      [100n, ['101/0', '103/0', '105/0', '107/0']],
      [103n, ['105/0', '107/0']],
      [104n, ['105/0', '107/0']],
    ] as const) {
      const seen = await tail({ from })
      await until(() => seen.changes.length === expected.length)
      expect([seen.changes, seen.resets]).toEqual([expected, []])
    }
    await redis.command(['XTRIM', streamKey(stream.epoch), 'MINID', '105-0'])
    const kept = await tail({ from: 103n })
    await until(() => kept.changes.length === 2)
    expect(kept.resets).toEqual([])
    const missing = await tail({ from: 102n })
    await until(() => missing.changes.length === 2)
    expect(missing.resets.map(({ reason }) => reason)).toEqual(['gap'])
    for (const from of [102n, 99n]) {
      const strict = await tail({ from, strict: true })
      await until(() => strict.failure)
      expect(strict.failure).toMatchObject({ code: 'TM_FEED_NOT_KEPT' })
    }
  })

  test('goes over to the stream that takes the place of a silent one, without repeating what it gave', async () => {
    const stream = await claim(redis, fresh())
    await stream.append([101n, 102n].map(entry))
    const seen = await tail({ from: 100n })
    await until(() => seen.changes.length === 2)
    const next = await claim(redis, scope, 100n, true)
    await next.append([101n, 102n, 103n].map(entry))
    await until(() => seen.changes.length === 3)
    expect(seen.changes).toEqual(['101/0', '102/0', '103/0'])
    expect(seen.resets.map(({ reason, position }) => [reason, position.number])).toEqual([['streamLost', 102n]])
  })

  test('FEED-3: a proof counts only once everything that it speaks of was given', async () => {
    const stream = await claim(redis, fresh())
    const seen = await tail()
    await until(() => seen.resets.length === 1)
    const { id: from } = await stream.beat({ proof: undefined, bye: false })
    // It speaks of an entry that is not there yet.
    await stream.beat({ proof: { from, distanceMs: 5, number: 101n, top: { number: 101n, ordinal: 0n } }, bye: false })
    await stream.beat({ proof: undefined, bye: false })
    await stream.append([entry(101n)])
    await until(() => seen.changes.length === 1)
    const after = await stream.beat({ proof: undefined, bye: false })
    await stream.beat({ proof: { from: after.id, distanceMs: 5, number: 101n, top: stream.last }, bye: false })
    await until(() => seen.events.some(({ type }) => type === 'fresh'))
    const types = seen.events.map(({ type }) => type)
    expect(types.indexOf('fresh')).toBeGreaterThan(types.indexOf('transaction'))
  })

  describe('S32: over REST, which cannot wait', () => {
    let facade: UpstashFacade

    beforeAll(async () => {
      facade = await startUpstashFacade({ redisUrl: url ?? '', token: 'token-for-the-test' })
    })
    afterAll(async () => {
      await facade?.stop()
    })

    test('the stream is polled, seldom, and gives the same', async () => {
      const stream = await claim(redis, fresh())
      const rest = await createRedis({ restUrl: facade.url, restToken: facade.token })
      let asked = 0
      const pipeline = rest.pipeline.bind(rest)
      rest.pipeline = (...args) => {
        asked += 1
        return pipeline(...args)
      }
      const seen = await tail({ on: rest, silence: 900 })
      await until(() => seen.resets.length === 1)
      const since = performance.now()
      const before = asked
      await stream.append([entry(101n)])
      await until(() => seen.changes.length === 1)
      await until(() => asked >= before + 3)
      expect(performance.now() - since).toBeGreaterThan(300)
    })
  })
})
