import type pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createFeed } from '../../feed/follow/create-feed.js'
import { storedPositions } from '../../feed/follow/follower-position.js'
import { installOutbox } from '../../feed/sources/outbox/install-outbox.js'
import { createOutboxSource } from '../../feed/sources/outbox/outbox-source.js'
import { createNamedPool, type Pool } from '../../postgres/postgres.js'
import { bootstrappedTemplate } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import { createRelay } from './create-relay.js'
import { createOutboxQueue, type OutboxQueue, type OutboxQueueOptions } from './outbox-queue.js'
import { createPusherTarget } from './pusher-target.js'
import type { Relay, RelayMessage, RelayRule } from './relay.js'
import { type PusherEndpoint, startPusherEndpoint } from './testing/pusher-endpoint.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client: pg.Client = useClient(database)

let endpoint: PusherEndpoint
const stops: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  await client.query('create table things (id int primary key, status text not null)')
  await installOutbox(client, [{ schema: 'public', table: 'things' }])
})
beforeEach(async () => {
  endpoint = await startPusherEndpoint()
})
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
  await endpoint.stop()
  await client.query('truncate tidemark.relay_outbox; delete from tidemark.relay_leases; delete from tidemark.feed_followers')
})

const rule: RelayRule = {
  table: 'public.things',
  channel: 'things',
  event: 'changed',
  data: ['id', 'status'],
  id: ({ record }) => `${record?.['id']} ${record?.['status']}`,
}

const openPool = (): Pool => {
  const pool = createNamedPool('primary', { url: database.url, pools: { primary: { minConnections: 0, maxConnections: 4 } } })
  stops.push(() => pool.stop())
  return pool
}

const openQueue = (name: string, more: Partial<OutboxQueueOptions> = {}): OutboxQueue =>
  createOutboxQueue({ pool: openPool(), name, ...more })

const openRelay = (name: string, queue = openQueue(name)): Relay => {
  const target = createPusherTarget({ url: endpoint.url })
  const relay = createRelay({
    name,
    target,
    rules: [rule],
    queue,
    pollMs: 20,
    breaker: { recoveryTimeoutMs: 50 },
    random: () => 0.01,
  })
  relay.start()
  stops.push(() => relay.stop())
  return relay
}

/** A feed of its own, as another process has one. */
const follow = async (relay: Relay, reader: string): Promise<() => Promise<void>> => {
  const pool = openPool()
  const source = createOutboxSource({ pool, name: reader, tables: 'installed', pollMs: 20 })
  const feed = createFeed({
    source,
    followers: [relay.follower],
    storedPositions: () => storedPositions(client),
    confirmEveryMs: 20,
  })
  await feed.start()
  let stopped: Promise<void> | undefined
  const stop = () => (stopped ??= feed.stop())
  stops.push(stop)
  await until(() => feed.freshness() < 1000)
  return stop
}

const message = (id: number, channel = 'things'): RelayMessage => ({
  channel,
  event: 'changed',
  data: { id, status: 'new' },
  id: `${id} new`,
})

const ids = () => endpoint.told.map(({ data }) => data['id'])

describe('C60, C61: a relay that keeps what it has to tell in Postgres', () => {
  it('tells every change once, also those that the writer itself told in its transaction', async () => {
    const queue = openQueue('one')
    const relay = openRelay('one', queue)
    await follow(relay, 'one')
    await queue.add([], undefined)
    for (let id = 1; id <= 30; id++) {
      await client.query('begin')
      await client.query('insert into things values ($1, $2)', [id, 'new'])
      if (id % 2 === 0)
        await queue.addWithin({ query: (text, values) => client.query(text, values as unknown[]) as never }, [message(id)])
      await client.query(id % 5 === 0 ? 'rollback' : 'commit')
    }
    relay.wake()
    const expected = Array.from({ length: 30 }, (_, i) => i + 1).filter((id) => id % 5 !== 0)
    await until(() => endpoint.told.length >= expected.length)
    await until(async () => Number((await client.query('select count(*) from tidemark.feed_outbox')).rows[0].count) === 0)
    expect([...ids()].sort((a, b) => Number(a) - Number(b))).toEqual(expected)
    await client.query('delete from things')
  })

  it('goes on after it was stopped where it was, and tells what happened meanwhile', async () => {
    const first = openRelay('two')
    const stopFeed = await follow(first, 'two')
    await client.query("insert into things values (1, 'new')")
    await until(() => endpoint.told.length === 1)
    await stopFeed()
    await first.stop()
    await client.query("insert into things values (2, 'new'); insert into things values (3, 'new')")
    await follow(openRelay('two'), 'two')
    await until(() => endpoint.told.length === 3)
    expect(ids()).toEqual([1, 2, 3])
    expect(endpoint.told.every(({ name }) => name === 'changed')).toBe(true)
    await client.query('delete from things')
  })

  it('is sent by one process at a time, in its order, and by another when that one has gone', async () => {
    const [one, other] = [openQueue('three', { leaseMs: 2_000 }), openQueue('three', { leaseMs: 2_000 })]
    await one.add([message(1), message(2)])
    expect((await one.peek(10)).map(({ id }) => id)).toEqual(['1 new', '2 new'])
    expect(await other.peek(10)).toEqual([])
    await one.done([message(1)])
    expect(await until(async () => ((await other.peek(10)).length > 0 ? 'taken over' : undefined))).toBe('taken over')
    expect(await one.peek(10)).toEqual([])
    await other.release()
    expect((await one.peek(10)).map(({ id }) => id)).toEqual(['2 new'])
    await one.done([message(2)])
    await one.add([message(2)])
    expect(await one.size()).toBe(0)
  })

  it('takes a transaction once, whichever process brings it', async () => {
    const [one, other] = [openQueue('four'), openQueue('four')]
    const position = { epoch: 'history', number: 7n }
    const added = await Promise.all([one, other].map((queue) => queue.add([message(1), message(2)], position)))
    expect(added.map((outcome) => outcome.added).sort()).toEqual([0, 2])
    expect(await one.stored()).toEqual(position)
    expect((await one.add([message(3)], { ...position, number: 6n })).added).toBe(0)
  })

  it('keeps everything while its target is away, and tells it in order afterwards', async () => {
    endpoint.answer(503)
    const relay = openRelay('five')
    for (let id = 1; id <= 25; id++) await relay.publish([message(id)])
    await until(async () => (await relay.getStatus()).state === 'off')
    expect((await relay.getStatus()).queued).toBe(25)
    endpoint.answer(undefined)
    await until(() => endpoint.told.length === 25)
    expect(ids()).toEqual(Array.from({ length: 25 }, (_, i) => i + 1))
    await until(async () => (await relay.getStatus()).queued === 0)
  })

  it('keeps within its bound: the oldest gives way, and its channel is told', async () => {
    const queue = openQueue('six', { maxMessages: 10 })
    for (let n = 0; n < 60; n++) await queue.add([message(n, n === 0 ? 'first' : 'things')])
    expect(await queue.size()).toBeLessThanOrEqual(60)
    expect(await queue.size()).toBeGreaterThanOrEqual(10)
    expect(queue.takeGaps()).toContain('first')
    expect(queue.takeGaps()).toEqual([])
  })
})
