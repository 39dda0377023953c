import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCache } from '../../../packages/tidemark/src/cache/open-cache.js'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { until } from '../../../packages/tidemark/src/time/until.js'
import { defaultMemory, engineCaches } from './caches.js'
import { type Generated, generate, main } from './generate.js'
import { reEngine } from './re-engine.js'
import { boardOf, findAgentBySubject, listAgents } from './repository/agents.js'
import { approve, createApproval, listApprovals, requestSending, submitApproval } from './repository/approvals.js'
import { addEvent, eventsOf } from './repository/events.js'
import {
  areWaiting,
  assignLead,
  assignWaiting,
  changeLead,
  createLead,
  findLead,
  listLeads,
  mergeLead,
} from './repository/leads.js'
import { createReports, type Reports, refreshReports } from './repository/reports.js'
import { changeSettings, readSettings } from './repository/settings.js'
import type { Db, Lead } from './rows.js'
import { approvalMoves, leadMoves, mayGo, statesOf } from './states.js'

let database: AppDatabase
let reports: Reports
let made: Generated
const counted: Record<string, number> = {}

const until_ = new Date('2026-11-20T00:00:00Z')

beforeAll(async () => {
  database = await openAppDatabase(reEngine)
  await database.owner.query('begin')
  made = await generate(database.owner, { seed: 7, leads: 400, until: until_ })
  await database.owner.query('commit')
  for (const table of Object.keys(made.counts)) counted[table] = await countOf(table)
  reports = createReports(database.pool)
})

afterAll(() => database?.drop())

const rows = async <T extends object>(sql: string, values: readonly unknown[] = []): Promise<readonly T[]> =>
  (await database.owner.query<T>(sql, [...values])).rows

const one = async <T extends object>(sql: string, values: readonly unknown[] = []): Promise<T> => (await rows<T>(sql, values))[0]!

const countOf = async (sql: string) => (await one<{ n: number }>(`select count(*)::int as n from ${sql}`)).n

/** As somebody who works here: the server, under the claims of a person. */
const as = <T>(sub: string, fn: (db: Db) => Promise<T>): Promise<T> =>
  database.pool.transaction(fn, { settings: { 'request.jwt.claims': JSON.stringify({ sub, role: 'authenticated' }) } })

const newLead = async (more: Partial<Lead> = {}): Promise<Lead> => {
  const agent = await findAgentBySubject(database.pool, 'agent100')
  const lead = await createLead(
    database.pool,
    { first_name: 'Ana', last_name: 'Li', email: `${randomUUID()}@example.com`, ...(more as object) },
    agent!.id,
  )
  if ('duplicateOf' in lead) throw new Error('there is one')
  return lead
}

const period = { from: '2026-05-01', until: '2026-11-22' }

