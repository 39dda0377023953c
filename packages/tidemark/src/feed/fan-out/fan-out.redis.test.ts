import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRedis } from '../../redis/create-redis.js'
import type { Redis } from '../../redis/redis.js'
import { type FeedWitness, witness } from '../../testing/feed/feed-witness.js'
import { createScriptedLog, type ScriptedLog } from '../../testing/feed/scripted-log.js'
import { startTestRedis } from '../../testing/redis/redis-server.js'
import { sharedRedisUrl } from '../../testing/redis/redis-setup.js'
import { useRedis } from '../../testing/redis/use-redis.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import type { Position } from '../position.js'
import { type FanOut, type FanOutOptions, type LeasedSource, redisEpochAt } from './fan-out.js'
import { createFanOut } from './open-fan-out.js'
import { zeroId } from './stream/entry-id.js'
import { PieceDecoder } from './stream/piece-decoder.js'
import { PublishedStream } from './stream/published-stream.js'
import { currentKey, streamKey } from './stream/stream-keys.js'
import { type StreamEntry, TransactionCollector } from './stream/transaction-collector.js'

const none = sharedRedisUrl() === undefined

describe.skipIf(none)('nodes of one feed', () => {
  const server = useRedis()
  const cleanups = useCleanups()
  let admin: Redis

  beforeAll(async () => {
    admin = await createRedis({ url: server.url })
  })

  afterAll(async () => {
    await admin?.stop()
  })

  const newLog = (options: Parameters<typeof createScriptedLog>[0] = {}): ScriptedLog =>
    createScriptedLog({ scope: `test-${randomBytes(6).toString('hex')}`, ...options })

  interface Node {
    readonly fanOut: FanOut
    readonly seen: FeedWitness
    readonly redis: Redis
  }

  const node = async (log: ScriptedLog, options: Partial<FanOutOptions> = {}, url: string | null = server.url): Promise<Node> => {
    const redis = await createRedis(url === null ? {} : { url, commandTimeoutMs: 3_000, retryMaxMs: 100 })
    const fanOut = createFanOut({
      sources: log.sources,
      redis: {
        redis,
        connect: (name) => createRedis(url === null ? {} : { url, name, commandTimeoutMs: 3_000, retryMaxMs: 100 }),
      },
      maxSilenceMs: 400,
      ...options,
    })
    const seen = witness(fanOut.source)
    cleanups.push(async () => {
      await seen.stop()
      await redis.stop()
    })
    return { fanOut, seen, redis }
  }

  const role = (one: Node, wanted: string) =>
    until(() => one.fanOut.state().role === wanted, { what: `The role ${wanted}`, timeoutMs: 15_000 })
  const has = (one: Node, changes: readonly string[], timeoutMs = 10_000) =>
    until(() => one.seen.changes.length >= changes.length, { what: `${changes.length} changes`, timeoutMs }).catch(
      () => undefined,
    )

  /** A node that reads and one that tails it. */
  const pair = async (log: ScriptedLog, options: Partial<FanOutOptions> = {}) => {
    const first = await node(log, options)
    await role(first, 'reading')
    await until(() => first.fanOut.state().streamEpoch)
    const second = await node(log, options)
    await role(second, 'tailing')
    await until(() => second.seen.resets.length > 0)
    return { first, second }
  }

  test('FEED-2: what one reads all see, whole and in order, and each begins with one reset', async () => {
    const log = newLog({ maxPieceChanges: 7 })
    const { first, second } = await pair(log)
    for (let i = 1; i <= 300; i++) log.commit(1 + (i % 23))
    for (const each of [first, second]) {
      await has(each, log.all())
      expect(each.seen.changes).toEqual(log.all())
      expect(each.seen.resets.map(({ reason }) => reason)).toEqual(['start'])
    }
  })

  test('what a node takes in the moment in which it is stopped it lets go of', async () => {
    const log = newLog()
    const first = await node(log)
    await role(first, 'reading')
    let [opening, stops] = [0, 0]
    let open: () => void = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const reader = (): LeasedSource => {
      const source = log.sources.reader()
      return {
        ...source,
        kind: source.kind,
        open: async (signal) => {
          const position = await source.open(signal)
          opening++
          await gate
          return position
        },
        stop: () => {
          stops++
          return source.stop()
        },
      }
    }
    const redis = await createRedis({ url: server.url, commandTimeoutMs: 500 })
    const connect = () => createRedis({ url: server.url, commandTimeoutMs: 500 })
    const fanOut = createFanOut({ sources: { ...log.sources, reader }, redis: { redis, connect }, maxSilenceMs: 400 })
    const seen = witness(fanOut.source)
    cleanups.push(() => redis.stop())
    await until(() => fanOut.state().role === 'tailing')
    const before = stops
    await first.seen.stop()
    await until(() => opening > 0)
    const stopped = seen.stop()
    open()
    await stopped
    expect([opening, stops - before]).toEqual([1, 1])
  })

  test('S6: a transaction above the limit is told as one marker for each table; the reader itself gives its rows', async () => {
    const log = newLog({ maxPieceChanges: 10 })
    const { first, second } = await pair(log, { maxTransactionChanges: 50 })
    log.commit(50)
    const large = log.commit(51)
    const after = log.commit(1)
    await has(first, log.all())
    expect(first.seen.changes).toEqual(log.all())
    await until(() => second.seen.changes.includes(`${after}/0`))
    expect(second.seen.changes.slice(50)).toEqual([`${large}/items`, `${after}/0`])
    expect(second.seen.resets).toHaveLength(1)
  })

  test('S6: a transaction in many entries comes whole, its last piece marked as such', async () => {
    const log = newLog()
    const { second } = await pair(log, { maxEntryBytes: 200 })
    const number = log.commit(100)
    await has(second, log.all())
    const pieces = second.seen.events.flatMap((event) => (event.type === 'transaction' ? [event] : []))
    expect(pieces.length).toBeGreaterThan(5)
    expect(pieces.map(({ last }) => last)).toEqual([...pieces.slice(1).map(() => false), true])
    expect(second.seen.changes).toEqual(Array.from({ length: 100 }, (_, i) => `${number}/${i}`))
  })

  test('FEED-3 S5: a tail is proven fresh while the reader is, never before its time, and not once it is gone', async () => {
    const log = newLog()
    const { first, second } = await pair(log)
    await until(() => performance.now() - second.seen.freshAsOf < 400)
    const reads = second.seen.events.flatMap((event) => (event.type === 'fresh' ? [event.asOf] : []))
    for (const asOf of reads) expect(asOf).toBeLessThanOrEqual(performance.now())
    const lastBefore = log.commit(1)
    const committedAt = performance.now()
    await until(() => second.seen.freshAsOf >= committedAt)
    expect(second.seen.changes).toContain(`${lastBefore}/0`)
    await first.seen.stop()
    await role(second, 'reading')
  })

  test('FEED-2 S7: a waiter takes over from a silent reader, in order and without a loss', async () => {
    const log = newLog()
    const { first, second } = await pair(log, { maxSilenceMs: 1000 })
    for (let i = 0; i < 50; i++) log.commit(3)
    await has(second, log.all())
    // Silent, and still in hold of the lease: a frozen process.
    const pid = log.holder
    await first.redis.stop()
    for (let i = 0; i < 50; i++) log.commit(2)
    await until(() => log.holder !== pid && second.fanOut.state().role === 'reading')
    for (let i = 0; i < 50; i++) log.commit(2)
    await has(second, log.all())
    expect(second.seen.changes).toEqual(log.all())
    expect(second.seen.resets.map(({ reason }) => reason)).toEqual(['start'])
  })

  test('a reader that goes in good order is followed at once, well before silence counts', async () => {
    const log = newLog()
    const { first, second } = await pair(log, { maxSilenceMs: 5000 })
    const before = performance.now()
    await first.seen.stop()
    await role(second, 'reading')
    // Silence would count after five seconds.
    expect(performance.now() - before).toBeLessThan(5000)
    log.commit(2)
    await has(second, log.all())
    expect(second.seen.changes).toEqual(log.all())
  })

  test('S2: a zombie, woken after a takeover, is refused, stops reading and follows its successor; nothing is told twice', async () => {
    const log = newLog()
    const { first, second } = await pair(log)
    log.commit(2)
    await has(second, log.all())
    // The first is cut off from the beats it would make, but not from the stream.
    const script = first.redis.script.bind(first.redis)
    let frozen: (() => void) | undefined
    const thawed = new Promise<void>((resolve) => {
      frozen = resolve
    })
    first.redis.script = async (...args) => {
      await thawed
      return script(...args) as never
    }
    log.commit(3)
    await role(second, 'reading')
    log.commit(3)
    await has(second, log.all())
    frozen?.()
    await role(first, 'tailing')
    log.commit(1)
    for (const each of [first, second]) {
      await has(each, log.all())
      expect(each.seen.changes).toEqual(log.all())
      expect(each.seen.resets.map(({ reason }) => reason)).toEqual(['start'])
    }
    const entries = await admin.command<string[][]>(['XRANGE', streamKey(second.fanOut.state().streamEpoch ?? ''), '-', '+'])
    expect(entries).toHaveLength(4)
  })

  test('a node that comes later begins at the present end, and a reader that starts anew goes on with the stream that stands', async () => {
    const log = newLog()
    const first = await node(log)
    log.commit(2)
    await has(first, log.all())
    const epoch = first.fanOut.state().streamEpoch
    await first.seen.stop()
    const again = await node(log)
    await role(again, 'reading')
    await until(() => again.fanOut.state().streamEpoch)
    expect(again.fanOut.state().streamEpoch).toBe(epoch)
    const late = await node(log)
    await role(late, 'tailing')
    await until(() => late.seen.resets.length > 0)
    const number = log.commit(1)
    await until(() => late.seen.changes.length > 0)
    expect(late.seen.changes).toEqual([`${number}/0`])
  })

  test('S6: a transaction that is in the stream in part is completed by the next reader, down to the ordinal', async () => {
    const log = newLog()
    const number = log.commit(100)
    log.commit(1)
    const limits = { maxChanges: 1000, maxBytes: 1_000_000, maxEntryBytes: 200 }
    const collector = new TransactionCollector(limits, { id: zeroId, last: true })
    const source = log.sources.reader()
    const base = await source.open()
    const controller = new AbortController()
    const entries: StreamEntry[] = []
    for await (const event of source.events(controller.signal)) {
      if (event.type === 'transaction') entries.push(...collector.add(event))
      if (entries.length > 0) break
    }
    await source.stop()
    const scope = await log.sources.scope()
    const stream = await PublishedStream.claim({ redis: admin, scope, epoch: log.epoch, base: base.number, purges: '' })
    if (stream === 'fenced') throw new Error('fenced')
    await stream.append(entries.slice(0, 2))
    const one = await node(log)
    await has(one, log.all())
    const key = streamKey(stream.epoch)
    const read = async () => admin.command<[Buffer, Buffer[]][]>(['XRANGE', key, '-', '+'], { buffers: true })
    await until(async () =>
      (await read())
        .at(-1)?.[0]
        .toString()
        .startsWith(String(number + 100n)),
    )
    const decoder = new PieceDecoder()
    const told = (await read()).flatMap(([id, fields]) => {
      const piece = decoder.decode(fields[3] as Buffer, { epoch: log.epoch, number: BigInt(id.toString().split('-')[0] ?? 0) })
      return piece.changes.map((_, index) => `${piece.position.number}/${piece.firstOrdinal + index}`)
    })
    expect(told).toEqual(log.all())
  })

  test('S4: nothing is confirmed before it is acknowledged and older than the window, everything after', async () => {
    const log = newLog()
    const { first } = await pair(log, { replayWindowMs: 900 })
    const from = log.confirmed
    const number = log.commit(1)
    await has(first, log.all())
    const seenAt = performance.now()
    await until(() => log.confirmed > from)
    await until(() => log.confirmed >= number)
    expect(performance.now() - seenAt).toBeGreaterThan(800)
  })

  test('S4: a durable follower that is behind holds the confirmation back', async () => {
    const log = newLog()
    const redis = await createRedis({ url: server.url })
    const fanOut = createFanOut({
      sources: log.sources,
      redis: { redis, connect: () => createRedis({ url: server.url }) },
      maxSilenceMs: 400,
      replayWindowMs: 60,
    })
    const seen = witness(fanOut.source, { confirms: false })
    cleanups.push(async () => {
      await seen.stop()
      await redis.stop()
    })
    const number = log.commit(1)
    await until(() => seen.changes.length === 1)
    await until(() => performance.now() - seen.freshAsOf < 100 && seen.events.length > 20)
    expect(log.confirmed).toBe(1000n)
    fanOut.source.confirm({ epoch: log.epoch, number })
    await until(() => log.confirmed === number)
  })

  describe('where Redis forgets', () => {
    const own = async () => {
      const redis = await startTestRedis()
      cleanups.push(() => redis.stop())
      return redis
    }

    const pairOn = async (log: ScriptedLog, url: string, options: Partial<FanOutOptions> = {}) => {
      const first = await node(log, options, url)
      await role(first, 'reading')
      await until(() => first.fanOut.state().streamEpoch)
      const second = await node(log, options, url)
      await role(second, 'tailing')
      await until(() => second.seen.resets.length > 0)
      return { first, second }
    }

    test('S4 S12: FLUSHALL under load: a new stream, the window published again, a reset, and nothing is missing', async () => {
      const log = newLog()
      const { url } = await own()
      const epochs: string[] = []
      const { first, second } = await pairOn(log, url, { onStreamEpoch: async (epoch) => void epochs.push(epoch) })
      const flusher = await createRedis({ url })
      cleanups.push(() => flusher.stop())
      for (let i = 0; i < 300; i++) {
        log.commit(2)
        if (i === 150) await flusher.command(['FLUSHALL'])
        if (i % 10 === 0) await until(() => second.seen.changes.length > i - 100, { timeoutMs: 500 }).catch(() => undefined)
      }
      await has(second, log.all())
      expect(second.seen.changes).toEqual(log.all())
      expect(first.seen.changes).toEqual(log.all())
      expect(second.seen.resets.map(({ reason }) => reason)).toEqual(['start', 'streamLost'])
      expect(first.seen.resets.map(({ reason }) => reason)).toEqual(['start'])
      expect(new Set(epochs).size).toBe(2)
      await until(() => first.fanOut.state().streamEpoch === epochs[1], { what: 'The new stream' })
    })

    test('S12: a restart of Redis voids the stream by its run id, even where nothing was lost; nothing is missing', async () => {
      const log = newLog()
      const dir = await mkdtemp(join(tmpdir(), 'tidemark-feed-redis-'))
      cleanups.push(() => rm(dir, { recursive: true, force: true }))
      const args = ['--dir', dir, '--appendonly', 'yes', '--appendfsync', 'always']
      const redis = await startTestRedis({ args })
      cleanups.push(() => redis.stop())
      const { first, second } = await pairOn(log, redis.url, { maxSilenceMs: 2000 })
      for (let i = 0; i < 5; i++) log.commit(1)
      await has(second, log.all())
      const epoch = first.fanOut.state().streamEpoch
      redis.signal('SIGKILL')
      log.commit(1)
      await has(first, log.all())
      const again = await startTestRedis({ args, port: redis.port })
      cleanups.push(() => again.stop())
      await has(second, log.all())
      expect(second.seen.changes).toEqual(log.all())
      expect(second.seen.resets.map(({ reason }) => reason)).toEqual(['start', 'streamLost'])
      expect(first.fanOut.state().streamEpoch).not.toBe(epoch)
      expect(first.fanOut.state().epoch).toBe(log.epoch)
    })

    test('S4: Redis killed and started empty: everybody goes on without it, then with it, and nothing is missing', async () => {
      const log = newLog()
      const { port, url, signal } = await own()
      const { first, second } = await pairOn(log, url)
      for (let i = 0; i < 20; i++) log.commit(1)
      await has(second, log.all())
      signal('SIGKILL')
      for (let i = 0; i < 20; i++) log.commit(1)
      await has(first, log.all())
      expect(first.seen.changes).toEqual(log.all())
      expect(first.fanOut.state()).toMatchObject({ role: 'reading', streamEpoch: null })
      await role(second, 'apart')
      const again = await startTestRedis({ port })
      cleanups.push(() => again.stop())
      // Either may read from now on: to who was apart, a reader that is late with its first beat is a silent one.
      const roles = () => [first, second].map(({ fanOut }) => fanOut.state().role).sort()
      await until(() => roles().join() === 'reading,tailing', { what: 'One that reads, and one that tails' })
      log.commit(1)
      const newest = log.all().at(-1) ?? ''
      await until(() => second.seen.changes.includes(newest))
      await has(first, log.all())
      expect(first.seen.changes).toEqual(log.all())
      // Its own slot gave it what Redis did not; the change of history was said.
      expect(new Set(second.seen.changes)).toEqual(new Set(log.all()))
      expect(second.seen.resets.length).toBeGreaterThan(1)
    })

    test('a freeze of Redis is no loss: the stream goes on where it stood', async () => {
      const log = newLog()
      const { url, signal } = await own()
      const { first, second } = await pairOn(log, url, { maxSilenceMs: 3000 })
      log.commit(1)
      await has(second, log.all())
      const epoch = first.fanOut.state().streamEpoch
      signal('SIGSTOP')
      for (let i = 0; i < 20; i++) log.commit(1)
      await has(first, log.all())
      await until(() => first.fanOut.state().streamEpoch === null)
      signal('SIGCONT')
      await has(second, log.all())
      expect(second.seen.changes).toEqual(log.all())
      expect(first.fanOut.state().streamEpoch).toBe(epoch)
      expect(second.seen.resets).toHaveLength(1)
    })

    test('S16: a full Redis takes nothing: nobody stops for that, and nothing is missing once there is room', async () => {
      const log = newLog()
      const { url } = await own()
      const { first, second } = await pairOn(log, url)
      const keeper = await createRedis({ url })
      cleanups.push(() => keeper.stop())
      log.commit(3)
      await has(second, log.all())
      await keeper.command(['CONFIG', 'SET', 'maxmemory', '1'])
      log.commit(3)
      await until(() =>
        [first, second].every(({ fanOut }) => fanOut.state().streamEpoch === null || fanOut.state().role === 'tailing'),
      )
      await until(() => [first, second].some(({ seen }) => seen.changes.length === 6))
      await keeper.command(['CONFIG', 'SET', 'maxmemory', '0'])
      log.commit(3)
      for (const each of [first, second]) {
        await has(each, log.all())
        expect(each.seen.changes).toEqual(log.all())
        expect(each.seen.resets.map(({ reason }) => reason)).toEqual(['start'])
      }
    })

    test('without Redis one reads for itself, and the others read on their own', async () => {
      const log = newLog()
      const first = await node(log, {}, null)
      await role(first, 'reading')
      const redis = await createRedis({})
      const fanOut = createFanOut({ sources: log.sources, redis: { redis, connect: () => createRedis({}) }, maxSilenceMs: 400 })
      const seen = witness(fanOut.source)
      cleanups.push(() => seen.stop())
      await until(() => fanOut.state().role === 'apart')
      const number = log.commit(3)
      await until(() => seen.changes.length === 3)
      await has(first, log.all())
      expect(seen.changes).toEqual(log.all())
      await until(() => log.confirmed >= number)
      await first.seen.stop()
      await until(() => fanOut.state().role === 'reading')
    })
  })

  test('S3: a restored database is a new stream, and a reset for everybody', async () => {
    const log = newLog()
    const { first, second } = await pair(log)
    log.commit(1)
    await has(second, log.all())
    const before = first.fanOut.state().streamEpoch
    log.restore('wal-1-2-16384-aa')
    const number = log.commit(2)
    await until(() => second.seen.changes.includes(`${number}/1`))
    for (const { seen, fanOut } of [first, second]) {
      expect(seen.resets.map(({ reason, epoch }) => [reason, epoch])).toEqual([
        ['start', 'wal-1-1-16384-aa'],
        ['newHistory', 'wal-1-2-16384-aa'],
      ])
      expect(fanOut.state().epoch).toBe('wal-1-2-16384-aa')
    }
    expect(first.fanOut.state().streamEpoch).not.toBe(before)
  })

  test('S3 FEED-4: a restored database whose numbers begin anew is confirmed to as before, and followed when Redis comes back', async () => {
    const log = newLog()
    const { first, second } = await pair(log, { replayWindowMs: 100 })
    for (let i = 0; i < 5; i++) log.commit(1)
    await until(() => log.confirmed >= 1500n)
    log.restore('wal-1-2-16384-aa')
    const number = log.commit(1)
    await until(() => log.confirmed >= number)
    await admin.command(['FLUSHALL'])
    const later = log.commit(1)
    await until(() => second.seen.changes.includes(`${later}/0`))
    expect(first.fanOut.state().streamEpoch).toContain('wal-1-2-16384-aa')
    await until(() => log.confirmed >= later)
  })

  test('CACHE-2: a node that has not applied the reset to another history does not go by what Redis holds of that', async () => {
    const log = newLog()
    const first = await node(log)
    await role(first, 'reading')
    const redis = await createRedis({ url: server.url })
    const connect = () => createRedis({ url: server.url })
    const fanOut = createFanOut({ sources: log.sources, redis: { redis, connect }, maxSilenceMs: 400 })
    const ending = new AbortController()
    const events = fanOut.source.events(ending.signal)
    cleanups.push(async () => {
      ending.abort()
      await fanOut.stop()
      await redis.stop()
    })
    let [applied, isOver]: [Position | null, boolean] = [null, false]
    for await (const event of events) {
      if (event.type === 'reset' && event.epoch === log.epoch && applied?.epoch !== log.epoch) {
        // Given, and not applied.
        expect(fanOut.state().redisEpoch).toContain(log.epoch)
        expect(redisEpochAt(fanOut.state(), applied)).toBeNull()
        isOver = applied !== null
      }
      applied = event.position
      expect(redisEpochAt(fanOut.state(), applied)).toBe(fanOut.state().redisEpoch)
      if (isOver) break
      if (event.type === 'fresh' && log.epoch === 'wal-1-1-16384-aa') log.restore('wal-1-2-16384-aa')
    }
  })

  test('CACHE-4: what is done before publishing is done before any other node hears of it, also after a failure', async () => {
    const log = newLog()
    const purged: bigint[] = []
    let failures = 2
    const { first, second } = await pair(log, {
      onBeforePublish: async (pieces) => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        if (failures-- > 0) throw new Error('the purge failed')
        purged.push(...pieces.map(({ position }) => position.number))
      },
    })
    const seenBeforePurge: string[] = []
    for (let i = 0; i < 40; i++) log.commit(1)
    await until(() => {
      for (const change of second.seen.changes) {
        if (!purged.includes(BigInt(change.split('/')[0] ?? 0))) seenBeforePurge.push(change)
      }
      return second.seen.changes.length >= 40
    })
    expect(seenBeforePurge).toEqual([])
    expect(second.seen.changes).toEqual(log.all())
    expect(first.seen.changes).toEqual(log.all())
  })

  test('the stream is trimmed to the window, and its newest entry stays', async () => {
    const log = newLog()
    const { first } = await pair(log, { replayWindowMs: 300 })
    const stream = streamKey(first.fanOut.state().streamEpoch ?? '')
    for (let i = 0; i < 500; i++) log.commit(1)
    await until(async () => (await admin.command<number>(['XLEN', stream])) === 500)
    await until(async () => (await admin.command<number>(['XLEN', stream])) < 200)
    expect(await admin.command<number>(['XLEN', stream])).toBeGreaterThan(0)
    expect(await admin.command(['EXISTS', currentKey(await log.sources.scope())])).toBe(1)
  })
})
