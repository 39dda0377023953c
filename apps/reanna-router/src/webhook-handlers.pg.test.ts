import { createGuard, silentLogger, type WebhookContext, type WebhookEvent } from 'tidemark'
import { createHttpService } from 'tidemark/app'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { type HttpRecorder, startHttpRecorder } from '../../../packages/tidemark/src/testing/http-recorder.js'
import { createCalls } from './calls/calls.js'
import { createHttpCrm } from './calls/crm.js'
import { callHandlers } from './calls/handlers.js'
import { planTour } from './planning.js'
import { reannaRouter } from './reanna-router.js'
import { createTour } from './repository/create-tour.js'
import { visitsOf } from './repository/visits.js'
import { webhookHandlers } from './webhook-handlers.js'

let database: AppDatabase
let crm: HttpRecorder

beforeAll(async () => {
  database = await openAppDatabase(reannaRouter)
  crm = await startHttpRecorder()
})

afterAll(async () => {
  await crm?.stop()
  await database?.drop()
})

beforeEach(async () => {
  await database.owner.query('truncate tours cascade; truncate leads, reanna.calls, reanna.visit_refs')
  crm.requests.length = 0
  crm.answer(() => ({}))
})

const tenant = 'location-1'

const event = (
  type: keyof typeof webhookHandlers,
  data: Record<string, unknown>,
  more: Partial<WebhookEvent> = {},
): WebhookEvent => ({
  id: '0197cba6-834f-7000-b5ed-1813cd6efcbe',
  provider: 'gohighlevel',
  tenant,
  type,
  sourceType: 'x',
  occurredAt: '2026-11-23T01:00:00Z',
  receivedAt: '2026-11-23T01:00:01Z',
  entity: { type: type.split('.')[0]!, externalId: String(data['id'] ?? 'x-1') },
  data,
  verified: true,
  trust: 'statement',
  ...more,
})

/** In one transaction, as a worker does it. */
const handle = (given: WebhookEvent): Promise<void> =>
  database.pool.transaction(async (db) => {
    const context: WebhookContext = {
      db,
      attempt: 1,
      replayId: undefined,
      raw: async () => Buffer.from(''),
      signal: new AbortController().signal,
      log: silentLogger,
    }
    await webhookHandlers[given.type as keyof typeof webhookHandlers](given, context)
  })

const rowsOf = async <T extends object>(sql: string): Promise<readonly T[]> => (await database.owner.query<T>(sql)).rows

const contact = {
  ...{ type: 'ContactCreate', locationId: tenant, id: 'c-1' },
  ...{
    firstName: 'John',
    lastName: 'Deo',
    email: 'JohnDeo@Gmail.com',
    phone: '+61891234567',
    source: 'xyz form',
    assignedTo: 'agent123',
  },
}

const tourWith = async (references: readonly { entity_type: 'appointment' | 'contact'; external_id: string }[]) => {
  const named = references.map((each) => ({ provider: 'gohighlevel', tenant, ...each }))
  const plan = await planTour({
    start_time: '2026-11-23T09:00+09:30',
    end_time: '2026-11-23T17:00+09:30',
    strategy: 'optimise',
    properties: [
      { address: 'first', references: named },
      { address: 'second', references: [] },
    ],
  })
  return database.pool.transaction((db) => createTour(db, 'agent123', plan, { syncs: false }))
}

/** What is asked for is asked. */
const drain = async (): Promise<void> => {
  const service = createHttpService({ guard: createGuard('crm', {}), url: crm.url })
  const calls = createCalls({ pool: database.pool, handlers: callHandlers({ crm: createHttpCrm(service) }), baseMs: 1 })
  await calls.drain()
  await calls.stop()
}