describe('the tables', () => {
  it('R11, R12, R13: have the documented columns, indexes and defaults', async () => {
    const indexes = await rows<{ indexname: string; indexdef: string }>(
      "select indexname, indexdef from pg_indexes where tablename = 'leads'",
    )
    const named = new Map(indexes.map(({ indexname, indexdef }) => [indexname, indexdef]))
    expect(named.get('idx_leads_email')).toContain('WHERE (email IS NOT NULL)')
    expect(named.get('idx_leads_metadata_gin')).toContain('USING gin (metadata)')
    for (const name of ['idx_leads_status', 'idx_leads_assigned_agent', 'idx_leads_created_at', 'leads_email_key'])
      expect(named.has(name)).toBe(true)
    const lengths = await rows<{ column_name: string; n: number }>(
      "select column_name, character_maximum_length as n from information_schema.columns where table_name = 'leads' and character_maximum_length is not null",
    )
    expect(Object.fromEntries(lengths.map(({ column_name, n }) => [column_name, n]))).toEqual({
      ...{ first_name: 100, last_name: 100, email: 255, phone: 20, city: 100, province: 50, postal_code: 10, property_type: 50 },
      ...{ price_range: 50, timeline: 50, source: 100, status: 20 },
    })
    for (const table of ['agents', 'leads', 'approvals', 'events', 'analytics_lead_daily', 'analytics_agent_daily'])
      expect(
        (await one<{ on: boolean }>(`select relrowsecurity as on from pg_class where oid = 'public.${table}'::regclass`)).on,
      ).toBe(true)
  })

  it('R14: come down and up again as one schema', async () => {
    const status = await database.migrator.status()
    expect(JSON.stringify(status)).not.toContain('"pending"')
  })

  it('hold the same states as the code, whoever writes', async () => {
    const lead = await newLead()
    for (const from of statesOf(leadMoves))
      for (const to of statesOf(leadMoves)) {
        if (from === to) continue
        await database.owner.query('begin')
        await database.owner.query("select set_config('tidemark.origin', 'move', true)")
        await database.owner.query('update leads set status = $2 where id = $1', [lead.id, from])
        await database.owner.query("select set_config('tidemark.origin', '', true)")
        const moved = await database.owner
          .query("update leads set status = $2, status_reason = 'a reason' where id = $1", [lead.id, to])
          .then(
            () => true,
            (error: { code: string }) => (error.code === 'PT409' ? false : error.code),
          )
        await database.owner.query('rollback')
        expect([from, to, moved]).toEqual([from, to, mayGo(leadMoves, from, to)])
      }
    await expect(database.pool.query("update leads set status = 'contacted' where id = $1", [lead.id])).resolves.toBeDefined()
    const back = database.pool.query("update leads set status = 'new' where id = $1", [lead.id])
    await expect(back).rejects.toThrow()
  })

  it('hold the states of approvals too', async () => {
    const lead = await newLead()
    const draft = await as('agent100', (db) =>
      createApproval(db, { lead_id: lead.id, channel: 'email', action_type: 'send', status: 'draft', draft_text: 'x' }),
    )
    const asIs = `update approvals set status = $2, approved_by = 'boss', approved_at = now(), approved_hash = content_hash, submitted_at = now(),
      rejected_by = 'boss', rejected_at = now(), rejection_reason = 'x', sent_at = now() where id = $1`
    for (const from of statesOf(approvalMoves))
      for (const to of statesOf(approvalMoves)) {
        if (from === to) continue
        await database.owner.query('begin')
        await database.owner.query("select set_config('tidemark.origin', 'move', true)")
        await database.owner.query(asIs, [draft.id, from])
        await database.owner.query(
          "select set_config('tidemark.origin', '', true), set_config('tidemark.actor', 'another', true)",
        )
        const moved = await database.owner.query('update approvals set status = $2 where id = $1', [draft.id, to]).then(
          () => true,
          (error: { code: string }) => (error.code === 'PT409' ? false : error.code),
        )
        await database.owner.query('rollback')
        expect([from, to, moved]).toEqual([from, to, mayGo(approvalMoves, from, to)])
      }
  })

  it('let nobody approve what they wrote, nor say over REST that it was sent', async () => {
    const lead = await newLead()
    const claims = { sub: 'agent100', role: 'authenticated' }
    const [{ id }] = (await database.as<{ id: string }>(
      'authenticated',
      claims,
      "insert into approvals (lead_id, channel, draft_to, draft_text, status) values ($1, 'email', 'a@example.com', 'x', 'pending') returning id",
      [lead.id],
    )) as [{ id: string }]
    const set = (sub: string, status: string) =>
      database.as(
        'authenticated',
        { ...claims, sub, app_metadata: { role: 'admin' } },
        'update approvals set status = $2 where id = $1',
        [id, status],
      )
    await expect(set('agent100', 'approved')).rejects.toMatchObject({ code: 'PT403' })
    await set('boss', 'approved')
    for (const status of ['sending', 'sent', 'failed']) await expect(set('boss', status)).rejects.toThrow()
    await expect(
      database.as('authenticated', claims, "update approvals set approved_by = 'boss' where id = $1", [id]),
    ).rejects.toMatchObject({ code: '42501' })
    expect(await one('select approved_by, created_by from approvals where id = $1', [id])).toEqual({
      approved_by: 'boss',
      created_by: 'agent100',
    })
  })
})

describe('the generated house', () => {
  it('is in the tables as it was made, with its flaws', async () => {
    expect(counted).toEqual(made.counts)
    expect(await countOf('leads where email is null and phone is null')).toBe(made.flaws.unreachable)
    expect(await countOf('leads where assigned_agent is null')).toBe(made.flaws.unassigned)
    expect(await countOf("approvals where status = 'sending' and claimed_until < now()")).toBe(made.flaws.stuckInSending)
    expect(await countOf("approvals where status = 'pending' and expires_at is not null")).toBe(made.flaws.overdue)
  })

  it('is brought in whole by the command, once', async () => {
    const other = await openAppDatabase(reEngine)
    try {
      const command = ['--database', other.urls.migrator, '--leads', '20', '--agents', '3', '--until', '2026-11-20T00:00:00Z']
      expect([await main(command), await main(command)]).toEqual([0, 1])
      const { rows: leads } = await other.owner.query<{ n: number }>('select count(*)::int as n from leads')
      expect(leads).toEqual([{ n: 20 }])
    } finally {
      await other.drop()
    }
  })

  it('is refused where the command line says too little', async () => {
    expect(await main(['--leads', 'many', '--database', 'postgres://x'])).toBe(2)
    expect(await main(['--until', 'tomorrow', '--database', 'postgres://x'])).toBe(2)
    expect(await main(['--database', ''])).toBe(2)
  })
})

