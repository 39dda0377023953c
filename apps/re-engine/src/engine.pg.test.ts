import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openResilience } from 'tidemark'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { testUrl } from '../../../packages/tidemark/src/schema/testing/bootstrapped-template.js'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { adminToken, secret, tokenOf } from '../../../packages/tidemark/src/testing/app/app-tokens.js'
import { untoldAnswers, type WatchedAnswers, watchAnswers } from '../../../packages/tidemark/src/testing/app/check-answers.js'
import { checkRoutes, listRoutes } from '../../../packages/tidemark/src/testing/app/check-routes.js'
import { openEventStream } from '../../../packages/tidemark/src/testing/event-stream.js'
import { type HttpRecorder, startHttpRecorder } from '../../../packages/tidemark/src/testing/http-recorder.js'
import { until } from '../../../packages/tidemark/src/time/until.js'
import type { Board } from './answers.js'
import type { LeadUpdate } from './lead-updates.js'
import { type Engine, openEngine } from './open-engine.js'
import { reEngine } from './re-engine.js'
import { areExpiring, expireApprovals } from './repository/approvals.js'
import type { Agent, Approval, Lead, LeadEvent } from './rows.js'
import { createHttpCourier } from './sending/courier.js'
import { createSender } from './sending/sender.js'

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'

let database: AppDatabase
let engine: Engine
let answers: WatchedAnswers
let carrier: HttpRecorder
let folder: string
let offsetMs = 0

const admin = adminToken()
const service = tokenOf('', { role: 'service_role', sub: undefined })

/** Through a transaction pooler, as far as anything here can tell: nothing of a session outlives its transaction (C33). */
const pooled = (url: string): string => `${url}${url.includes('?') ? '&' : '?'}pgbouncer=true`

beforeAll(async () => {
  database = await openAppDatabase(reEngine)
  carrier = await startHttpRecorder()
  folder = await mkdtemp(join(tmpdir(), 're-engine-'))
  const { urls } = database
  engine = await openEngine({
    database: pooled(urls.app),
    analytics: pooled(urls.app),
    owner: urls.migrator,
    replication: urls.feed,
    callers: pooled(testUrl(urls.app, 'authenticator')),
    jwtSecret: secret,
    courier: { url: carrier.url, key: 'carrier-key' },
    folder,
    sendBaseMs: 10,
    breaker: { failureThreshold: 50, recoveryTimeoutMs: 100 },
    clock: { now: () => Date.now() + offsetMs },
  })
  answers = watchAnswers(engine.server)
})

afterAll(async () => {
  await engine?.stop()
  await carrier?.stop()
  await database?.drop()
  await rm(folder, { recursive: true, force: true })
})

afterEach(() => {
  carrier.answer(() => ({}))
  carrier.requests.length = 0
  offsetMs = 0
})

const ask = async <T = Record<string, unknown>>(method: Method, path: string, body?: unknown, token: string = admin) => {
  const response = await engine.server.inject({
    method,
    url: path,
    headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { payload: JSON.stringify(body) }),
  })
  const text = response.headers['content-type']?.toString().includes('json') ? response.json() : response.body
  return { status: response.statusCode, headers: response.headers, body: text as T }
}

const refusalOf = async (asked: Promise<{ readonly status: number; readonly body: unknown }>) => {
  const { status, body } = await asked
  return [status, (body as { readonly code?: unknown }).code]
}

interface Person {
  readonly id: string
  readonly token: string
}

/** An agent with a token of their own. */
const newPerson = async (more: object = {}): Promise<Person> => {
  const sub = `agent-${randomUUID().slice(0, 8)}`
  const { status, body } = await ask<Agent>('POST', '/agents', {
    name: 'Wei Chen',
    email: `${sub}@Example.com`,
    external_id: sub,
    ...more,
  })
  expect(status).toBe(201)
  return { id: body.id, token: tokenOf(sub) }
}

let numbers = 0
const newPhone = (): string => `+6189${String(1_000_000 + numbers++)}`

const newLead = async (more: object = {}, token = admin): Promise<Lead> => {
  const lead = { first_name: 'Ana', last_name: 'Li', email: `${randomUUID()}@example.com`, phone: newPhone(), source: 'website' }
  const { status, body } = await ask<Lead>('POST', '/leads', { ...lead, ...more }, token)
  expect([status, body]).toMatchObject([201, { status: 'new' }])
  return body
}

const newDraft = async (lead: Lead, token: string, more: object = {}): Promise<Approval> => {
  const body = { lead_id: lead.id, channel: 'email', draft_subject: 'Hello', draft_text: 'Would Saturday suit you?', ...more }
  const made = await ask<Approval>('POST', '/approvals', body, token)
  expect(made.status).toBe(201)
  return made.body
}

const step = (id: string, what: string, token: string, body?: object) =>
  ask<Approval>('POST', `/approvals/${id}/${what}`, body, token)

/** A lead with its agent, and a message that an admin has approved. */
const newApproved = async (
  more: object = {},
): Promise<{ readonly lead: Lead; readonly person: Person; readonly draft: Approval }> => {
  const person = await newPerson()
  const lead = await newLead({ assigned_agent: person.id })
  const draft = await newDraft(lead, person.token, more)
  await step(draft.id, 'submit', person.token)
  expect((await step(draft.id, 'approve', admin)).body.status).toBe('approved')
  return { lead, person, draft }
}

const eventsOf = async (leadId: string): Promise<readonly LeadEvent[]> => {
  const { body } = await ask<{ events: LeadEvent[] }>('GET', `/leads/${leadId}/events?limit=200`)
  return body.events.toReversed()
}

const typesOf = async (leadId: string): Promise<readonly string[]> => (await eventsOf(leadId)).map(({ event_type }) => event_type)

