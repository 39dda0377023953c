import { expect, test } from 'vitest'
import { decodeEntry, entryArguments, queuedParts, wholeParts } from './entry.js'
import type { AcceptedEvent } from './webhooks.js'

const raw = Buffer.from('{"id":9007199254740993,"name":"Zoë 🎉"}')

const event: AcceptedEvent = {
  id: '0197cba6-834f-7000-b5ed-1813cd6efcbe',
  provider: 'lofty',
  tenant: '13233324',
  dedupeKey: 'd1',
  type: 'contact.updated',
  sourceType: '2',
  entity: { type: 'contact', externalId: '9007199254740993' },
  lane: 'lofty|13233324|contact|9007199254740993',
  partition: 0,
  envelope: Buffer.from(`{"id":"0197cba6","data":${raw.toString()}}`),
  unparseable: undefined,
  raw,
  rawAtEnd: true,
  headers: { 'content-type': 'application/json' },
  verified: false,
  trust: 'hint',
  receivedAtMs: Date.parse('2026-11-21T10:00:00.123Z'),
}

const asRead = (fields: readonly (string | Buffer)[]): Buffer[] => fields.map((field) => Buffer.from(field as string))

test('R65: an entry of a row that is in Postgres has the documented fields, and comes back as it was', () => {
  const fields = entryArguments(queuedParts(event, 41n))
  expect(fields.filter((_field, at) => at % 2 === 0).slice(0, 4)).toEqual(['provider', 'event_type', 'payload', 'received_at'])
  expect(decodeEntry(asRead(fields))).toEqual({
    id: event.id,
    provider: 'lofty',
    tenant: '13233324',
    type: 'contact.updated',
    lane: event.lane,
    receivedAtMs: event.receivedAtMs,
    payload: event.envelope?.toString(),
    seq: 41n,
    whole: undefined,
  })
})

test('an entry that is all there is carries the body once, and gives back every byte', () => {
  const fields = entryArguments(wholeParts(event, 3))
  expect(fields).not.toContain('raw')
  expect(decodeEntry(asRead(fields))?.whole).toEqual({
    dedupeKey: 'd1',
    sourceType: '2',
    entity: event.entity,
    verified: false,
    trust: 'hint',
    unparseable: undefined,
    normaliser: 3,
    headers: event.headers,
    raw,
  })
})

test('a body that could not be read stands beside an empty payload', () => {
  const broken = Buffer.from([0xff, 0xfe, 0x7b])
  const unread = { ...event, raw: broken, rawAtEnd: false, envelope: undefined, entity: undefined, unparseable: 'no UTF-8' }
  const fields = entryArguments(wholeParts(unread, 1))
  const entry = decodeEntry(asRead(fields))
  expect(entry?.payload).toBe('null')
  expect(entry?.whole).toMatchObject({ unparseable: 'no UTF-8', raw: broken, entity: undefined })
})

test('an empty body is kept as one', () => {
  const fields = entryArguments(wholeParts({ ...event, raw: Buffer.alloc(0), rawAtEnd: false }, 1))
  expect(decodeEntry(asRead(fields))?.whole?.raw.length).toBe(0)
})

test('what others wrote into the stream is no entry', () => {
  expect(decodeEntry(asRead(['hello', 'world']))).toBeUndefined()
  expect(decodeEntry([])).toBeUndefined()
  const neither = entryArguments(queuedParts(event, 1n)).slice(0, -2)
  expect(decodeEntry(asRead(neither))).toBeUndefined()
})
