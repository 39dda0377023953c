import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { headOf } from '../intake/delivery.js'
import { understand } from '../intake/understand.js'
import { readJson } from '../json-text.js'
import { delivery, sample } from '../testing/deliver.js'
import { generic } from './generic.js'
import { github } from './github.js'
import { gohighlevel } from './gohighlevel.js'
import { lofty } from './lofty.js'
import type { Provider } from './provider.js'
import { rollout } from './rollout.js'
import { standardWebhooks } from './standard-webhooks.js'

const head = headOf(delivery({}))

const understood = (provider: Provider, body: string | Buffer, withHead = head) => {
  const raw = Buffer.from(body as string)
  const read = readJson(raw, { maxDepth: 100 })
  const events = read.ok ? understand(provider, withHead, read, raw) : []
  if (typeof events === 'string') throw new Error(events)
  return events.map(({ facts, type }) => ({ ...facts, type }))
}

const samples = readdirSync(new URL('../../../../../samples/webhooks/ghl', import.meta.url)).filter((name) =>
  name.endsWith('.json'),
)

describe('what GoHighLevel sends', () => {
  it.each(samples)('%s is understood', (name) => {
    const [facts] = understood(gohighlevel(), sample(`ghl/${name}`))
    expect(facts!.sourceType).toBeTypeOf('string')
    if (/^(?:Contact|Note|Appointment|Opportunity)/.test(name)) expect(facts!.entity?.externalId).toMatch(/^\w{20}$/)
  })

  it('has our types', () => {
    const typeOf = (name: string) => understood(gohighlevel(), sample(`ghl/${name}.json`))[0]!.type
    expect(['ContactCreate', 'ContactDelete', 'ContactTagUpdate', 'ContactDndUpdate', 'AppointmentCreate'].map(typeOf)).toEqual([
      'contact.created',
      'contact.deleted',
      'contact.updated',
      'contact.updated',
      'appointment.created',
    ])
    expect(['NoteCreate', 'OpportunityStatusUpdate', 'InvoicePaid'].map(typeOf)).toEqual([
      'note.created',
      'opportunity.status_changed',
      'unknown',
    ])
  })

  it('tells a cancelled appointment, whose it is, which and when', () => {
    const event = {
      type: 'AppointmentUpdate',
      locationId: 'loc',
      webhookId: 'w1',
      timestamp: '2026-11-21T10:00:00Z',
      appointment: { id: 'a1', appointmentStatus: 'cancelled' },
    }
    expect(understood(gohighlevel(), JSON.stringify(event))).toMatchObject([
      {
        type: 'appointment.cancelled',
        id: 'w1',
        tenant: 'loc',
        entity: { type: 'appointment', externalId: 'a1' },
        occurredAt: '2026-11-21T10:00:00.000Z',
        signedAtMs: Date.parse('2026-11-21T10:00:00Z'),
      },
    ])
  })

  it('takes an appointment without a status for one that is not cancelled', () => {
    const event = { type: 'AppointmentUpdate', appointment: { id: 'a' }, timestamp: '2026-11-21T10:00:00.250Z' }
    expect(understood(gohighlevel(), JSON.stringify(event))).toMatchObject([
      { type: 'appointment.updated', occurredAt: '2026-11-21T10:00:00.250Z' },
    ])
  })

  it('tells of messages by their conversation, else by their contact, else by nothing', () => {
    const entityOf = (event: object) => understood(gohighlevel(), JSON.stringify(event))[0]!.entity
    expect(entityOf({ type: 'InboundMessage', conversationId: 'c', contactId: 'p' })).toEqual({
      type: 'conversation',
      externalId: 'c',
    })
    expect(entityOf({ type: 'SMS', contactId: 'p' })).toEqual({ type: 'contact', externalId: 'p' })
    expect(entityOf({ type: 'INSTALL', companyId: 'x' })).toBeUndefined()
    expect(entityOf({ timestamp: 'not a time' })).toBeUndefined()
  })
})