describe('leads', () => {
  it('S2.1 (C31, C38): are new, in lower case, given to an agent, and there once', async () => {
    const person = await newPerson()
    const address = `ANA.${randomUUID()}@Example.com`
    const given = { first_name: 'Ana', last_name: 'Li', email: address, phone: newPhone(), city: 'Darwin', source: 'website' }
    const made = await ask<Lead>('POST', '/leads', { ...given, assigned_agent: person.id })
    expect([made.status, made.body]).toMatchObject([
      201,
      { status: 'new', email: address.toLowerCase(), assigned_agent: person.id, version: 1 },
    ])
    expect(made.headers['location']).toBe(`/leads/${made.body.id}`)
    const again = await ask('POST', '/leads', given)
    expect([again.status, again.body]).toMatchObject([409, { code: 'ENGINE_DUPLICATE', id: made.body.id }])
    const byPhone = await ask('POST', '/leads', { ...given, email: undefined })
    expect([byPhone.status, byPhone.body['id']]).toEqual([409, made.body.id])
    expect(await typesOf(made.body.id)).toEqual(['lead_created', 'assigned'])
  })

  it('are merged where that is asked for: what is known stays, what is lacking comes', async () => {
    const lead = await newLead({ city: null, metadata: { rooms: 3 } })
    const { status, body } = await ask<Lead>('POST', '/leads?on_duplicate=merge', {
      first_name: 'Someone',
      last_name: 'Else',
      email: lead.email,
      city: 'Parap',
      metadata: { rooms: 4, pets: true },
    })
    expect([status, body]).toMatchObject([
      200,
      { id: lead.id, first_name: 'Ana', city: 'Parap', metadata: { rooms: 3, pets: true } },
    ])
  })

  it('are refused with the fields that are wrong, and none is quoted', async () => {
    const { status, body } = await ask<{ code: string; fields: object }>('POST', '/leads', {
      first_name: '',
      email: 'secret-words',
      phone: '0891234567',
    })
    expect([status, body.code, Object.keys(body.fields).sort()]).toEqual([
      422,
      'ENGINE_INVALID',
      ['email', 'first_name', 'last_name', 'phone'],
    ])
    expect(JSON.stringify(body)).not.toContain('secret-words')
    const lead = await newLead()
    expect(await refusalOf(ask('PATCH', `/leads/${lead.id}`, { status: 'frozen' }))).toEqual([422, 'ENGINE_INVALID'])
    expect(await refusalOf(ask('PATCH', `/leads/${lead.id}`, {}))).toEqual([422, 'ENGINE_INVALID'])
    expect(await refusalOf(ask('GET', '/leads?cursor=nonsense'))).toEqual([422, 'ENGINE_INVALID'])
    expect(await refusalOf(ask('GET', '/leads/not-a-uuid'))).toEqual([404, 'ENGINE_NOT_FOUND'])
    expect((await ask('POST', '/leads', { ...lead, email: 'a\0b@example.com' })).status).toBe(422)
  })

  it('go through the pipeline step by step, and back only with a reason', async () => {
    const lead = await newLead()
    const to = (status: string, more: object = {}) => ask<Lead>('PATCH', `/leads/${lead.id}`, { status, ...more })
    for (const status of ['qualified', 'converted', 'closed']) expect((await to(status)).status).toBe(409)
    expect((await to('contacted')).body).toMatchObject({ status: 'contacted', version: 2 })
    expect((await to('contacted')).body.version).toBe(2)
    const back = await to('new')
    expect([back.status, back.body]).toMatchObject([422, { fields: { reason: expect.any(String) } }])
    expect((await to('new', { reason: 'A wrong number.' })).body).toMatchObject({
      status: 'new',
      status_reason: 'A wrong number.',
    })
    for (const status of ['contacted', 'qualified', 'nurturing', 'converted']) expect((await to(status)).status).toBe(200)
    expect((await to('nurturing', { reason: 'The loan fell through.' })).body.converted_at).toBeNull()
    expect((await to('converted')).body.converted_at).not.toBeNull()
    expect((await to('closed')).body.converted_at).not.toBeNull()
    expect((await to('new', { reason: 'Again.' })).status).toBe(409)
    const moves = (await eventsOf(lead.id)).filter(({ event_type }) => event_type === 'status_changed')
    expect(moves.map(({ data }) => data['to'])).toEqual([
      'contacted',
      'new',
      'contacted',
      'qualified',
      'nurturing',
      'converted',
      'nurturing',
      'converted',
      'closed',
    ])
    expect(moves[1]?.data['reason']).toBe('A wrong number.')
  })

  it('C30: are not changed by whoever read an older version', async () => {
    const lead = await newLead()
    expect((await ask('PATCH', `/leads/${lead.id}`, { city: 'Darwin', version: 1 })).status).toBe(200)
    expect(await refusalOf(ask('PATCH', `/leads/${lead.id}`, { city: 'Parap', version: 1 }))).toEqual([409, 'ENGINE_CHANGED'])
  })

  it('R121: that are another’s are not there, by any route', async () => {
    const [own, other] = [await newPerson(), await newPerson()]
    const lead = await newLead({ assigned_agent: own.id })
    const draft = await newDraft(lead, own.token)
    await until(async () => (await ask('GET', `/leads/${lead.id}`, undefined, own.token)).headers['x-cache'] === 'HIT')
    const steps = ['submit', 'withdraw', 'cancel', 'approve', 'send'].map(
      (what) => [`POST /approvals/:id/${what}`, 'own'] as const,
    )
    const reports = ['conversion', 'first-response', 'league', 'funnel', 'trends', 'approvals'].map(
      (what) => [`GET /analytics/${what}`, 'staff'] as const,
    )
    const violations = await checkRoutes(engine.server, {
      stranger: other.token,
      names: { id: { '/leads': lead.id, '/approvals': draft.id, '/agents': own.id } },
      routes: {
        'GET /health': 'open',
        'GET /livez': 'open',
        'GET /metrics': 'open',
        'GET /openapi.json': 'open',
        'GET /leads': 'shared',
        'POST /leads': 'shared',
        'GET /leads/updates': 'shared',
        'GET /leads/:id': 'own',
        'PATCH /leads/:id': { who: 'own', body: { city: 'x' } },
        'DELETE /leads/:id': 'own',
        'GET /leads/:id/events': 'own',
        'POST /leads/:id/events': { who: 'own', body: { event_type: 'note', content: 'x' } },
        'POST /leads/:id/assign': { who: 'own', body: {} },
        'GET /agents': 'shared',
        'POST /agents': { who: 'staff', body: { name: 'x', email: 'x@example.com' } },
        'GET /agents/:id': 'own',
        'PATCH /agents/:id': { who: 'staff', body: { name: 'x' } },
        'GET /agents/:id/board': 'own',
        'GET /approvals': 'shared',
        'POST /approvals': { who: 'own', body: { lead_id: lead.id, channel: 'email', draft_text: 'x' } },
        'GET /approvals/:id': 'own',
        'PATCH /approvals/:id': { who: 'own', body: { draft_text: 'x' } },
        'POST /approvals/:id/reject': { who: 'own', body: { reason: 'x' } },
        'POST /approvals/decisions': 'shared',
        ...Object.fromEntries(steps),
        ...Object.fromEntries(reports),
        'POST /analytics/refresh': 'staff',
        'GET /settings': 'staff',
        'PUT /settings': 'staff',
        'POST /inbound': 'staff',
        'GET /ops/overview': 'staff',
      },
    })
    expect(violations).toEqual([])
    expect((await ask<{ leads: Lead[] }>('GET', '/leads', undefined, other.token)).body.leads).toEqual([])
    // Its address says nothing of it either.
    const duplicate = await ask('POST', '/leads', { first_name: 'A', last_name: 'B', email: lead.email }, other.token)
    expect([duplicate.status, duplicate.body['id']]).toEqual([409, undefined])
    expect((await ask('GET', `/leads/${lead.id}`, undefined, own.token)).status).toBe(200)
    expect((await ask('GET', `/agents/${own.id}`, undefined, own.token)).body).toMatchObject({ id: own.id })
    expect(await refusalOf(ask('DELETE', `/leads/${lead.id}`, undefined, own.token))).toEqual([403, 'ENGINE_FORBIDDEN'])
    expect(await refusalOf(ask('POST', '/agents', { name: 'x', email: 'x@example.com' }, own.token))).toEqual([
      403,
      'ENGINE_FORBIDDEN',
    ])
    expect(await refusalOf(ask('GET', '/analytics/league', undefined, own.token))).toEqual([403, 'ENGINE_FORBIDDEN'])
  })

  it('S2.6 (C29): that are deleted are gone from the cache too, and the audit keeps them', async () => {
    const lead = await newLead()
    await until(async () => (await ask('GET', `/leads/${lead.id}`)).headers['x-cache'] === 'HIT')
    expect((await ask('DELETE', `/leads/${lead.id}`)).status).toBe(200)
    expect((await ask('GET', `/leads/${lead.id}`)).status).toBe(404)
    const { rows } = await database.owner.query(
      "select action, actor from audit_log where table_name = 'leads' and record_id = $1 order by id",
      [lead.id],
    )
    expect(rows).toEqual([
      { action: 'INSERT', actor: 'boss' },
      { action: 'DELETE', actor: 'boss' },
    ])
  })

  it('are listed in pages that lack none and repeat none, and are found by the beginnings of words', async () => {
    const city = `City ${randomUUID().slice(0, 8)}`
    const made: string[] = []
    for (let n = 0; n < 7; n++) made.unshift((await newLead({ city, first_name: n === 3 ? 'Siobhán' : 'Ana' })).id)
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const query = `city=${encodeURIComponent(city)}&limit=3${cursor && `&cursor=${cursor}`}`
      const page: { leads: Lead[]; next: string | null } = (
        await ask<{ leads: Lead[]; next: string | null }>('GET', `/leads?${query}`)
      ).body
      seen.push(...page.leads.map(({ id }) => id))
      cursor = page.next
    }
    expect(seen).toEqual(made)
    const found = async (q: string) => (await ask<{ leads: Lead[] }>('GET', `/leads?q=${encodeURIComponent(q)}`)).body.leads
    expect((await found(`Siobh ${city.slice(5)}`)).map(({ first_name }) => first_name)).toEqual(['Siobhán'])
    for (const q of ["' or 1=1 --", '!!!', ':* & |', '((('])
      expect((await ask('GET', `/leads?q=${encodeURIComponent(q)}`)).status).toBe(200)
  })

  it('C77: that a token of nobody asks for are none', async () => {
    expect((await engine.server.inject({ url: '/leads' })).statusCode).toBe(401)
    expect((await ask('GET', '/leads', undefined, tokenOf('x', { role: 'anon' }))).status).toBe(401)
    expect(
      (await ask<{ leads: Lead[] }>('GET', '/leads', undefined, tokenOf('x', { user_metadata: { role: 'admin' } }))).body.leads,
    ).toEqual([])
  })
})

