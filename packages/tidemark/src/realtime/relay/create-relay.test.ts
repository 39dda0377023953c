import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Change, Relation, TransactionPiece } from '../../feed/feed.js'
import { createFakeClock } from '../../testing/fake-clock.js'
import { until } from '../../time/until.js'
import { createRelay, type RelayOptions } from './create-relay.js'
import { createMemoryQueue } from './memory-queue.js'
import { createPusherTarget } from './pusher-target.js'
import type { Relay, RelayRule } from './relay.js'
import { type PusherEndpoint, startPusherEndpoint } from './testing/pusher-endpoint.js'

const column = (name: string, typeOid: number, isKey = false) => ({ name, typeOid, typeModifier: -1, isKey })
const relation = (table: string): Relation => ({
  oid: 1,
  schema: 'public',
  table,
  identity: 'default',
  columns: [column('id', 23, true), column('status', 25), column('secret', 25)],
})
const things = relation('things')

const inserted = (id: number, status = 'new', of = things): Change => ({
  kind: 'insert',
  relation: of,
  old: null,
  new: [String(id), status, 'hidden'],
})

const piece = (number: number, changes: readonly Change[], more: Partial<TransactionPiece> = {}): TransactionPiece => ({
  type: 'transaction',
  position: { epoch: 'one', number: BigInt(number) },
  xid: 1n,
  committedAt: new Date(),
  firstOrdinal: 0,
  changes,
  last: true,
  ...more,
})

const rule: RelayRule = { table: 'public.things', channel: 'things', event: 'changed', data: ['id', 'status'] }

let endpoint: PusherEndpoint
const relays: Relay[] = []

beforeEach(async () => {
  endpoint = await startPusherEndpoint()
})
afterEach(async () => {
  for (const relay of relays.splice(0)) await relay.stop()
  await endpoint.stop()
})

const open = (options: Partial<RelayOptions> = {}): Relay => {
  const relay = createRelay({
    target: createPusherTarget({ url: endpoint.url }),
    rules: [rule],
    breaker: { failureThreshold: 3, recoveryTimeoutMs: 50, maxRecoveryTimeoutMs: 100 },
    random: () => 0.01,
    ...options,
  })
  relays.push(relay)
  relay.start()
  return relay
}

const ids = () => endpoint.told.map(({ data }) => data['id'])