describe('what the others send', () => {
  it('of Rollout is about one resource, or about several of a kind', () => {
    expect(understood(rollout(), sample('rollout/peopleCreated.json'))).toMatchObject([
      {
        id: '0197cba6-834f-7000-b5ed-1813cd6efcbe',
        type: 'contact.created',
        entity: { type: 'contact', externalId: '*' },
        occurredAt: '2025-07-02T15:19:21.000Z',
      },
    ])
    const one = (event: object) => understood(rollout(), JSON.stringify(event))[0]!.entity
    expect(one({ event: 'dealsUpdated', resourceIds: ['d1'] })).toEqual({ type: 'opportunity', externalId: 'd1' })
    expect(one({ event: 'constructorUpdated', resourceIds: [7] })).toEqual({ type: 'constructor', externalId: '7' })
    expect(one({ event: 'peopleUpdated', resourceIds: [] })).toBeUndefined()
    expect(one({ resourceIds: ['1'] })).toBeUndefined()
    expect(one({ event: 'peopleUpdated', resourceIds: 'x' })).toBeUndefined()
  })

  it('of Lofty is a hint about a lead, alone or in a list', () => {
    expect(understood(lofty(), sample('lofty/leadActivity.json'))).toMatchObject([
      { tenant: '13233324', sourceType: '3', type: 'contact.updated', entity: { externalId: '563172647619608' } },
    ])
    const list = `[${sample('lofty/precision.json').toString()},{"event":"create","leadId":1},{"event":"delete","leadId":1},{"teamId":5}]`
    expect(understood(lofty(), list).map(({ type }) => type)).toEqual([
      'contact.updated',
      'contact.created',
      'contact.deleted',
      'unknown',
    ])
    expect(lofty()).toMatchObject({ trust: 'hint', signed: false })
  })

  it('of Standard Webhooks has the type and the entity that are said to be there', () => {
    const provider = standardWebhooks({ entity: { type: 'contact', path: 'data.id' }, tenant: 'account' })
    const withId = headOf(delivery({ headers: [['webhook-id', 'msg_1']] }))
    const body = '{"type":"contact.created","timestamp":"2026-01-01T00:00:00Z","account":"a","data":{"id":7}}'
    expect(understood(provider, body, withId)).toMatchObject([
      { id: 'msg_1', type: 'contact.created', tenant: 'a', entity: { type: 'contact', externalId: '7' } },
    ])
    expect(understood(standardWebhooks(), '{}')).toMatchObject([{ type: 'unknown', entity: undefined }])
    expect(understood(provider, '{}')).toMatchObject([{ entity: undefined, tenant: undefined }])
  })

  it('of GitHub is named by a header and its action, and has no id that is signed', () => {
    const withEvent = headOf(delivery({ headers: [['X-GitHub-Event', 'issues']] }))
    expect(understood(github(), '{"action":"opened","repository":{"id":9007199254740993}}', withEvent)).toMatchObject([
      { type: 'issues.opened', entity: { type: 'repository', externalId: '9007199254740993' } },
    ])
    expect(understood(github(), '{}')).toMatchObject([{ type: 'unknown', entity: undefined }])
    expect(understood(github(), '{}')[0]!.id).toBeUndefined()
  })

  it('of anyone else is where the configuration says (R66)', () => {
    expect(understood(generic(), '{"event_type":"a","timestamp":1700000000000}')).toMatchObject([
      { type: 'a', occurredAt: '2023-11-14T22:13:20.000Z' },
    ])
    expect(understood(generic(), '[1]')).toMatchObject([{ type: 'unknown' }])
    const provider = generic({
      fields: { id: 'meta.id', type: 'meta.kind', tenant: 'org', entityId: 'who.id', entityType: 'person', timestamp: 'at' },
      window: { pastMs: 1, futureMs: 1 },
    })
    const body = '{"meta":{"id":"1","kind":"x"},"org":2,"who":{"id":"p"},"at":"2026-01-01T00:00:00Z"}'
    expect(understood(provider, body)).toMatchObject([
      { id: '1', type: 'x', tenant: '2', entity: { type: 'person', externalId: 'p' }, signedAtMs: Date.parse('2026-01-01') },
    ])
    expect(understood(provider, '{"who":7}')).toMatchObject([{ id: undefined, entity: undefined }])
  })
})

describe('lists of events', () => {
  it('have an end', () => {
    expect(() => understood(lofty(), `[${'1,'.repeat(10_000)}1]`)).toThrow('it is a list of more than 10000 events')
    expect(understood(lofty(), '[]')).toEqual([])
  })
})

describe('names and ids that are too much', () => {
  it('are told by their digest', () => {
    const long = understood(generic(), JSON.stringify({ event_type: 'x'.repeat(300) }))
    expect(long[0]!.type).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(understood(generic(), '{"event_type":"a\\ud800"}')[0]!.type).toMatch(/^sha256:/)
    expect(understood(generic(), '{"event_type":"🎉"}')[0]!.type).toBe('🎉')
    expect(understood(generic(), JSON.stringify({ event_type: '🎉'.repeat(64) }))[0]!.type).toMatch(/^sha256:/)
  })
})