describe('reports', () => {
  beforeAll(async () => {
    expect(await database.pool.transaction((db) => refreshReports(db))).toBe(true)
  })

  it('S2.8: conversion is what SQL over the leads says, by source and by day', async () => {
    const report = await reports.conversion(period)
    const bySource = await rows(
      `select coalesce(nullif(lower(btrim(source)), ''), 'unknown') as source, count(*)::int as new_leads,
              (count(*) filter (where converted_at is not null))::int as converted
         from leads where created_at >= '2026-05-01' and created_at < '2026-11-23' group by 1 order by 1`,
    )
    expect(report.by_source.map(({ source, new_leads, converted }) => ({ source, new_leads, converted }))).toEqual(bySource)
    const byDay = await rows(
      `select (created_at at time zone 'UTC')::date::text as day, count(*)::int as new_leads,
              (count(*) filter (where converted_at is not null))::int as converted
         from leads where created_at >= '2026-05-01' and created_at < '2026-11-23' group by 1 order by 1`,
    )
    expect(report.trend.map(({ day, new_leads, converted }) => ({ day, new_leads, converted }))).toEqual(byDay)
    const { total } = report
    expect(total.conversion_rate).toBeCloseTo(total.converted / total.new_leads, 4)
    expect(total.new_leads).toBe(bySource.reduce((sum, row) => sum + (row as { new_leads: number }).new_leads, 0))
    const website = await reports.conversion({ ...period, source: 'Website' })
    expect(website.by_source.map(({ source }) => source)).toEqual(['website'])
    expect((await reports.conversion({ from: '2020-01-01', until: '2020-01-02' })).total).toEqual({
      new_leads: 0,
      converted: 0,
      lost: 0,
      conversion_rate: null,
    })
  })

  it('the funnel narrows, and counts whoever came so far, also where they left', async () => {
    const { steps, lost } = await reports.funnel(period)
    expect(steps.map(({ stage }) => stage)).toEqual(['new', 'contacted', 'qualified', 'nurturing', 'converted'])
    const reached = steps.map(({ reached: n }) => n)
    expect(reached).toEqual(reached.toSorted((a, b) => b - a))
    const said = await one<{ n: number }>(
      `select count(distinct l.id)::int as n from leads l join events e on e.lead_id = l.id
        where l.created_at >= '2026-05-01' and l.created_at < '2026-11-23' and e.event_type = 'status_changed' and e.data ->> 'to' <> 'lost'`,
    )
    expect(reached[1]).toBe(said.n)
    expect(lost).toBeGreaterThan(0)
  })

  it('first responses are the first that went out, never one that came in', async () => {
    const { total } = await reports.firstResponse(period)
    const sql = await one<{ responded: number; average: number }>(
      `select count(f.at)::int as responded, avg(extract(epoch from f.at - l.created_at))::float8 as average
         from leads l left join lateral (
           select min(occurred_at) as at from events e where e.lead_id = l.id and e.direction = 'outbound' and e.occurred_at >= l.created_at) f on true
        where l.created_at >= '2026-05-01' and l.created_at < '2026-11-23'`,
    )
    expect(total.responded).toBe(sql.responded)
    expect(total.average_seconds).toBeCloseTo(sql.average, 3)
    expect(total.median_seconds! <= total.p90_seconds!).toBe(true)
  })

  it('the league ranks by conversions, and shows whoever did nothing', async () => {
    const { agents } = await reports.league(period)
    const conversions = agents.map(({ converted }) => converted)
    expect(conversions).toEqual(conversions.toSorted((a, b) => b - a))
    expect(agents[0]?.rank).toBe(1)
    const sent = await one<{ n: number }>(
      "select count(*)::int as n from events where event_type = 'sent' and occurred_at >= '2026-05-01' and agent_id is not null",
    )
    expect(agents.reduce((sum, { messages_sent: n }) => sum + n, 0)).toBe(sent.n)
  })

  it('weeks are whole, also where nothing happened; approvals are timed from submission to decision', async () => {
    const { weeks } = await reports.trends(period)
    expect(weeks.every(({ week }) => new Date(week).getUTCDay() === 1)).toBe(true)
    expect(weeks).toHaveLength(30)
    expect(weeks.reduce((sum, { new_leads: n }) => sum + n, 0)).toBe((await reports.conversion(period)).total.new_leads)
    const { total, by_channel: byChannel } = await reports.approvals(period)
    const sql = await one<{ decided: number; rejected: number; average: number }>(
      `select count(*)::int as decided, (count(*) filter (where rejected_at is not null))::int as rejected,
              avg(extract(epoch from coalesce(approved_at, rejected_at) - submitted_at))::float8 as average
         from approvals where coalesce(approved_at, rejected_at) >= '2026-05-01' and coalesce(approved_at, rejected_at) < '2026-11-23' and submitted_at is not null`,
    )
    expect([total.decided, total.rejected]).toEqual([sql.decided, sql.rejected])
    expect(total.average_seconds).toBeCloseTo(sql.average, 3)
    expect(byChannel.reduce((sum, { decided }) => sum + decided, 0)).toBe(total.decided)
  })

  it('are computed anew by one at a time, and only what differs is written', async () => {
    const before = await rows<{ xmin: string }>('select xmin::text, day::text, source from analytics_lead_daily order by 2, 3')
    const lead = await newLead({ source: 'billboard' } as never)
    await database.pool.transaction((db) => refreshReports(db))
    const after = await rows<{ xmin: string; source: string }>(
      "select xmin::text, day::text, source from analytics_lead_daily where source <> 'billboard' order by 2, 3",
    )
    expect(after).toEqual(before)
    expect((await reports.conversion({ source: 'billboard' })).total.new_leads).toBe(1)
    await database.owner.query('delete from leads where id = $1', [lead.id])
    await database.pool.transaction(async (db) => {
      expect(await refreshReports(db)).toBe(true)
      expect(await database.pool.transaction((db) => refreshReports(db))).toBe(false)
    })
    expect((await reports.conversion({ source: 'billboard' })).total.new_leads).toBe(0)
    expect(await database.pool.transaction((db) => refreshReports(db, 60_000))).toBe(false)
  })
})