describe('contact.created', () => {
  it('makes a lead, and of the same contact no second one', async () => {
    await handle(event('contact.created', contact))
    await handle(
      event('contact.updated', { ...contact, phone: '+61891111111', email: undefined }, { occurredAt: '2026-11-23T02:00:00Z' }),
    )
    await handle(event('contact.updated', { ...contact, firstName: 'Old' }, { occurredAt: '2026-11-22T00:00:00Z' }))
    const leads = await rowsOf('select first_name, last_name, email, phone, agent_id, deleted_at from leads')
    expect(leads).toEqual([
      {
        first_name: 'John',
        last_name: 'Deo',
        email: 'johndeo@gmail.com',
        phone: '+61891111111',
        agent_id: 'agent123',
        deleted_at: null,
      },
    ])
  })

  it('that says nothing but ids has the CRM asked, for each of them', async () => {
    const data = { eventId: '0197', event: 'peopleCreated', resourceIds: ['p-1', 'p-2', 'p-1'] }
    await handle(event('contact.created', data, { provider: 'rollout', tenant: '' }))
    crm.answer(({ path }) => (path.includes('p-1') ? { body: { firstName: 'Ana', email: 'ANA@x.au' } } : { status: 404 }))
    await drain()
    expect(crm.requests.map(({ path }) => path).toSorted()).toEqual([
      '/contacts/p-1?provider=rollout&tenant=',
      '/contacts/p-2?provider=rollout&tenant=',
    ])
    expect(await rowsOf('select external_id, first_name, email, deleted_at is null as there from leads order by 1')).toEqual([
      { external_id: 'p-1', first_name: 'Ana', email: 'ana@x.au', there: true },
      { external_id: 'p-2', first_name: null, email: null, there: false },
    ])
  })

  it('that nobody vouches for is not believed', async () => {
    await handle(event('contact.created', contact, { trust: 'hint', verified: false }))
    expect(await rowsOf('select 1 from leads')).toEqual([])
    expect(await rowsOf('select kind, subject from reanna.calls')).toEqual([
      { kind: 'crm.fetch_contact', subject: 'gohighlevel|location-1|c-1' },
    ])
  })

  it('that comes late does not bring back who was deleted', async () => {
    await handle(event('contact.deleted', { id: 'c-1' }, { occurredAt: '2026-11-24T00:00:00Z' }))
    await handle(event('contact.created', contact))
    expect(await rowsOf('select first_name, deleted_at is not null as gone from leads')).toEqual([
      { first_name: null, gone: true },
    ])
  })
})

describe('appointment.cancelled', () => {
  it('cancels the visit and its tasks, and of another tenant none', async () => {
    const tour = await tourWith([{ entity_type: 'appointment', external_id: 'a-1' }])
    const cancelled = event('appointment.cancelled', { id: 'a-1' })
    await handle({ ...cancelled, tenant: 'location-2' })
    await handle({ ...cancelled, entity: { type: 'appointment', externalId: 'a-2' } })
    const statuses = async () => (await visitsOf(database.pool, tour.id)).map(({ status }) => status)
    expect(await statuses()).toEqual(['scheduled', 'scheduled'])
    await handle(cancelled)
    await handle(cancelled)
    expect(await statuses()).toEqual(['cancelled', 'scheduled'])
    expect(await rowsOf('select status from tasks order by scheduled_time')).toEqual([
      { status: 'cancelled' },
      { status: 'scheduled' },
    ])
  })

  it('that nobody vouches for counts once the CRM says so', async () => {
    const tour = await tourWith([{ entity_type: 'appointment', external_id: 'a-1' }])
    const hint = event('appointment.cancelled', { id: 'a-1' }, { trust: 'hint' })
    const first = async () => (await visitsOf(database.pool, tour.id))[0]?.status
    crm.answer(() => ({ body: { status: 'confirmed' } }))
    await handle(hint)
    await drain()
    expect(await first()).toBe('scheduled')
    crm.answer(() => ({ body: { status: 'cancelled' } }))
    await handle(hint)
    await drain()
    expect(await first()).toBe('cancelled')
  })
})

describe('note.created', () => {
  it('on a visit is feedback of the CRM; on anything else it is nothing', async () => {
    await tourWith([{ entity_type: 'contact', external_id: 'CWBf1PR9LvvBkcYqiXlc' }])
    const note = { type: 'NoteCreate', locationId: tenant, id: 'n-1', body: 'x', contactId: 'CWBf1PR9LvvBkcYqiXlc' }
    await handle(event('note.created', { ...note, body: 'Wants\0 a second look \ud800.' }))
    await handle(event('note.created', { ...note, contactId: 'somebody' }))
    await handle(event('note.created', note, { trust: 'hint' }))
    expect(await rowsOf('select raw_feedback, feedback_source from feedback')).toEqual([
      { raw_feedback: 'Wants\ufffd a second look \ufffd.', feedback_source: 'crm' },
    ])
    expect(await rowsOf(`select status from tasks where task_type = 'feedback_collection'`)).toEqual([{ status: 'completed' }])
  })
})
