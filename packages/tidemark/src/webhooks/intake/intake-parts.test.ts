import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { readEnvelope } from '../envelope.js'
import { generic, lofty } from '../providers/providers.js'
import { createClockSkew } from './clock-skew.js'
import { createEventId } from './event-id.js'
import { createRenormalise } from './renormalise.js'
import { createSenderGuard } from './sender-guard.js'
import { acceptedEvent, partitionOf } from './understand.js'

describe('ids of events', () => {
  it('are UUIDs of version 7 in the order of time, and none comes twice', () => {
    const ids = Array.from({ length: 1000 }, (_, n) => createEventId(1_700_000_000_000 + n))
    expect(new Set(ids).size).toBe(1000)
    expect([...ids].sort()).toEqual(ids)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
})

describe('partitions', () => {
  it('are the CRC-32 of a lane, so that every process and every language finds the same', () => {
    expect(partitionOf('123456789', 2 ** 31)).toBe(0xcbf43926 % 2 ** 31)
    expect(partitionOf('anything', 1)).toBe(0)
  })
})

describe('what tells an event from others', () => {
  it('is its id, and where there is none all of its bytes: none is taken for another', () => {
    const arrival = {
      provider: 'p',
      tenant: '',
      verified: true,
      trust: 'statement',
      signedAtMs: undefined,
      receivedAtMs: 0,
    } as const
    const keyOf = (id: string | undefined, text: string): string => {
      const understood = { facts: { id }, type: 't', sourceType: '', data: text, raw: Buffer.from(text), verbatim: true }
      return acceptedEvent(understood, { ...arrival, headers: {}, partitions: 1 }, randomUUID()).dedupeKey
    }
    expect(keyOf('7', '{"a":1}')).toBe(keyOf('7', '{"a":2}'))
    for (const none of [undefined, '']) expect(keyOf(none, '{"a":1}')).not.toBe(keyOf(none, '{"a":2}'))
    expect(keyOf('', '{}')).toBe(keyOf(undefined, '{}'))
  })
})

describe('a replay', () => {
  const stored = {
    id: randomUUID(),
    provider: 'lofty',
    tenant: '5',
    raw: Buffer.from('{"teamId":5,"leadId":9007199254740993}'),
    headers: {},
    verified: false,
    trust: 'hint' as const,
    receivedAtMs: Date.parse('2026-01-01T00:00:00Z'),
    normaliser: 1,
  }

  it('makes the event anew from the body, with its id and its time', () => {
    const renormalise = createRenormalise({ providers: [lofty()], partitions: 8 })
    const made = renormalise(stored)
    expect(made).toMatchObject({ type: 'contact.updated', lane: 'lofty|5|contact|9007199254740993' })
    const envelope = 'envelope' in made ? made.envelope : ''
    expect(readEnvelope(envelope)).toMatchObject({
      id: stored.id,
      receivedAt: '2026-01-01T00:00:00.000Z',
      trust: 'hint',
      tenant: '5',
    })
  })

  it('says why it cannot', () => {
    expect(createRenormalise({ providers: [] })(stored)).toEqual({ unparseable: 'there is no provider lofty any more' })
    expect(createRenormalise({ providers: [lofty()] })({ ...stored, raw: Buffer.from('{') })).toEqual({
      unparseable: 'it is not JSON',
    })
    expect(createRenormalise({ providers: [generic()] })(stored)).toMatchObject({ type: 'unknown' })
    const failing = {
      ...generic(),
      describe: () => {
        throw new Error('no such field')
      },
    }
    expect(createRenormalise({ providers: [failing] })(stored)).toEqual({
      unparseable: 'the facts of generic do not fit it: no such field',
    })
  })
})

describe('clocks', () => {
  const window = { pastMs: 1000, futureMs: 1000 }

  it('count as wrong after five deliveries in a row, and not while some are right', () => {
    const told: string[] = []
    const signals = {
      raise: ({ name }: { name: string }) => void told.push(name),
      listen: () => () => undefined,
      recent: () => [],
    }
    const skew = createClockSkew(signals)
    for (let n = 0; n < 20; n++) expect(skew.judge('p', window, n % 4 === 3 ? 0 : -9000, 0)).toBe(n % 4 === 3)
    expect(told).toEqual([])
    for (let n = 0; n < 9; n++) skew.judge('p', window, 9000, 0)
    expect(told).toEqual(['webhooks.clock_skew'])
    for (let n = 0; n < 9; n++) skew.judge('p', window, 409_000, 400_000 - 9000)
    expect(told).toHaveLength(2)
  })
})

describe('senders', () => {
  const clock = { now: () => 0, monotonicMs: () => 0, sleep: async () => undefined }

  it('are counted by network where they have a whole one', async () => {
    const guard = createSenderGuard({ failuresPerMinute: 2, clock })
    for (let n = 0; n < 3; n++) await guard.failed(`2001:db8:1:2::${n + 1}`)
    expect(guard.waitMs('2001:db8:1:2::99')).toBeGreaterThan(0)
    expect(guard.waitMs('2001:db8:1:3::1')).toBe(0)
    // What is left out of an address are zeros of its network, too.
    for (let n = 0; n < 3; n++) await guard.failed(`2001:db8::${n + 1}`)
    expect(guard.waitMs('2001:db8::99:88:77:66')).toBeGreaterThan(0)
  })

  it('are not counted inside, nor where the limit is off', async () => {
    const guard = createSenderGuard({ failuresPerMinute: 1, clock })
    const off = createSenderGuard({ failuresPerMinute: 0, clock })
    for (const ip of ['127.0.0.1', '::1', '::ffff:10.0.0.1', '192.168.1.1', 'fd00::1', '172.20.0.1']) {
      for (let n = 0; n < 3; n++) await guard.failed(ip)
      expect(guard.waitMs(ip)).toBe(0)
    }
    for (let n = 0; n < 3; n++) await off.failed('203.0.113.1')
    expect(off.waitMs('203.0.113.1')).toBe(0)
  })
})
