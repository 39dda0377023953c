import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createRedis } from '../../redis/create-redis.js'
import { findRedisServer } from '../../redis/embedded/find-server.js'
import { bootstrappedTemplate } from '../../schema/testing/bootstrapped-template.js'
import { type FeedWitness, witness } from '../../testing/feed/feed-witness.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useRedis } from '../../testing/redis/use-redis.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { columnValue, type FeedEvent } from '../feed.js'
import { databaseOid, listSlots, slotName } from '../slots.js'
import type { FanOut, FanOutOptions } from './fan-out.js'
import { createFanOut } from './open-fan-out.js'
import { walSources } from './wal-sources.js'

const program = await findRedisServer()

/** The numbers in the rows, in the order in which they came. */
const numbers = (events: readonly FeedEvent[]): number[] =>
  events.flatMap((event) =>
    event.type === 'transaction' ? event.changes.map(({ relation, new: row }) => Number(columnValue(relation, row, 'n'))) : [],
  )

describe.skipIf(program === undefined)('nodes on one slot', () => {
  const database = useDatabase({ template: bootstrappedTemplate })
  const client = useClient(database)
  const redis = useRedis()
  let named = 0

  beforeAll(async () => {
    await client.query('create table things (id bigint generated always as identity primary key, n int not null)')
    await client.query('create table others (id bigint generated always as identity primary key)')
  })

  afterEach(async () => {
    await client.query('truncate things')
  })

  const cleanups = useCleanups()

  interface Node {
    readonly fanOut: FanOut
    readonly seen: FeedWitness
  }

  const sourcesOf = (slot: string, maxSilenceMs: number) =>
    walSources({
      target: { url: database.url },
      adminTarget: { url: database.url },
      slotName: slot,
      publication: `pub_${slot}`,
      tables: [{ schema: 'public', table: 'things' }],
      maxSilenceMs,
    })

  const node = async (slot: string, options: Partial<FanOutOptions> = {}): Promise<Node> => {
    const connect = () => createRedis({ url: redis.url, commandTimeoutMs: 500, retryMaxMs: 100 })
    const shared = await connect()
    const maxSilenceMs = options.maxSilenceMs ?? 600
    const fanOut = createFanOut({
      sources: sourcesOf(slot, maxSilenceMs),
      redis: { redis: shared, connect },
      maxSilenceMs,
      ...options,
    })
    const seen = witness(fanOut.source)
    cleanups.push(async () => {
      await seen.stop()
      await shared.stop()
    })
    return { fanOut, seen }
  }

  const role = ({ fanOut }: Node, wanted: string) =>
    until(() => fanOut.state().role === wanted, { what: `The role ${wanted}`, timeoutMs: 20_000 })

  const pair = async (options: Partial<FanOutOptions> = {}) => {
    named += 1
    const slot = `fan_${named}`
    const first = await node(slot, options)
    await role(first, 'reading')
    await until(() => first.fanOut.state().streamEpoch)
    const second = await node(slot, options)
    await role(second, 'tailing')
    await until(() => second.seen.resets.length > 0)
    return { slot, first, second }
  }

  let next = 0
  const write = async (count: number): Promise<number[]> => {
    const written = Array.from({ length: count }, () => next++)
    for (const n of written) await client.query('insert into things (n) values ($1)', [n])
    return written
  }

  const saw = async ({ seen }: Node, expected: readonly number[]) => {
    await until(() => numbers(seen.events).length >= expected.length, { timeoutMs: 10_000 }).catch(() => undefined)
    expect(numbers(seen.events)).toEqual(expected)
  }

  test('FEED-2: both see the same, and are proven fresh; the positions and xids are those of the log', async () => {
    const { first, second } = await pair()
    const written = await write(50)
    await client.query('insert into things (n) select g from generate_series(1000, 1999) g')
    const expected = [...written, ...Array.from({ length: 1000 }, (_, i) => 1000 + i)]
    await saw(first, expected)
    await saw(second, expected)
    const pieces = (each: Node) =>
      each.seen.events.flatMap((event) => (event.type === 'transaction' && event.last ? [event] : []))
    const [a, b] = [pieces(first), pieces(second)]
    expect(b.map(({ position, xid }) => [position, xid])).toEqual(a.map(({ position, xid }) => [position, xid]))
    expect(b.map(({ committedAt }) => committedAt.getTime())).toEqual(a.map(({ committedAt }) => committedAt.getTime()))
    const at = performance.now()
    await until(() => second.seen.freshAsOf > at && first.seen.freshAsOf > at)
  })

  test('S5: idle but for other tables: the feed stays fresh, and the log is let go of', async () => {
    const { slot, first, second } = await pair({ replayWindowMs: 300 })
    const name = slotName(await databaseOid(client), slot)
    const confirmed = async () => (await listSlots(client)).find((each) => each.name === name)?.confirmedLsn ?? 0n
    const before = await confirmed()
    await client.query('insert into others select from generate_series(1, 20000)')
    await until(async () => (await confirmed()) > before + 1_000_000n, { timeoutMs: 15_000 })
    await until(() => performance.now() - second.seen.freshAsOf < 600)
    await first.seen.stop()
    await role(second, 'reading')
    await saw(second, await write(3))
    expect(second.seen.resets.map(({ reason }) => reason)).toEqual(['start'])
  })

  test('FEED-2 S7: the walsender ended and the slot taken: the next goes on with every row in order', async () => {
    const { slot, first, second } = await pair()
    const written = await write(20)
    await saw(second, written)
    const name = slotName(await databaseOid(client), slot)
    await first.seen.stop()
    const more = await write(20)
    await role(second, 'reading')
    await saw(second, [...written, ...more])
    expect((await listSlots(client)).find((each) => each.name === name)?.activePid).not.toBeNull()
  })

  test('S3 FEED-4: a slot that is lost is a new epoch, and a reset for all', async () => {
    const { slot, first, second } = await pair()
    await saw(second, await write(5))
    const name = slotName(await databaseOid(client), slot)
    const epoch = first.fanOut.state().epoch
    // As a slot that Postgres gave up: gone, with a hole behind it.
    await first.seen.stop()
    await role(second, 'reading')
    await second.seen.stop()
    await client.query('select pg_drop_replication_slot($1)', [name])
    await write(5)
    const third = await node(slot)
    await role(third, 'reading')
    await until(() => third.fanOut.state().streamEpoch)
    const fourth = await node(slot)
    await role(fourth, 'tailing')
    // It begins at the end that it finds: before that it may yet come behind what is written.
    await until(() => fourth.seen.resets.length > 0)
    const later = await write(2)
    await saw(third, later)
    await saw(fourth, later)
    expect(third.fanOut.state().epoch).not.toBe(epoch)
  })
})