describe('agents', () => {
  it('C72, C74: are people, named by the subject of their token', async () => {
    const person = await newPerson({ timezone: 'Australia/Darwin', specialties: ['units', 'land'] })
    const { body } = await ask<{ agents: Agent[] }>('GET', '/agents', undefined, person.token)
    expect(body.agents).toMatchObject([{ id: person.id, timezone: 'Australia/Darwin', specialties: ['units', 'land'] }])
    expect(await refusalOf(ask('POST', '/agents', { name: 'x', email: body.agents[0]!.email }))).toEqual([
      409,
      'ENGINE_DUPLICATE',
    ])
    for (const timezone of ['Mars/Olympus', 'ACT'])
      expect(await refusalOf(ask('PATCH', `/agents/${person.id}`, { timezone }))).toEqual([422, 'ENGINE_INVALID'])
    expect((await ask<Agent>('PATCH', `/agents/${person.id}`, { status: 'on_leave' })).body.status).toBe('on_leave')
    expect((await ask('PATCH', `/agents/${randomUUID()}`, { status: 'active' })).status).toBe(404)
    expect((await ask<{ agents: Agent[]; next: string }>('GET', '/agents?limit=1&status=on_leave')).body.agents).toHaveLength(1)
  })

  it('take leads in turn, none more than they may, however many come at once', async () => {
    await database.owner.query("update agents set status = 'inactive'")
    const people = [
      await newPerson({ max_active_leads: 3 }),
      await newPerson({ max_active_leads: 3 }),
      await newPerson({ max_active_leads: 2 }),
    ]
    const leads = await Promise.all(Array.from({ length: 12 }, () => newLead()))
    const counts = people.map(({ id }) => leads.filter(({ assigned_agent }) => assigned_agent === id).length)
    expect(counts).toEqual([3, 3, 2])
    const waiting = leads.filter(({ assigned_agent }) => assigned_agent === null)
    expect(waiting).toHaveLength(4)
    expect(await refusalOf(ask('POST', `/leads/${waiting[0]!.id}/assign`, { agent_id: people[0]!.id }))).toEqual([
      409,
      'ENGINE_AGENT_BUSY',
    ])
    expect(await refusalOf(ask('POST', `/leads/${waiting[0]!.id}/assign`))).toEqual([409, 'ENGINE_AGENT_BUSY'])
    const board = await ask<Board>('GET', `/agents/${people[0]!.id}/board`, undefined, people[0]!.token)
    expect(board.body).toMatchObject({ leads: { new: 3 }, room: 0 })
    // Whoever ends one has room for the next.
    const own = leads.find(({ assigned_agent }) => assigned_agent === people[1]!.id)!
    await ask('PATCH', `/leads/${own.id}`, { status: 'lost' })
    const { body } = await ask<Lead>('POST', `/leads/${waiting[0]!.id}/assign`)
    expect(body.assigned_agent).toBe(people[1]!.id)
    expect((await ask('POST', `/leads/${waiting[1]!.id}/assign`, { agent_id: randomUUID() })).status).toBeGreaterThanOrEqual(404)
    expect(await typesOf(waiting[0]!.id)).toEqual(['lead_created', 'assigned'])
    // A lead that is passed on passes its messages on.
    const other = await newPerson()
    const draft = await newDraft(own, admin)
    await ask('POST', `/leads/${own.id}/assign`, { agent_id: other.id })
    expect((await ask<Approval>('GET', `/approvals/${draft.id}`, undefined, other.token)).body.agent_id).toBe(other.id)
    await database.owner.query("update agents set status = 'active'")
  })

  it('make leads of their own, and give none away', async () => {
    const [own, other] = [await newPerson(), await newPerson()]
    const lead = await newLead({}, own.token)
    expect(lead.assigned_agent).toBe(own.id)
    expect(
      await refusalOf(ask('POST', '/leads', { first_name: 'A', last_name: 'B', assigned_agent: other.id }, own.token)),
    ).toEqual([403, 'ENGINE_FORBIDDEN'])
    expect((await refusalOf(ask('POST', `/leads/${lead.id}/assign`, { agent_id: other.id }, own.token)))[0]).toBe(403)
    expect(await refusalOf(ask('POST', '/leads', { first_name: 'A', last_name: 'B' }, tokenOf('nobody')))).toEqual([
      403,
      'ENGINE_FORBIDDEN',
    ])
  })
})

