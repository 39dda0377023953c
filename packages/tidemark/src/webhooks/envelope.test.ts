import { expect, it } from 'vitest'
import { dataTextOf, envelopeJson, readEnvelope } from './envelope.js'

const head = {
  id: '0197cba6-834f-7000-b5ed-1813cd6efcbe',
  provider: 'lofty',
  tenant: '1',
  type: 'contact.updated',
  sourceType: '2',
  occurredAt: undefined,
  receivedAt: '2026-11-21T10:00:00.000Z',
  entity: { type: 'contact', externalId: '9007199254740993' },
  verified: false,
  trust: 'hint',
} as const

it('holds what was sent as it came, and gives long numbers as text', () => {
  const json = envelopeJson(head, '{"leadId":9007199254740993, "__proto__":{"x":1}}')
  expect(json).toContain('"data":{"leadId":9007199254740993, "__proto__":{"x":1}}}')
  const event = readEnvelope(json)
  expect(event).toMatchObject({ ...head, data: { leadId: '9007199254740993' } })
  expect(event?.data['x']).toBeUndefined()
})

it('is none where the body could not be read', () => {
  expect(readEnvelope('null')).toBeUndefined()
  expect(readEnvelope('[]')).toBeUndefined()
})

it('tells of events without an entity, and of bodies that are no object', () => {
  const json = envelopeJson(
    { ...head, entity: undefined, occurredAt: '2026-01-01T00:00:00Z', verified: true, trust: 'statement' },
    dataTextOf([1], '[1]'),
  )
  expect(readEnvelope(json)).toMatchObject({
    entity: undefined,
    occurredAt: '2026-01-01T00:00:00Z',
    verified: true,
    trust: 'statement',
    data: { value: [1] },
  })
  expect(dataTextOf({}, '{}')).toBe('{}')
})
