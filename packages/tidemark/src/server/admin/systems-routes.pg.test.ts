import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { createLogger } from '../../observability/log.js'
import { appSource, platformSource } from '../../schema/migration-files.js'
import { createMigrator } from '../../schema/migrator.js'
import { bootstrappedTemplate, connectTo, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import type {
  AgentsReport,
  ChatReport,
  LeadsReport,
  SystemsReport,
  ToursReport,
  YarnReport,
} from '../operations/systems/systems.js'
import type { ApprovalDetail } from '../operations/systems/systems-actions.js'
import type { OwnChat } from '../operations/systems/systems-chat.js'
import type { YarnCourse, YarnTurn, YarnWords } from '../operations/systems/systems-yarn.js'
import { type AdminReads, openAdminReads } from '../testing/open-admin-reads.js'
import type { OperatorRole } from './operator.js'

const folderOf = (app: string): URL => new URL(`../../../../../apps/${app}/migrations/`, import.meta.url)

const [first, second] = [useDatabase({ template: bootstrappedTemplate }), useDatabase({ template: bootstrappedTemplate })]
const [client, other] = [useClient(first), useClient(second)]
let [admin, leads, both]: AdminReads[] = []
let beside: string

const migrate = (url: string, apps: readonly string[]) =>
  createMigrator({
    connect: connectTo(testUrl(url, 'migrator')),
    sources: [platformSource, ...apps.map((app) => appSource(app, folderOf(app)))],
  }).up()

beforeAll(async () => {
  await migrate(first.url, ['reanna-router', 'supportive-yarn', 'chat', 'agents'])
  await migrate(second.url, ['re-engine'])
  admin = await openAdminReads(first.url)
  leads = await openAdminReads(second.url)
  beside = new URL(second.url).pathname.slice(1)
  both = await openAdminReads(first.url, { others: { nobody_made_it: 'postgres://nowhere.invalid', [beside]: second.url } })
})
afterAll(async () => {
  await admin?.stop()
  await leads?.stop()
  await both?.stop()
})

const ask = async <T>(from: AdminReads | undefined, path: string): Promise<T> => (await from!.get(path)).body as T

test('which systems have their tables here is told by columns, since two call a table leads', async () => {
  expect(await ask<SystemsReport>(admin, '/systems')).toEqual({ tours: true, leads: false, yarn: true, chat: true, agents: true })
  expect(await ask<SystemsReport>(leads, '/systems')).toEqual({
    tours: false,
    leads: true,
    yarn: false,
    chat: false,
    agents: false,
  })
  expect(await ask<LeadsReport>(admin, '/systems/leads')).toMatchObject({ isPresent: false, leads: [] })
})

test("an application that is not in the project's database is found in one beside it, and told to be there", async () => {
  const all = { tours: true, leads: true, yarn: true, chat: true, agents: true }
  expect(await ask<SystemsReport>(both, '/systems')).toEqual(all)
  expect(await ask<LeadsReport>(both, '/systems/leads')).toMatchObject({ isPresent: true, database: beside })
  expect(await ask<ChatReport>(both, '/systems/chat')).toMatchObject({ isPresent: true, database: null })
})

test('the tours of a day with their stops', async () => {
  const [tour, visit] = [randomUUID(), randomUUID()]
  await client.query(
    `insert into public.tours (id, agent_id, start_time, end_time, status) values ($1, 'ann', '2026-05-04T09:00Z', '2026-05-04T12:00Z', 'scheduled')`,
    [tour],
  )
  await client.query(
    `insert into public.property_visits (id, tour_id, address, scheduled_arrival, scheduled_departure, status)
     values ($1, $2, '1 High St', '2026-05-04T09:10Z', '2026-05-04T09:30Z', 'scheduled')`,
    [visit, tour],
  )
  const day = (from: string, to: string) => ask<ToursReport>(admin, `/systems/tours?from=${from}&to=${to}`)
  const { tours, states } = await day('2026-05-04T00:00:00Z', '2026-05-05T00:00:00Z')
  expect(tours).toMatchObject([{ id: tour, agent: 'ann', stops: [{ address: '1 High St', tasks: 0, tasksDone: 0 }] }])
  expect(states).toEqual({ scheduled: 1 })
  expect((await day('2026-05-05T00:00:00Z', '2026-05-06T00:00:00Z')).tours).toEqual([])
  expect((await admin!.get('/systems/tours?from=today&to=tomorrow')).status).toBe(400)
  expect((await admin!.get('/systems/tours?from=2026-05-04T00:00:00Z&to=2026-05-05T00:00:00Z', 'viewer')).status).toBe(403)
})

test('yarns come without a word of theirs, and without an id that would go on with them', async () => {
  await client.query(`insert into public.sessions (session_id, fsm_state) values ('abcdefgh-the-rest-of-it', 'worries')`)
  await client.query(
    `insert into public.chat_history (session_id, role, message) values ('abcdefgh-the-rest-of-it', 'user', 'private words')`,
  )
  await client.query(
    `insert into public.risk_detections (session_id, trigger_phrase, user_message) values ('abcdefgh-the-rest-of-it', 'private phrase', 'private words')`,
  )
  await client.query(`insert into public.sessions (session_id, last_activity) values ('shorter', now() - interval '1 day')`)
  const report = await ask<YarnReport>(admin, '/systems/yarn')
  expect(report.sessions).toMatchObject([
    { id: 'abcdefgh', state: 'worries', messages: 1, risks: 1, key: expect.stringMatching(/^\d+$/) },
    { id: 'sho', state: 'welcome', messages: 0, key: null },
  ])
  expect(report).toMatchObject({ states: { welcome: 1, worries: 1 }, completed: 0, risksToday: 1 })
  expect(JSON.stringify(report)).not.toMatch(/private|the-rest|shorter/)
})

/** A yarn with the same words twice, in a pause and as an answer; gives what opens it. */
const writeYarn = async (): Promise<string> => {
  const at = (second: number): string => `2026-05-04T10:00:${String(second).padStart(2, '0')}Z`
  const yarn = 'a-yarn-that-anybody-could-go-on-with'
  await client.query(`insert into public.sessions (session_id, fsm_state) values ($1, 'worries')`, [yarn])
  const said = [
    ['user', 'secret greeting', 0],
    ['bot', 'secret question', 0],
    ['user', 'secret danger', 5],
    ['bot', 'secret helplines', 5],
    ['user', 'yes', 10],
    ['bot', 'secret question', 10],
    ['user', 'yes', 15],
    ['bot', 'secret thanks', 15],
  ] as const
  const numbers: string[] = []
  for (const [role, message, second] of said) {
    const { rows } = await client.query<{ id: string }>(
      `insert into public.chat_history (session_id, role, message, ts) values ($1, $2, $3, $4) returning id`,
      [yarn, role, message, at(second)],
    )
    numbers.push(rows[0]!.id)
  }
  await client.query(
    `insert into public.intent_classifications (session_id, user_message, classified_intent, method, fsm_state, created_at)
     values ($1, 'yes', 'clear', 'rule_based', 'strengths', $2)`,
    [yarn, at(15)],
  )
  await client.query(
    `insert into public.risk_detections (session_id, trigger_phrase, user_message, detected_at)
     values ($1, 'no hope', 'secret danger', $2), ($1, 'wanna die', 'secret danger', $2), ($1, 'of an older list', 'secret greeting', $3)`,
    [yarn, at(5), at(0)],
  )
  return numbers[0]!
}

const nothing = { yarn: null, turns: [] }

test('SEC-2: a yarn is opened without its words; those an admin gets who says why, and the audit log has it before', async () => {
  const lines: string[] = []
  const log = createLogger({ level: 'debug', destination: { write: (line) => lines.push(line) } })
  const from = await openAdminReads(first.url, { log })
  onTestFinished(() => from.stop())
  const key = await writeYarn()
  const course = async (as: OperatorRole) => from.get(`/systems/yarn/course?key=${key}`, as)
  const words = (body: object, as: OperatorRole = 'admin') => from.post('/systems/yarn/words', body, as)

  expect((await course('viewer')).status).toBe(403)
  const { body } = (await course('operator')) as { readonly body: YarnCourse }
  expect(body.yarn).toMatchObject({ id: 'a-yarn-t', key, messages: 8, risks: 3 })
  const turn = ({ role, state, intent, risk }: YarnTurn) => [role, state, intent, risk]
  expect(body.turns.map(turn)).toEqual([
    ['user', 'welcome', null, { tier: null, resourcesShown: true }],
    ['bot', 'strengths', null, null],
    ['user', 'strengths', null, { tier: 'high', resourcesShown: true }],
    ['bot', 'strengths', null, null],
    ['user', 'strengths', null, null],
    ['bot', 'strengths', null, null],
    ['user', 'strengths', 'clear', null],
    ['bot', 'worries', null, null],
  ])
  expect(JSON.stringify(body)).not.toMatch(/secret|yes|wanna|go-on-with/)

  for (const as of ['viewer', 'operator'] as const) expect((await words({ key, reason: 'To help' }, as)).status).toBe(403)
  for (const reason of [undefined, '', '   ']) expect((await words({ key, reason })).status).toBe(400)
  const shown = await words({ key, reason: 'A nurse asked' })
  expect(shown).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
  expect((shown.body as YarnWords).words.map(({ text }) => text)).toEqual([
    ...[
      'secret greeting',
      'secret question',
      'secret danger',
      'secret helplines',
      'yes',
      'secret question',
      'yes',
      'secret thanks',
    ],
  ])
  expect((shown.body as YarnWords).words.map(({ number }) => number)).toEqual(body.turns.map(({ number }) => number))

  const { rows } = await client.query(
    `select actor, actor_role, record_id, new_data->'body'->>'reason' as reason, new_data->>'status' as status from public.audit_log
      where action = 'POST /systems/yarn/words' order by id`,
  )
  const refused = (role: string, status: string) => ({ actor: role, actor_role: `operator:${role}`, status })
  expect(rows).toMatchObject([
    refused('viewer', '403'),
    refused('operator', '403'),
    ...[null, '', '   '].flatMap((reason) => [
      { actor: 'admin', reason, status: null },
      { actor: 'admin', reason, status: '400' },
    ]),
    { actor: 'admin', actor_role: 'operator:admin', record_id: key, reason: 'A nurse asked', status: null },
  ])
  const everything = JSON.stringify((await client.query(`select * from public.audit_log`)).rows)
  expect(lines.join('')).toContain('/admin/v1/systems/yarn/words')
  expect(`${lines.join('')} ${everything}`).not.toMatch(/secret|go-on-with/)
})

test('SEC-2: words whose look the audit log does not take are not sent', async () => {
  const { key } = (await ask<YarnReport>(admin, '/systems/yarn')).sessions[0]!
  const words = () => admin!.post('/systems/yarn/words', { key, reason: 'A nurse asked' })
  await client.query(`alter table public.audit_log add constraint closed check (action <> 'POST /systems/yarn/words') not valid`)
  try {
    expect(await words()).toMatchObject({ status: 503, body: { error: { code: 'TM_SERVER_AUDIT' } } })
  } finally {
    await client.query('alter table public.audit_log drop constraint closed')
  }
  expect((await words()).status).toBe(200)
})

test('a yarn is opened by its first message alone, without a tier where the application waits for that migration, and not once it is gone', async () => {
  const { rows } = await client.query<{ id: string }>(
    `select id from public.chat_history where session_id = 'a-yarn-that-anybody-could-go-on-with' order by id`,
  )
  const course = (key: string) => ask<YarnCourse>(admin, `/systems/yarn/course?key=${key}`)
  const [key, second] = [rows[0]!.id, rows[1]!.id]
  expect(await course(second)).toEqual(nothing)
  expect((await admin!.get('/systems/yarn/course?key=1%27')).status).toBe(400)
  await client.query('alter function public.risk_tier(text) rename to risk_tier_later')
  try {
    expect((await course(key)).turns[2]?.risk).toEqual({ tier: null, resourcesShown: true })
  } finally {
    await client.query('alter function public.risk_tier_later(text) rename to risk_tier')
  }
  await client.query(`delete from public.sessions where session_id = 'a-yarn-that-anybody-could-go-on-with'`)
  expect(await course(key)).toEqual(nothing)
  expect((await admin!.post('/systems/yarn/words', { key, reason: 'Why not' })).body).toEqual({ words: [] })
  expect(await ask<YarnCourse>(leads, `/systems/yarn/course?key=${key}`)).toEqual(nothing)
})

test('chats come with their counts, and no message', async () => {
  const { rows } = await client.query<{ id: string }>(
    `insert into public.chat_sessions (user_id, title) values (gen_random_uuid(), 'private title') returning id`,
  )
  await client.query(`insert into public.chat_messages (session_id, role, content) values ($1, 'user', 'private words')`, [
    rows[0]?.id,
  ])
  const report = await ask<ChatReport>(admin, '/systems/chat')
  expect(report).toMatchObject({ states: { active: 1 }, messagesLastHour: 1, sessions: [{ status: 'active', messages: 1 }] })
  expect(JSON.stringify(report)).not.toContain('private')
})

test('an operator has a chat of its own, in which what is sent twice stands once, and sees no other', async () => {
  const own = async (as: 'operator' | 'admin') => (await admin!.get('/systems/chat/own', as)).body as OwnChat
  const say = (payload: string, clientId: string, as: 'operator' | 'admin' | 'viewer' = 'operator') =>
    admin!.post('/systems/chat/say', { payload, clientId }, as)
  expect(await own('operator')).toEqual({ id: null, messages: [] })
  const [one, two] = [randomUUID(), randomUUID()]
  await Promise.all([say('First', one), say('First', one)])
  const { body } = await say('Second', two)
  const words = ({ messages }: OwnChat) => messages.map(({ role, text, clientId }) => [role, text, clientId])
  expect(words(body as OwnChat)).toEqual([
    ['user', 'First', one],
    ['user', 'Second', two],
  ])
  expect(await own('operator')).toEqual(body)
  expect(await own('admin')).toEqual({ id: null, messages: [] })
  expect(await ask<OwnChat>(leads, '/systems/chat/own')).toEqual({ id: null, messages: [] })
  expect((await say(' ', one)).status).toBe(400)
  expect((await say('First', one, 'viewer')).status).toBe(403)
  expect((await leads!.post('/systems/chat/say', { payload: 'First', clientId: one })).body).toMatchObject({
    error: { code: 'TM_SERVER_BAD_REQUEST' },
  })
})

test('agents, what they were asked to do, and how well they did', async () => {
  await client.query(
    `insert into public.agent_instances (agent_id, agent_type, status)
     values ('writer-1', 'content_generator', 'idle'), ('asker-1', 'quiz_generator', 'initializing')`,
  )
  await client.query(
    `insert into public.agent_executions (task_id, agent_type, task_type) values ('t1', 'content_generator', 'write')`,
  )
  await client.query(
    `insert into public.agent_metrics (agent_instance_id, agent_type, period_start, period_end, tasks_completed, tasks_failed, average_execution_time)
     select id, agent_type, '2026-05-04T09:00Z', '2026-05-04T09:05Z', case agent_id when 'asker-1' then 1 else 3 end, case agent_id when 'asker-1' then 0 else 1 end,
            case agent_id when 'asker-1' then 6 else 2 end from public.agent_instances`,
  )
  const report = await ask<AgentsReport>(admin, '/systems/agents')
  expect(report).toMatchObject({
    agents: [{ id: 'writer-1', status: 'idle' }, { id: 'asker-1' }],
    states: { idle: 1, initializing: 1 },
    executions: [{ task: 't1', kind: 'write', status: 'pending' }],
    metrics: [{ completed: 4, failed: 1, seconds: 3 }],
  })
})

test('leads by stage, and the approvals that wait', async () => {
  const { rows } = await other.query<{ id: string }>(
    `insert into public.leads (first_name, last_name, email) values ('Lea', 'Dee', 'lea@example.com') returning id`,
  )
  await other.query(
    `insert into public.approvals (lead_id, channel, draft_to, draft_subject, draft_text, created_by) values ($1, 'email', 'lea@example.com', 'Hello', 'the draft itself', 'x')`,
    [rows[0]?.id],
  )
  await other.query(`update public.approvals set status = 'pending'`)
  const report = await ask<LeadsReport>(leads, '/systems/leads')
  expect(report).toMatchObject({
    stages: { new: 1 },
    leads: [{ name: 'Lea Dee', status: 'new' }],
    inbox: [{ lead: 'Lea Dee', channel: 'email', subject: 'Hello', status: 'pending' }],
  })
  expect(JSON.stringify(report)).not.toContain('lea@example.com')
})

const act = async (from: AdminReads | undefined, body: object, as: 'viewer' | 'operator' = 'operator') => {
  const answer = await from!.post('/systems/act', body, as)
  return { ...answer, reason: (answer.body as { readonly error?: { readonly message: string } }).error?.message }
}

test('an operator reads a draft and decides on it: those words and no others, under the rules and in the history of the application', async () => {
  const { id } = (await ask<LeadsReport>(leads, '/systems/leads')).inbox[0]!
  const shown = await ask<ApprovalDetail>(leads, `/systems/approval?id=${id}`)
  expect(shown).toMatchObject({ to: 'lea@example.com', text: 'the draft itself', status: 'pending' })
  const approve = { action: 'approve', id, hash: shown.hash }
  expect((await act(leads, approve, 'viewer')).status).toBe(403)
  expect((await leads!.get(`/systems/approval?id=${id}`, 'viewer')).status).toBe(403)
  await other.query(`update public.approvals set draft_text = 'other words' where id = $1`, [id])
  expect(await act(leads, approve)).toMatchObject({ status: 400, reason: expect.stringContaining('have changed') })
  expect((await act(leads, { action: 'send', id })).reason).toContain('it is pending by now')
  const { hash } = await ask<ApprovalDetail>(leads, `/systems/approval?id=${id}`)
  expect(await act(leads, { ...approve, hash })).toMatchObject({ status: 200, body: { status: 'approved' } })
  expect((await act(leads, { action: 'reject', id, reason: 'late' })).reason).toContain('it is approved by now')
  expect((await act(leads, { action: 'send', id })).status).toBe(200)
  const { rows } = await other.query(
    `select a.approved_by, a.send_requested_at is not null as asked, e.actor from public.approvals a
       join public.events e on e.approval_id = a.id and e.event_type = 'approved' where a.id = $1`,
    [id],
  )
  expect(rows).toEqual([{ approved_by: 'operator:operator', asked: true, actor: 'operator:operator' }])
  expect((await act(leads, { action: 'send', id: randomUUID() })).reason).toContain('not there any more')
  expect((await act(admin, { action: 'send', id })).reason).toContain('the tables of leads are not here')
})

test('a tour is told to the CRM again, and a task is cancelled, where the application would allow it', async () => {
  const { rows } = await client.query<{ id: string }>(`select id from public.tours`)
  const sync = { action: 'sync-tour', id: rows[0]?.id }
  expect(await act(admin, sync)).toMatchObject({ status: 200, body: { status: 'pending' } })
  expect((await act(admin, sync)).reason).toContain('it is pending by now')
  expect(await act(admin, { action: 'cancel-task', id: 't1' })).toMatchObject({ status: 200, body: { status: 'cancelled' } })
  expect((await act(admin, { action: 'cancel-task', id: 't1' })).reason).toContain('it is cancelled by now')
})