describe('approvals', () => {
  it('S2.3: nothing goes out but what another has approved, word for word, and then once', async () => {
    const person = await newPerson()
    const lead = await newLead({ assigned_agent: person.id })
    const draft = await newDraft(lead, person.token)
    expect(draft).toMatchObject({
      status: 'draft',
      draft_to: lead.email,
      created_by: expect.stringMatching(/^agent-/),
      content_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(await refusalOf(step(draft.id, 'send', person.token))).toEqual([409, 'ENGINE_ILLEGAL_MOVE'])
    expect(await refusalOf(step(draft.id, 'approve', admin))).toEqual([409, 'ENGINE_ILLEGAL_MOVE'])
    expect((await step(draft.id, 'submit', person.token)).body.status).toBe('pending')
    expect(await refusalOf(step(draft.id, 'approve', person.token))).toEqual([403, 'ENGINE_SELF_APPROVAL'])
    expect(await refusalOf(step(draft.id, 'approve', admin, { content_hash: 'a'.repeat(64) }))).toEqual([409, 'ENGINE_CHANGED'])
    const approved = await step(draft.id, 'approve', admin, { content_hash: draft.content_hash })
    expect(approved.body).toMatchObject({ status: 'approved', approved_by: 'boss', approved_hash: draft.content_hash })
    const edited = await ask<Approval>('PATCH', `/approvals/${draft.id}`, { draft_text: 'Would Sunday suit you?' }, person.token)
    expect(edited.body).toMatchObject({ status: 'pending', approved_by: null, approved_hash: null })
    expect(await refusalOf(step(draft.id, 'send', person.token))).toEqual([409, 'ENGINE_ILLEGAL_MOVE'])
    await step(draft.id, 'approve', admin)
    const sends = await Promise.all(Array.from({ length: 6 }, () => step(draft.id, 'send', person.token)))
    expect(sends.every(({ status }) => status === 200 || status === 202)).toBe(true)
    await until(async () => (await ask<Approval>('GET', `/approvals/${draft.id}`)).body.status === 'sent')
    expect(carrier.requests.map(({ body }) => body)).toMatchObject([
      { channel: 'email', to: lead.email, text: 'Would Sunday suit you?' },
    ])
    expect(carrier.requests[0]?.headers).toMatchObject({
      authorization: 'Bearer carrier-key',
      'idempotency-key': expect.any(String),
    })
    expect((await step(draft.id, 'send', person.token)).status).toBe(200)
    expect(carrier.requests).toHaveLength(1)
    expect((await typesOf(lead.id)).slice(2)).toEqual([
      'draft_created',
      'submitted',
      'approved',
      'edited',
      'submitted',
      'approved',
      'sent',
    ])
    expect((await ask<Lead>('GET', `/leads/${lead.id}`)).body.last_contacted_at).not.toBeNull()
    expect(await refusalOf(ask('PATCH', `/approvals/${draft.id}`, { draft_text: 'x' }, person.token))).toEqual([
      409,
      'ENGINE_ILLEGAL_MOVE',
    ])
  })

  it('who edits it does not approve it either; where that is allowed, they may', async () => {
    const person = await newPerson()
    const lead = await newLead({ assigned_agent: person.id })
    const draft = await newDraft(lead, person.token, { status: 'pending' })
    await ask('PATCH', `/approvals/${draft.id}`, { draft_text: 'Mine now.' }, admin)
    expect(await refusalOf(step(draft.id, 'approve', admin))).toEqual([403, 'ENGINE_SELF_APPROVAL'])
    expect((await ask('PUT', '/settings', { allow_self_approval: true })).body).toMatchObject({ allow_self_approval: true })
    expect((await step(draft.id, 'approve', admin)).body.status).toBe('approved')
    expect((await ask('PUT', '/settings', { allow_self_approval: false }, admin)).body).toMatchObject({
      allow_self_approval: false,
    })
    const { rows } = await database.owner.query(
      "select actor from audit_log where table_name = 're_engine.settings' order by id desc limit 1",
    )
    expect(rows).toEqual([{ actor: 'boss' }])
  })

  it('S2.4: what could not be handed over is tried again under the same key, and then sent', async () => {
    const { lead, person, draft } = await newApproved()
    let failures = 2
    carrier.answer(() => (failures-- > 0 ? { status: 500 } : { body: { id: 'msg-1' } }))
    const asked = await step(draft.id, 'send', person.token)
    expect([asked.status, asked.body]).toMatchObject([
      202,
      { status: 'failed', retry_count: 1, last_error: 'send-email answered with 500.' },
    ])
    await until(async () => (await step(draft.id, 'send', person.token)).status === 200)
    expect(new Set(carrier.requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
    expect(carrier.requests).toHaveLength(3)
    expect((await typesOf(lead.id)).filter((type) => type.startsWith('sen'))).toEqual(['send_failed', 'send_failed', 'sent'])
    expect((await ask<Approval>('GET', `/approvals/${draft.id}`)).body).toMatchObject({
      provider_message_id: 'msg-1',
      retry_count: 2,
    })
  })

  it('what is refused for good fails once, raises an alert, and may be approved anew', async () => {
    const { person, draft } = await newApproved()
    carrier.answer(() => ({ status: 422 }))
    expect((await step(draft.id, 'send', person.token)).body).toMatchObject({ status: 'failed', next_retry_at: null })
    expect(carrier.requests).toHaveLength(1)
    const signals = async () =>
      (
        await database.owner.query('select kind, severity from tidemark.alert_signals where entity_id = $1 order by seq', [
          draft.id,
        ])
      ).rows
    expect(await signals()).toEqual([{ kind: 'raise', severity: 'error' }])
    carrier.answer(() => ({}))
    expect((await step(draft.id, 'approve', admin)).body).toMatchObject({ status: 'approved', retry_count: 0 })
    expect((await step(draft.id, 'send', person.token)).body.status).toBe('sent')
    expect((await signals()).map(({ kind }) => kind)).toEqual(['raise', 'resolve'])
  })

  it('whoever dies while they send is followed by another, under the same key', async () => {
    const { person, draft } = await newApproved()
    await database.owner.query(
      "update approvals set status = 'sending', claimed_until = now() + interval '1 minute' where id = $1",
      [draft.id],
    )
    expect((await step(draft.id, 'send', person.token)).status).toBe(202)
    expect(carrier.requests).toHaveLength(0)
    offsetMs = 61_000
    expect((await step(draft.id, 'send', person.token)).status).toBe(200)
    expect(carrier.requests).toHaveLength(1)
  })

  it('S2.5: who says STOP is left alone at once: what is open is cancelled, and nothing new is asked for', async () => {
    const { lead, person, draft } = await newApproved()
    const other = await newDraft(lead, person.token)
    const told = { source: 'carrier', external_id: randomUUID(), channel: 'sms', from: lead.phone, text: ' Stop. ' }
    const first = await ask('POST', '/inbound', told, service)
    expect([first.status, first.body]).toMatchObject([201, { wish: 'stop', lead_id: lead.id, do_not_contact: true }])
    expect((await ask('POST', '/inbound', told, service)).status).toBe(200)
    expect((await ask<Lead>('GET', `/leads/${lead.id}`)).body).toMatchObject({
      do_not_contact: true,
      contact_block_reason: 'unsubscribed',
    })
    for (const { id } of [draft, other]) expect((await ask<Approval>('GET', `/approvals/${id}`)).body.status).toBe('cancelled')
    const late = await newDraft(lead, person.token)
    expect(await refusalOf(step(late.id, 'submit', person.token))).toEqual([422, 'ENGINE_DO_NOT_CONTACT'])
    // To nobody else's lead either, where it is the same address.
    const twin = await newLead({ assigned_agent: person.id })
    const detour = await newDraft(twin, person.token, { draft_to: lead.email })
    expect(await refusalOf(step(detour.id, 'submit', person.token))).toEqual([422, 'ENGINE_DO_NOT_CONTACT'])
    expect((await typesOf(lead.id)).filter((type) => ['message_received', 'contact_blocked'].includes(type))).toEqual([
      'message_received',
      'contact_blocked',
    ])
    expect(await refusalOf(ask('PATCH', `/leads/${lead.id}`, { do_not_contact: false }, person.token))).toEqual([
      403,
      'ENGINE_FORBIDDEN',
    ])
    await ask('POST', '/inbound', { ...told, external_id: randomUUID(), text: 'START' }, service)
    expect((await step(late.id, 'submit', person.token)).status).toBe(200)
    // A bounce is no word of theirs, and START takes it not back.
    await ask('POST', '/inbound', { ...told, external_id: randomUUID(), kind: 'bounce', from: lead.email }, service)
    await ask('POST', '/inbound', { ...told, external_id: randomUUID(), text: 'START' }, service)
    expect((await ask<Lead>('GET', `/leads/${lead.id}`)).body.contact_block_reason).toBe('bounced')
    expect(await refusalOf(ask('POST', '/inbound', told, person.token))).toEqual([403, 'ENGINE_FORBIDDEN'])
  })

  it('who says STOP from an address that only a message knows is left alone as well, a handle too', async () => {
    for (const [channel, draft_to, from] of [
      ['email', 'ana.at.work@example.com', 'Ana.At.Work@Example.com'],
      ['telegram', '@ana_li', '@Ana_Li'],
    ] as const) {
      const { lead, person, draft } = await newApproved({ channel, draft_to })
      const told = { source: 'carrier', external_id: randomUUID(), channel, from, text: 'STOP' }
      const { body } = await ask('POST', '/inbound', told, service)
      expect(body).toMatchObject({ wish: 'stop', lead_id: lead.id, do_not_contact: true })
      expect(await refusalOf(step(draft.id, 'send', person.token))).toEqual([409, 'ENGINE_ILLEGAL_MOVE'])
      expect(carrier.requests).toHaveLength(0)
    }
  })

  it.each([
    ['without a plus', (phone: string) => phone.slice(1)],
    ['with 00 for it', (phone: string) => `00${phone.slice(1)}`],
    ['behind the name of a channel', (phone: string) => `whatsapp:${phone}`],
  ])('who says STOP is found by a number that the carrier writes %s', async (_what, written) => {
    const lead = await newLead()
    const told = { source: 'carrier', external_id: randomUUID(), channel: 'sms', from: written(lead.phone!), text: 'STOP' }
    expect((await ask('POST', '/inbound', told, service)).body).toMatchObject({ lead_id: lead.id, do_not_contact: true })
  })

  it('a STOP after a bounce outlives it: who lifts the bounce does not take back the word', async () => {
    const lead = await newLead()
    const told = (more: object) =>
      ask(
        'POST',
        '/inbound',
        { source: 'carrier', external_id: randomUUID(), channel: 'sms', from: lead.phone, ...more },
        service,
      )
    const shown = async () =>
      (await database.owner.query('select do_not_contact, contact_block_reason from leads where id = $1', [lead.id])).rows[0]
    await told({ kind: 'bounce', channel: 'email', from: lead.email })
    await told({ text: 'STOP' })
    expect(await shown()).toEqual({ do_not_contact: true, contact_block_reason: 'unsubscribed' })
    await told({ text: 'START' })
    expect(await shown()).toEqual({ do_not_contact: true, contact_block_reason: 'bounced' })
    await ask('PATCH', `/leads/${lead.id}`, { do_not_contact: false })
    await told({ text: 'STOP' })
    await told({ text: 'START' })
    expect(await shown()).toEqual({ do_not_contact: false, contact_block_reason: null })
  })

  it('what was on its way when they said STOP, and did not arrive, is not tried again, START or not', async () => {
    const { lead, person, draft } = await newApproved()
    const told = (text: string) =>
      ask('POST', '/inbound', { source: 'carrier', external_id: randomUUID(), channel: 'email', from: lead.email, text }, service)
    carrier.answer(() => ({ status: 503, after: told('STOP') }))
    expect((await step(draft.id, 'send', person.token)).status).toBe(202)
    carrier.answer(() => ({}))
    await told('START')
    const sql = 'select status, next_retry_at, last_error from approvals where id = $1'
    expect((await database.owner.query(sql, [draft.id])).rows).toEqual([
      { status: 'cancelled', next_retry_at: null, last_error: 'The lead is not to be contacted.' },
    ])
    expect(carrier.requests).toHaveLength(1)
  })

  it('a STOP and a sending that meet leave one of two: sent once, or never', async () => {
    for (let round = 0; round < 12; round++) {
      const { lead, person, draft } = await newApproved()
      carrier.requests.length = 0
      const told = { source: 'carrier', external_id: randomUUID(), channel: 'email', from: lead.email, text: 'STOP' }
      const both = [step(draft.id, 'send', person.token), ask('POST', '/inbound', told, service)]
      await Promise.all(round % 2 === 0 ? both : both.reverse())
      const { status } = (await ask<Approval>('GET', `/approvals/${draft.id}`)).body
      expect([
        ['sent', 1],
        ['cancelled', 0],
      ]).toContainEqual([status, carrier.requests.length])
    }
  })

  it('R129: of thirty who send the same, through two workers and by the routes, one does', async () => {
    const { draft, person } = await newApproved()
    carrier.requests.length = 0
    const resilience = await openResilience({})
    const courier = createHttpCourier({ url: carrier.url, resilience, breaker: { failureThreshold: 50, recoveryTimeoutMs: 100 } })
    const senders = [1, 2].map(() => createSender({ pool: database.pool, courier, baseMs: 60_000 }))
    try {
      await database.owner.query('update approvals set send_requested_at = now() where id = $1', [draft.id])
      await Promise.all(
        Array.from({ length: 30 }, (_none, n) =>
          n % 3 === 0 ? step(draft.id, 'send', person.token) : senders[n % 3 === 1 ? 0 : 1]!.send(draft.id),
        ),
      )
      await until(async () => (await ask<Approval>('GET', `/approvals/${draft.id}`)).body.status === 'sent')
      expect(carrier.requests).toHaveLength(1)
      const { rows } = await database.owner.query("select from events where approval_id = $1 and event_type = 'sent'", [draft.id])
      expect(rows).toHaveLength(1)
    } finally {
      for (const sender of senders) await sender.stop()
      await resilience.stop()
    }
  })

  it('a channel that is sick, or has had enough, costs no attempt; who died while the lead said STOP is not sent again', async () => {
    const resilience = await openResilience({})
    const courier = createHttpCourier({
      ...{ url: carrier.url, resilience, perMinute: { email: 1 } },
      breaker: { failureThreshold: 1, recoveryTimeoutMs: 60_000 },
    })
    const sender = createSender({ pool: database.pool, courier, baseMs: 60_000 })
    const [one, two, three] = [
      await newApproved(),
      await newApproved(),
      await newApproved({ channel: 'facebook', draft_to: 'ana.li' }),
    ]
    const due = async (id: string) =>
      void (await database.owner.query('update approvals set send_requested_at = now() where id = $1', [id]))
    try {
      for (const { draft } of [one, two]) await due(draft.id)
      await sender.drain()
      const ends = await Promise.all(
        [one, two].map(async ({ draft }) => (await ask<Approval>('GET', `/approvals/${draft.id}`)).body),
      )
      expect(ends.map(({ status, retry_count }) => [status, retry_count]).sort()).toEqual([
        ['sending', 0],
        ['sent', 0],
      ])
      expect(carrier.requests).toHaveLength(1)
      carrier.answer(() => ({ status: 503 }))
      await due(three.draft.id)
      expect(await sender.send(three.draft.id)).toBe('retrying')
      expect(courier.open()).not.toContain('facebook')
      await database.owner.query('update approvals set next_retry_at = now() where id = $1', [three.draft.id])
      expect(await sender.send(three.draft.id)).toBe('none')
      expect(carrier.requests).toHaveLength(2)
      const left = ends.find(({ status }) => status === 'sending')!
      await database.owner.query("update approvals set claimed_until = now() - interval '1 second' where id = $1", [left.id])
      await ask('PATCH', `/leads/${left.lead_id}`, { do_not_contact: true })
      expect(await sender.send(left.id)).toBe('none')
      expect(await database.pool.transaction((db) => expireApprovals(db, new Date()))).toBe(1)
      expect((await ask<Approval>('GET', `/approvals/${left.id}`)).body).toMatchObject({ status: 'failed', next_retry_at: null })
    } finally {
      await sender.stop()
      await resilience.stop()
    }
    expect(await sender.send(three.draft.id)).toBe('none')
  })

  it('S2.6: what was rejected stays so; a reason is needed; what is illegal is 409', async () => {
    const { draft, lead, person } = await newApproved()
    const pending = await newDraft(lead, person.token, { status: 'pending' })
    expect((await ask('POST', `/approvals/${pending.id}/reject`, {}, admin)).status).toBe(422)
    expect((await step(pending.id, 'reject', admin, { reason: 'Too pushy.' })).body).toMatchObject({
      status: 'rejected',
      rejected_by: 'boss',
    })
    expect(await refusalOf(step(pending.id, 'approve', admin))).toEqual([409, 'ENGINE_ILLEGAL_MOVE'])
    expect(await refusalOf(step(draft.id, 'reject', admin, { reason: 'x' }))).toEqual([409, 'ENGINE_ILLEGAL_MOVE'])
    expect((await step(draft.id, 'cancel', person.token)).body.status).toBe('cancelled')
    expect(await refusalOf(step(draft.id, 'send', person.token))).toEqual([409, 'ENGINE_ILLEGAL_MOVE'])
    const back = await newDraft(lead, person.token, { status: 'pending' })
    expect((await step(back.id, 'withdraw', person.token)).body).toMatchObject({ status: 'draft', submitted_at: null })
  })

  it('are held to their channel, their length and their version', async () => {
    const person = await newPerson()
    const lead = await newLead({ assigned_agent: person.id, phone: null })
    const bodies = [
      { channel: 'sms', draft_text: 'No number.' },
      { channel: 'email', draft_to: 'no address', draft_text: 'x' },
      { channel: 'email', draft_text: '   ' },
      { channel: 'email', draft_text: 'x'.repeat(10_001) },
      { channel: 'pigeon', draft_text: 'x' },
    ]
    for (const body of bodies)
      expect(await refusalOf(ask('POST', '/approvals', { lead_id: lead.id, ...body }, person.token))).toEqual([
        422,
        'ENGINE_INVALID',
      ])
    const draft = await newDraft(lead, person.token, { draft_text: 'x'.repeat(10_000), ai_score: 0.87 })
    expect(draft.ai_score).toBe(0.87)
    expect((await ask('PATCH', `/approvals/${draft.id}`, { draft_text: 'y', version: 1 }, person.token)).status).toBe(200)
    expect(await refusalOf(ask('PATCH', `/approvals/${draft.id}`, { draft_text: 'z', version: 1 }, person.token))).toEqual([
      409,
      'ENGINE_CHANGED',
    ])
    expect(
      (await ask<{ approvals: Approval[] }>('GET', `/approvals?lead_id=${lead.id}&status=draft&limit=1`, undefined, person.token))
        .body.approvals,
    ).toHaveLength(1)
  })

  it('are decided many at a time, each by itself', async () => {
    const person = await newPerson()
    const lead = await newLead({ assigned_agent: person.id })
    const [one, two, three] = [
      await newDraft(lead, person.token, { status: 'pending' }),
      await newDraft(lead, person.token, { status: 'pending' }),
      await newDraft(lead, person.token),
    ]
    const { body } = await ask<{ results: object[] }>('POST', '/approvals/decisions', {
      decisions: [
        { id: one.id, decision: 'approve', content_hash: one.content_hash },
        { id: two.id, decision: 'reject', reason: 'No.' },
        { id: three.id, decision: 'approve' },
        { id: randomUUID(), decision: 'approve' },
      ],
    })
    expect(body.results).toMatchObject([
      { status: 'approved' },
      { status: 'rejected' },
      { code: 'ENGINE_ILLEGAL_MOVE' },
      { code: 'ENGINE_NOT_FOUND' },
    ])
  })

  it('no phone rings at night, by the clock of the agent; letters go at any hour', async () => {
    const { person, draft } = await newApproved({ channel: 'sms' })
    const sinceMidnight = (Date.now() % 86_400_000) + 0
    const at = (hour: number) => {
      offsetMs = hour * 3_600_000 - sinceMidnight + 86_400_000
    }
    at(23)
    expect((await step(draft.id, 'send', person.token)).body.status).toBe('approved')
    expect(carrier.requests).toHaveLength(0)
    at(7.9)
    expect((await step(draft.id, 'send', person.token)).body.status).toBe('approved')
    at(12)
    expect((await step(draft.id, 'send', person.token)).body.status).toBe('sent')
    expect(await refusalOf(ask('PUT', '/settings', { quiet_from: '22:00' }))).toEqual([422, 'ENGINE_INVALID'])
    expect((await ask('GET', '/settings')).body).toMatchObject({ quiet_from: '21:00:00', quiet_until: '08:00:00' })
  })

  it('what nobody decided in time expires, and is not sent', async () => {
    const { draft, lead } = await newApproved({ expires_at: new Date(Date.now() + 3_600_000).toISOString() })
    expect(await areExpiring(database.pool, new Date())).toBe(false)
    expect(await database.pool.transaction((db) => expireApprovals(db, new Date()))).toBe(0)
    expect(await areExpiring(database.pool, new Date(Date.now() + 7_200_000))).toBe(true)
    expect(await database.pool.transaction((db) => expireApprovals(db, new Date(Date.now() + 7_200_000)))).toBe(1)
    expect(await refusalOf(step(draft.id, 'send', admin))).toEqual([409, 'ENGINE_ILLEGAL_MOVE'])
    expect((await typesOf(lead.id)).at(-1)).toBe('expired')
  })
})

describe('events', () => {
  it('are written once and never changed', async () => {
    const person = await newPerson()
    const lead = await newLead({ assigned_agent: person.id })
    const call = { event_type: 'call_logged', direction: 'outbound', content: 'Left a message.', external_id: randomUUID() }
    const post = () => ask<LeadEvent>('POST', `/leads/${lead.id}/events`, call, person.token)
    const [one, two] = [await post(), await post()]
    expect([one.status, two.status, two.body.id]).toEqual([201, 200, one.body.id])
    for (const sql of ["update events set content = 'x' where id = $1", 'delete from events where id = $1'])
      await expect(database.pool.query(sql, [one.body.id])).rejects.toMatchObject({ code: 'TM_POSTGRES_PERMISSION' })
    expect(
      (await ask<{ events: LeadEvent[] }>('GET', `/leads/${lead.id}/events?event_type=call_logged`)).body.events,
    ).toHaveLength(1)
    const stranger = await ask(
      'POST',
      '/inbound',
      { source: 'carrier', external_id: randomUUID(), channel: 'sms', from: '+15550001111', text: 'Who?' },
      service,
    )
    expect([stranger.status, stranger.body['lead_id']]).toEqual([201, null])
  })

  it('C28, C29: changes of leads are told as they are committed, whoever makes them, with what was before', async () => {
    const told: LeadUpdate[] = []
    const stop = engine.subscribeToLeadUpdates((update) => void told.push(update))
    const deaf = engine.subscribeToLeadUpdates(() => {
      throw new Error('a listener that fails')
    })
    const lead = await newLead()
    await ask('PATCH', `/leads/${lead.id}`, { status: 'contacted' })
    await database.owner.query("update leads set city = 'Palmerston' where id = $1", [lead.id])
    await ask('DELETE', `/leads/${lead.id}`)
    const own = () => told.filter(({ leadId }) => leadId === lead.id)
    await until(() => own().length === 4)
    expect(own().map(({ event, record, old }) => [event, record?.status, old?.status, record?.version])).toEqual([
      ['INSERT', 'new', undefined, 1],
      ['UPDATE', 'contacted', 'new', 2],
      ['UPDATE', 'contacted', 'contacted', 3],
      ['DELETE', undefined, 'contacted', undefined],
    ])
    expect(own()[1]?.record).toMatchObject({
      ...lead,
      status: 'contacted',
      version: 2,
      updated_at: expect.any(String),
      status_changed_at: expect.any(String),
    })
    stop()
    deaf()
  })
})

describe('the document of the routes', () => {
  it('names what each takes, out of the schemas that they are held against', async () => {
    interface Operation {
      readonly summary?: string
      readonly requestBody?: object
    }
    const { body } = await ask<{ paths: Record<string, Record<string, Operation>> }>('GET', '/openapi.json')
    const operations = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, ...operation })),
    )
    expect(operations.length).toBeGreaterThan(30)
    expect(operations.filter(({ summary }) => summary === undefined)).toEqual([])
    expect(body.paths['/leads']?.['post']?.requestBody).toMatchObject({
      content: { 'application/json': { schema: { required: ['first_name', 'last_name'] } } },
    })
  })
})