describe('the repository', () => {
  it('two who make the same lead at once make one', async () => {
    const email = `${randomUUID()}@example.com`
    const agent = (await findAgentBySubject(database.pool, 'agent100'))!.id
    const make = () => database.pool.transaction((db) => createLead(db, { first_name: 'A', last_name: 'B', email }, agent))
    const both = await Promise.all([make(), make(), make()])
    const ids = new Set(both.map((each) => ('duplicateOf' in each ? each.duplicateOf?.id : each.id)))
    expect([ids.size, both.filter((each) => 'duplicateOf' in each).length]).toEqual([1, 2])
  })

  it('fifty who approve and edit at once leave nothing approved that was not read', async () => {
    const lead = await newLead()
    const draft = await as('agent100', (db) =>
      createApproval(db, { lead_id: lead.id, channel: 'email', action_type: 'send', status: 'pending', draft_text: 'words 0' }),
    )
    await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        n % 2 === 0
          ? as('boss', (db) => approve(db, draft.id, draft.content_hash)).catch(() => undefined)
          : database.pool
              .query('update approvals set draft_text = $2 where id = $1', [draft.id, `words ${n}`])
              .catch(() => undefined),
      ),
    )
    const end = await one<{ status: string; same: boolean | null }>(
      'select status, approved_hash = content_hash as same from approvals where id = $1',
      [draft.id],
    )
    expect([
      ['pending', null],
      ['approved', true],
    ]).toContainEqual([end.status, end.same])
    const sending = as('boss', (db) => requestSending(db, draft.id))
    // Whoever was the first to come may have approved, and nobody could edit after that.
    if (end.status === 'approved') expect(await sending).toMatchObject({ draft_text: 'words 0' })
    else await expect(sending).rejects.toMatchObject({ code: 'ENGINE_ILLEGAL_MOVE' })
    await expect(as('boss', (db) => submitApproval(db, randomUUID()))).rejects.toMatchObject({ code: 'ENGINE_NOT_FOUND' })
  })

  it('R38: pages, boards and events come with as many statements whatever they hold', async () => {
    let statements = 0
    const counting: Db = {
      query: (...args: Parameters<Db['query']>) => {
        statements += 1
        return database.pool.query(...args) as never
      },
    }
    const leads = await listLeads(counting, { limit: 200 })
    const agents = await listAgents(counting, { limit: 200 })
    const approvals = await listApprovals(counting, { limit: 200 })
    const events = await eventsOf(counting, leads.rows[0]!.id, { limit: 200 })
    const board = await boardOf(counting, agents.rows[0]!.id)
    expect([leads.rows.length, agents.rows.length > 5, approvals.rows.length, events.rows.length > 0, board?.agent_id]).toEqual([
      200,
      true,
      200,
      true,
      agents.rows[0]!.id,
    ])
    expect(statements).toBe(5)
    expect(await boardOf(database.pool, randomUUID())).toBeNull()
    expect(
      (await listLeads(database.pool, { limit: 5, agent_id: 'none', do_not_contact: 'false' })).rows.every(
        ({ assigned_agent: agent }) => agent === null,
      ),
    ).toBe(true)
    expect(
      (await listLeads(database.pool, { limit: 5, agent_id: agents.rows[0]!.id, status: 'new' })).rows.every(
        ({ status }) => status === 'new',
      ),
    ).toBe(true)
  })

  it('leads that wait go to whose turn it is', async () => {
    const waiting = await one<{ n: number }>(
      "select count(*)::int as n from leads where assigned_agent is null and status in ('new', 'contacted', 'qualified', 'nurturing')",
    )
    expect(waiting.n).toBeGreaterThan(0)
    expect(await areWaiting(database.pool)).toBe(true)
    await database.owner.query("update agents set max_active_leads = 1000 where external_id = 'agent100'")
    expect(await database.pool.transaction((db) => assignWaiting(db))).toBe(waiting.n)
    await database.owner.query("update agents set status = 'inactive'")
    await database.owner.query('begin')
    await database.owner.query("select set_config('tidemark.origin', 'move', true)")
    await database.owner.query("update leads set assigned_agent = null where status = 'new'")
    await database.owner.query('commit')
    expect(await database.pool.transaction((db) => assignWaiting(db))).toBe(0)
    expect(await areWaiting(database.pool)).toBe(false)
    await database.owner.query("update agents set status = 'active'")
  })

  it('changes nothing where there is nothing to change', async () => {
    const lead = await newLead()
    expect((await changeLead(database.pool, lead.id, { status: 'new' })).version).toBe(1)
    expect((await mergeLead(database.pool, lead.id, { first_name: 'X', last_name: 'Y' })).version).toBe(1)
    expect((await assignLead(database.pool, lead.id, lead.assigned_agent!)).version).toBe(1)
    expect((await changeLead(database.pool, lead.id, { contact_block_reason: 'dnc' })).do_not_contact).toBe(true)
    await expect(changeLead(database.pool, randomUUID(), { city: 'x' })).rejects.toMatchObject({ code: 'ENGINE_NOT_FOUND' })
    expect(await findLead(database.pool, randomUUID())).toBeNull()
    const note = { leadId: lead.id, type: 'note', source: 'agent', content: 'x', externalId: randomUUID() } as const
    const [first, second] = [await addEvent(database.pool, note), await addEvent(database.pool, note)]
    expect([first.isNew, second.isNew, second.event.id]).toEqual([true, false, first.event.id])
    const settings = await readSettings(database.pool)
    expect(await changeSettings(database.pool, { quiet_from: null, quiet_until: null })).toMatchObject({ quiet_from: null })
    expect(await changeSettings(database.pool, settings)).toMatchObject({ quiet_from: '21:00:00' })
  })
})