describe('R59, R60: feed to Pusher', () => {
  it('tells what a rule asks for, signed as Pusher wants it, with the columns that it names and no others', async () => {
    const relay = open({ rules: [{ ...rule, events: ['INSERT'], when: ({ record }) => record?.['status'] !== 'draft' }] })
    const changes = [inserted(1), inserted(2, 'draft'), inserted(3, 'new', relation('others'))]
    await relay.follower.apply(piece(10, changes))
    await relay.follower.apply(piece(11, [{ kind: 'delete', relation: things, old: ['1', null, null], new: null }]))
    await until(async () => (await relay.getStatus()).sent === 1)
    expect(endpoint.told).toEqual([{ channel: 'things', name: 'changed', data: { id: 1, status: 'new', event_id: 'one:a-0' } }])
    expect(endpoint.refused).toEqual([])
    expect(await relay.getStatus()).toMatchObject({ state: 'running', breaker: 'CLOSED', sent: 1, queued: 0, lastError: null })
  })

  it('C60: shows a change once, whoever else publishes it and however often the feed gives it', async () => {
    const relay = open({ rules: [{ ...rule, id: ({ record }) => `thing ${record?.['id']}` }] })
    const message = { channel: 'things', event: 'changed', data: { id: 1, status: 'new' }, id: 'thing 1' }
    await relay.publish([message])
    const given = piece(1, [inserted(1), inserted(2)])
    for (let n = 0; n < 3; n++) await relay.follower.apply(given)
    await relay.publish([message])
    await until(() => endpoint.told.length >= 2)
    await until(async () => (await relay.getStatus()).queued === 0)
    expect(ids()).toEqual([1, 2])
    expect((await relay.getStatus()).repeated).toBe(6)
  })

  it('sends what came together in batches of ten at most, and each channel in its order', async () => {
    const channels = ['a', 'b', 'c']
    const relay = open({ rules: [{ ...rule, channel: ({ record }) => channels[Number(record?.['id']) % 3]! }] })
    await relay.follower.apply(
      piece(
        1,
        Array.from({ length: 100 }, (_, i) => inserted(i)),
      ),
    )
    await until(() => endpoint.told.length === 100)
    for (const channel of channels) {
      const seen = endpoint.told.filter((told) => told.channel === channel).map(({ data }) => Number(data['id']))
      expect(seen).toEqual([...seen].sort((a, b) => a - b))
    }
    expect(Math.max(...endpoint.batches)).toBeLessThanOrEqual(10)
    expect(endpoint.batches.length).toBeLessThan(20)
  })

  it('R60: leaves a failing target alone, keeps what waits, and goes on in order when it is back', async () => {
    const switches: boolean[] = []
    const relay = open({ onSwitch: (isOn) => switches.push(isOn) })
    endpoint.answer(503)
    for (let n = 1; n <= 20; n++) await relay.follower.apply(piece(n, [inserted(n)]))
    await until(async () => (await relay.getStatus()).state === 'off')
    const health = await relay.healthCheck.check(AbortSignal.timeout(1000))
    expect(health.status).toBe('degraded')
    const tried = endpoint.refused.length
    expect(tried).toBeLessThanOrEqual(6)
    endpoint.answer(0)
    await until(async () => (await relay.getStatus()).lastError !== null)
    endpoint.answer(undefined)
    await until(() => endpoint.told.length === 20)
    expect(ids()).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    await until(async () => (await relay.getStatus()).state === 'running')
    expect([switches.at(0), switches.at(-1)]).toEqual([false, true])
  })

  it('R60: a target that takes everything, and too long for it, is left alone as well; nothing is sent twice', async () => {
    const clock = createFakeClock()
    let slow = true
    const sent: unknown[] = []
    const relay = open({
      clock,
      slowMs: 100,
      breaker: { failureThreshold: 3, recoveryTimeoutMs: 5_000 },
      target: {
        name: 'slow',
        maxBatch: 1,
        maxDataBytes: 1000,
        refuses: () => undefined,
        send: async (messages) => {
          if (slow) await clock.sleep(150)
          sent.push(...messages.map(({ data }) => data['id']))
        },
      },
    })
    for (let n = 1; n <= 6; n++) await relay.follower.apply(piece(n, [inserted(n)]))
    await clock.advance(1_000)
    expect([(await relay.getStatus()).state, sent]).toEqual(['off', [1, 2, 3]])
    slow = false
    await clock.advance(10_000)
    expect([(await relay.getStatus()).state, sent]).toEqual(['running', [1, 2, 3, 4, 5, 6]])
  })

  it('keeps within its bound: the oldest gives way, and its channel is told to fetch again', async () => {
    const relay = open({ queue: createMemoryQueue({ maxMessages: 5 }) })
    endpoint.answer(503)
    await relay.follower.apply(piece(1, [inserted(1)]))
    await until(() => endpoint.refused.length > 0)
    for (let n = 2; n <= 8; n++) await relay.follower.apply(piece(n, [inserted(n)]))
    endpoint.answer(undefined)
    await until(() => endpoint.told.at(-1)?.name === 'tidemark:gap')
    // The first may have been on its way already.
    expect(ids().filter((id) => id !== 1)).toEqual([4, 5, 6, 7, 8, undefined])
    expect(endpoint.told.at(-1)).toMatchObject({ channel: 'things', name: 'tidemark:gap', data: { reason: 'dropped' } })
    expect((await relay.getStatus()).dropped).toBe(3)
  })

  it('leaves out what the target never takes, tells its channel, and sends what is beside it', async () => {
    const event: RelayRule['event'] = ({ record }) => (record?.['id'] === 2 ? 'poison' : 'changed')
    const data: RelayRule['data'] = ({ record }) => ({
      id: Number(record?.['id']),
      text: record?.['id'] === 4 ? 'x'.repeat(11_000) : '',
    })
    const channel: RelayRule['channel'] = ({ record }) => (record?.['id'] === 5 ? 'not a channel' : 'things')
    const relay = open({ rules: [{ ...rule, event, data, channel }] })
    await relay.follower.apply(
      piece(
        1,
        [1, 2, 3, 4, 5, 6].map((id) => inserted(id)),
      ),
    )
    await until(async () => (await relay.getStatus()).queued === 0 && endpoint.told.length === 5)
    expect(endpoint.told.flatMap(({ name, data }) => (name === 'changed' ? [data['id']] : []))).toEqual([1, 3, 6])
    expect(endpoint.told.filter(({ name }) => name === 'tidemark:gap')).toHaveLength(2)
    expect(await relay.getStatus()).toMatchObject({ refused: 3, queued: 0, state: 'running' })
  })

  it('tells fixed channels of what is not told row by row: a table that was emptied, a feed that lost its place', async () => {
    const relay = open()
    await relay.follower.apply(piece(1, [{ kind: 'truncate', relation: things, old: null, new: null }]))
    const position = { epoch: 'two', number: 7n }
    await relay.follower.reset?.({ type: 'reset', epoch: 'two', reason: 'slotLost', position })
    await until(() => endpoint.told.length === 2)
    expect(endpoint.told.map(({ name, data }) => [name, data['reason']])).toEqual([
      ['tidemark:gap', 'tableChanged'],
      ['tidemark:gap', 'lost'],
    ])
  })

  it('forwards from the active process alone, and announces that it begins in the middle', async () => {
    let isActive = false
    const relay = open({ isActive: () => isActive })
    await relay.follower.apply(piece(1, [inserted(1)]))
    isActive = true
    await relay.follower.apply(piece(2, [inserted(2)]))
    await until(() => endpoint.told.length === 2)
    expect(endpoint.told.map(({ name, data }) => [name, data['id']])).toEqual([
      ['tidemark:gap', undefined],
      ['changed', 2],
    ])
  })

  it('R59: calls handlers for every change of their table until they are taken away, and outlives them', async () => {
    const relay = open({ rules: [], tables: ['public.things'] })
    const seen: unknown[] = []
    const remove = relay.addEventHandler('public.things', ({ event, record }) => {
      seen.push([event, record?.['id'], record?.['secret']])
      throw new Error('a handler')
    })
    await relay.follower.apply(piece(1, [inserted(1), inserted(2)]))
    expect((await relay.getStatus()).handlers).toBe(1)
    remove()
    await relay.follower.apply(piece(2, [inserted(3)]))
    expect(seen).toEqual([
      ['INSERT', 1, 'hidden'],
      ['INSERT', 2, 'hidden'],
    ])
    expect(() => relay.addEventHandler('public.others', () => {})).toThrow(
      expect.objectContaining({ code: 'TM_REALTIME_RELAY_TABLE' }),
    )
  })

  it('a name that no text holds harms its own change alone', async () => {
    const id: RelayRule['id'] = ({ record }) => (record?.['id'] === 1 ? '\0' : 'x'.repeat(record?.['id'] === 2 ? 501 : 1))
    const relay = open({ rules: [{ ...rule, id }] })
    await relay.follower.apply(piece(1, [inserted(1), inserted(2), inserted(3)]))
    await until(() => endpoint.told.some(({ name }) => name === 'changed'))
    expect(endpoint.told.map(({ name }) => name)).toEqual(['tidemark:gap', 'tidemark:gap', 'changed'])
  })

  it('a target that does not answer in time is tried again', async () => {
    const relay = open({ target: createPusherTarget({ url: endpoint.url, timeoutMs: 30 }) })
    endpoint.delay(200)
    await relay.follower.apply(piece(1, [inserted(1)]))
    await until(async () => (await relay.getStatus()).lastError?.includes('no answer within 30 ms') === true)
    endpoint.delay(0)
    await until(async () => (await relay.getStatus()).sent === 1)
    // It took it each time: frontends tell by the name.
    expect(new Set(endpoint.told.map(({ data }) => data['event_id'])).size).toBe(1)
  })

  it('a rule that raises harms its own change alone', async () => {
    const data: RelayRule['data'] = ({ record }) => {
      if (record?.['id'] === 1) throw new Error('a rule')
      return { id: Number(record?.['id']) }
    }
    const relay = open({ rules: [{ ...rule, data }] })
    await relay.follower.apply(piece(1, [inserted(1), inserted(2)]))
    await until(() => endpoint.told.length === 2)
    expect(endpoint.told.map(({ name }) => name)).toEqual(['tidemark:gap', 'changed'])
  })
})