describe('the pools', () => {
  interface Overview {
    readonly pools: readonly { readonly name: string; readonly total: number; readonly max_connections: number }[]
    readonly cache: { readonly entries: object }
  }

  it('C33, C37, C71, C73: are warm before the first request, of the documented sizes, and want nothing that a pooler cannot give', async () => {
    const { body } = await ask<Overview>('GET', '/ops/overview')
    expect(body.pools.map(({ name, max_connections: most }) => [name, most])).toEqual([
      ['primary', 20],
      ['analytics', 10],
      ['rest', 20],
    ])
    // Of the analytics pool nobody asked anything yet.
    expect(body.pools.find(({ name }) => name === 'analytics')!.total).toBeGreaterThanOrEqual(2)
    expect((await ask('POST', '/analytics/refresh')).body).toEqual({ refreshed: true })
    expect((await ask('GET', '/analytics/conversion?from=2026-01-02&until=2026-01-01')).status).toBe(422)
    for (const name of ['conversion', 'first-response', 'league', 'funnel', 'trends', 'approvals'])
      expect([name, (await ask('GET', `/analytics/${name}`)).status]).toEqual([name, 200])
    const { body: metrics } = await ask<string>('GET', '/metrics')
    for (const name of [
      'tidemark_postgres_acquire_seconds_count{pool="rest"}',
      'tidemark_postgres_connect_seconds_count{pool="analytics"}',
    ])
      expect(metrics).toContain(name)
    // No session of a pooled login kept a prepared statement or a setting.
    const { rows } = await database.owner.query(
      "select count(*)::int as n from pg_stat_activity where datname = current_database() and query ~* '^(listen|prepare|set session)'",
    )
    expect(rows).toEqual([{ n: 0 }])
  })

  it('C36: streams tell an agent of a lead that becomes theirs, and of its going, and nothing of others', async () => {
    const url = await engine.server.listen({ port: 0, host: '127.0.0.1' })
    const [own, other] = [await newPerson(), await newPerson()]
    const streams = await Promise.all(
      [own, other].map(({ token }) => openEventStream(`${url}/leads/updates`, { authorization: `Bearer ${token}` })),
    )
    const told = (place: number) =>
      streams[place]!.events.filter(({ event }) => event === 'change').map(({ data }) => [
        data['event'],
        data['record'] !== null,
        data['old'] !== null,
      ])
    try {
      await until(() => streams.every(({ events }) => events.length > 0))
      const lead = await newLead({ assigned_agent: own.id })
      await ask('POST', `/leads/${lead.id}/assign`, { agent_id: other.id })
      await ask('PATCH', `/leads/${lead.id}`, { city: 'Darwin' })
      await until(() => told(0).length === 2 && told(1).length === 2)
      expect(told(0)).toEqual([
        ['INSERT', true, false],
        ['DELETE', false, true],
      ])
      expect(told(1)).toEqual([
        ['INSERT', true, false],
        ['UPDATE', true, true],
      ])
      const back = await openEventStream(`${url}/leads/updates`, { authorization: `Bearer ${own.token}`, 'last-event-id': 'x' })
      await until(() => back.events.length === 2)
      expect(back.events.map(({ event }) => event)).toEqual(['ready', 'gap'])
      back.drop()
    } finally {
      for (const stream of streams) stream.drop()
    }
  })
})

describe('what is answered', () => {
  it('is what the document of the routes says, of each of them', async () => {
    expect(await untoldAnswers(engine.server)).toEqual([])
    // All that came before, of every route that the tests have asked.
    expect(answers.violations).toEqual([])
    const others = ['GET /health', 'GET /leads/updates', 'GET /livez', 'GET /metrics']
    expect(listRoutes(engine.server).filter((route) => !answers.answered.has(route))).toEqual(others)
  })
})