describe('the memory recall', () => {
  it.each(['lru', 'lfu'] as const)('R41, C35: %s keeps as many as it may, and gives up the right one', async (policy) => {
    const cache = await openCache({
      database: database.urls.app,
      owner: database.urls.migrator,
      replication: database.urls.feed,
      entries: engineCaches({ ...defaultMemory, policy, maxEntries: 20, linearizable: false }),
      name: `memory_${policy}`,
      sampleEveryMs: 0,
      // So long that a slow machine is no reason to keep nothing.
      maxSilenceMs: 4_000,
    })
    try {
      const { lead } = cache.entries
      const [often, ...once] = await rows<{ id: string }>('select id from leads order by id limit 100')
      await until(async () => (await lead.lookup(often!)).source === 'memory', { timeoutMs: 20_000 })
      // Full first: before that nobody has to go.
      for (const each of once.slice(0, 40)) await lead.get(each)
      for (let n = 0; n < 10; n++) await lead.get(often!)
      for (const each of once.slice(40)) await lead.get(each)
      expect([often!, ...once].filter((each) => lead.peek(each) !== undefined).length).toBeLessThanOrEqual(20)
      expect(lead.peek(often!) !== undefined).toBe(policy === 'lfu')
    } finally {
      await cache.stop()
    }
  })
})
