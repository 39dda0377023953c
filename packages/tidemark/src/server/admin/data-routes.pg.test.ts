import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootstrappedTemplate, connectTo, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import type { DataCount, DataRows, DataTableInfo } from '../operations/data.js'
import type { ExplainReport, QueriesReport } from '../operations/queries.js'
import type { RealtimeReport } from '../operations/realtime-figures.js'
import type { ResilienceReport } from '../operations/resilience.js'
import type { SettingView } from '../operations/settings.js'
import { openResilience } from '../resilience/open-resilience.js'
import { type AdminReads, openAdminReads } from '../testing/open-admin-reads.js'

const [ann, bob] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222']

const tables = `
  create table public.notes (id bigint primary key, owner uuid not null, "odd ""name" text, secret text);
  alter table public.notes enable row level security;
  create policy own on public.notes to authenticated using (owner = (select auth.uid()));
  grant select (id, owner, "odd ""name") on public.notes to authenticated;
  insert into public.notes select n, case when n % 2 = 0 then '${ann}' else '${bob}' end::uuid, 'text ' || n, 'hidden' from generate_series(1, 1000) n;
  create table public.open (id int primary key, body text);
  grant select on public.open to anon;
  insert into public.open select n, repeat('x', n) from generate_series(1, 300) n;
  create function public.writes() returns int language plpgsql volatile security definer as $$ begin insert into public.open values (9999, ''); return 1; end $$;
  create view public.sly as select public.writes() as n;
  grant select on public.sly to anon;
  grant execute on function public.writes() to anon;
  create function public.slow() returns boolean language plpgsql as $$ begin perform pg_sleep(30); return true; end $$;
`

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const resilience = await openResilience()
let admin: AdminReads

beforeAll(async () => {
  const owner = await connectTo(testUrl(database.url, 'migrator'))()
  await owner.query(tables)
  await owner.end()
  resilience.limiter({ name: 'sms', rules: [{ limit: 5, windowMs: 60_000 }] })
  admin = await openAdminReads(database.url, { resilience })
})
afterAll(async () => {
  await admin?.stop()
  await resilience.stop()
})

const address = (path: string, given: Readonly<Record<string, unknown>>): string => {
  const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
  return `${path}?${new URLSearchParams(Object.entries(given).map(([name, value]): [string, string] => [name, text(value)]))}`
}
const rows = async (given: Readonly<Record<string, unknown>>): Promise<DataRows> =>
  (await admin.get(address('/data/rows', { schema: 'public', ...given }))).body

describe('rows as a role', () => {
  test('S2.3: a user sees the rows of policies, in the columns that are granted, and nobody more', async () => {
    const { tables: found } = (await admin.get(address('/data/tables', { role: 'authenticated' }))).body as {
      readonly tables: readonly DataTableInfo[]
    }
    const notes = found.find(({ name }) => name === 'notes')
    expect(notes).toMatchObject({ kind: 'table', rowSecurity: true, policies: 1 })
    expect(notes?.columns.map(({ name, isKey }) => [name, isKey])).toEqual([
      ['id', true],
      ['owner', false],
      ['odd "name', false],
    ])
    expect(found.some(({ schema }) => ['auth', 'tidemark'].includes(schema))).toBe(false)
    const count = (user?: string) =>
      admin.get(address('/data/count', { role: 'authenticated', schema: 'public', table: 'notes', ...(user && { user }) }))
    expect((await count(ann)).body as DataCount).toEqual({ rows: 500, isMore: false })
    expect((await count()).body as DataCount).toEqual({ rows: 0, isMore: false })
    expect(await admin.get(address('/data/rows', { role: 'anon', schema: 'public', table: 'notes' }))).toMatchObject({
      status: 400,
    })
    expect((await rows({ role: 'service_role', table: 'notes', limit: 2 })).rows[0]).toEqual(['1', bob, 'text 1', 'hidden'])
  })

  test('who looked at which rows through whose eyes is noted: once for all pages of a look, and each that is refused', async () => {
    const look = { role: 'anon', user: 'no-one-else', schema: 'public', table: 'open' }
    const noted = () => admin.audited.filter((url) => url.includes('no-one-else')).length
    for (const offset of [0, 100]) await admin.get(address('/data/rows', { ...look, offset, sort: 'id.desc' }))
    await admin.get(address('/data/count', look))
    expect(noted()).toBe(1)
    await admin.get(address('/data/rows', { ...look, where: JSON.stringify([['id', 'eq', '1']]) }))
    expect(noted()).toBe(2)
    // As it begins, and as it fails.
    await admin.get(address('/data/rows', { ...look, role: 'authenticated' }))
    expect(noted()).toBe(4)
  })

  test('pages come in the order of a column and then of the key, and filters are values', async () => {
    const given = { role: 'authenticated', user: ann, table: 'notes' }
    const page = await rows({ ...given, sort: 'id.desc', offset: 10, limit: 3 })
    expect(page.rows.map(([id]) => id)).toEqual(['980', '978', '976'])
    const filtered = await rows({
      ...given,
      where: [
        ['id', 'lte', '10'],
        ['odd "name', 'like', '%8'],
      ],
    })
    expect(filtered.rows.map(([id]) => id)).toEqual(['8'])
    const hostile = `x'; drop table public.notes; --`
    expect((await rows({ ...given, where: [['odd "name', 'eq', hostile]] })).rows).toEqual([])
    for (const where of [[[hostile, 'eq', '1']], [['secret', 'eq', 'hidden']], [['id', 'eq', 'many']], [['id', 'is', '1']]])
      expect(await admin.get(address('/data/rows', { schema: 'public', ...given, where }))).toMatchObject({ status: 400 })
    expect(await admin.get(address('/data/rows', { ...given, schema: 'public', sort: `${hostile}.desc` }))).toMatchObject({
      status: 400,
    })
    expect(await admin.get(address('/data/rows', { ...given, schema: 'auth', table: 'users' }))).toMatchObject({ status: 400 })
  })

  test('long values are cut in pages, and whole where one row is asked for', async () => {
    const [, cut] = (await rows({ table: 'open', offset: 299, limit: 1 })).rows[0]!
    const [, whole] = (await rows({ table: 'open', offset: 299, limit: 1, whole: 'true' })).rows[0]!
    expect([cut, whole]).toEqual([`${'x'.repeat(200)}…`, 'x'.repeat(300)])
  })

  test('nothing is written, whatever a view calls', async () => {
    expect(await admin.get(address('/data/rows', { schema: 'public', table: 'sly' }))).toMatchObject({ status: 400 })
    expect((await client.query('select from public.open where id = 9999')).rows).toHaveLength(0)
  })

  test('past row security looks an admin only; a viewer sees no rows at all', async () => {
    const path = (role: string) => address('/data/tables', { role })
    expect((await admin.get(path('anon'), 'viewer')).status).toBe(403)
    expect((await admin.get(path('anon'), 'operator')).status).toBe(200)
    expect((await admin.get(path('service_role'), 'operator')).status).toBe(403)
    expect((await admin.get(path('postgres'))).status).toBe(400)
  })
})

describe('queries', () => {
  const explain = (sql: string, more: object = {}) => admin.post('/queries/explain', { sql, ...more })

  test('the plan of a statement is shown, and the statement is not run', async () => {
    const { plan } = (await explain('select * from public.open where id = 7;')).body as ExplainReport
    expect(plan).toMatchObject({ 'Node Type': expect.any(String), 'Relation Name': 'open' })
    const general = (await explain('select * from public.open where id = $1')).body as ExplainReport
    expect(general.plan['Node Type']).toEqual(expect.any(String))
    const began = performance.now()
    await explain('select public.slow()')
    await explain('insert into public.open values (9999)', { role: 'service_role' })
    expect(performance.now() - began).toBeLessThan(15_000)
    expect((await client.query('select from public.open where id = 9999')).rows).toHaveLength(0)
  })

  test('what would run is refused', async () => {
    for (const sql of [
      'analyze public.open',
      'analyze select public.writes()',
      '(analyze) select public.writes()',
      'select 1; reset role; insert into public.open values (9999)',
      'select 1; commit; drop table public.notes',
      'drop table public.notes',
      'select * from public.notes',
    ])
      expect(await explain(sql), sql).toMatchObject({ status: 400 })
    expect((await client.query('select from public.open where id = 9999')).rows).toHaveLength(0)
    expect((await admin.post('/queries/explain', { sql: 'select 1' }, 'viewer')).status).toBe(403)
    expect((await admin.post('/queries/explain', { sql: 'select 1', role: 'service_role' }, 'operator')).status).toBe(403)
    expect(admin.audited.filter((url) => url.includes('/queries'))).toEqual([])
  })

  test('sessions that wait name those that they wait for, and locks are shown', async () => {
    await client.query('begin')
    await client.query('lock table public.open in access exclusive mode')
    const { rows: own } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    const waiting = admin.get(address('/data/rows', { schema: 'public', table: 'open' }))
    const seen = async () => {
      const { sessions, locks, pools }: QueriesReport = (await admin.get('/queries')).body
      const blocked = sessions.find(({ blockedBy, query }) => blockedBy.length > 0 && query?.includes('"public"."open"'))
      const isShown = locks.some(({ isGranted, table }) => !isGranted && table === 'public.open')
      // Sessions, what they do and locks are read side by side: the wait may begin in between.
      return blocked && isShown ? { blocked, pools } : undefined
    }
    const { blocked, pools } = await until(seen, { what: 'A session that waits, and its lock' })
    await client.query('rollback')
    await waiting
    expect(blocked.blockedBy).toEqual([own[0]?.pid])
    expect(pools.map(({ name }) => name)).toEqual(['primary', 'analytics', 'migration'])
  })

  test('statements of all roles are counted, and nothing of what stood in them or in commands', async () => {
    const { rows } = await client.query<{ me: string }>(`select current_user as me, 'nobody-may-see' as told`)
    await client.query(`comment on table public.open is 'nobody-may-see'`)
    const { statements } = (await admin.get('/queries')).body as QueriesReport
    const told = statements?.find(({ query }) => query.includes('as told'))
    expect(told).toMatchObject({ query: 'select current_user as me, $1 as told', user: rows[0]?.me, calls: 1, rows: 1 })
    expect(JSON.stringify(statements)).not.toContain('nobody-may-see')
  })
})

test('SEC: of a change in the audit log a viewer sees who made it, and not what the row holds', async () => {
  await client.query(`insert into public.audit_log (actor, action, table_name, record_id, old_data, new_data)
    values ('ann', 'UPDATE', 'people', '7', '{"email": "old@example.com"}', '{"email": "new@example.com"}'),
           ('ann', 'POST /breakers', 'tidemark.operations', 'crm', null, '{"body": {"service": "crm"}}')`)
  const read = async (as: 'viewer' | 'operator') =>
    ((await admin.get('/audit?actor=ann', as)).body as { readonly entries: readonly object[] }).entries
  const seen = { actor: 'ann', action: 'UPDATE', table: 'people', record: '7' }
  const operation = { action: 'POST /breakers', new: { body: { service: 'crm' } } }
  expect(await read('viewer')).toMatchObject([operation, { ...seen, old: null, new: null }])
  const whole = { ...seen, old: { email: 'old@example.com' }, new: { email: 'new@example.com' } }
  expect(await read('operator')).toMatchObject([operation, whole])
})

describe('the machine', () => {
  test('limiters, the journal and what breakers did', async () => {
    await client.query(`insert into public.circuit_breaker_events (service_name, previous_state, new_state, failure_count, reason, epoch)
      values ('crm', 'CLOSED', 'OPEN', 5, '5 failures', 1), ('crm', 'OPEN', 'HALF_OPEN', 5, 'a probe', 2), ('sms', 'CLOSED', 'OPEN', 1, 'by hand', 1)`)
    const report = (await admin.get('/resilience?service=crm', 'viewer')).body as ResilienceReport
    expect(report.limiters).toMatchObject([{ name: 'sms', rules: [{ limit: 5 }], counts: { allowed: 0 } }])
    expect(report.events.map(({ from, to }) => [from, to])).toEqual([
      ['OPEN', 'HALF_OPEN'],
      ['CLOSED', 'OPEN'],
    ])
    expect(report.journal).toBeNull()
  })

  test('SEC-2: settings come with their source, and secrets are masked', async () => {
    const answer = await admin.get('/settings', 'viewer')
    const { settings } = answer.body as { readonly settings: readonly SettingView[] }
    expect(settings.find(({ option }) => option === 'server.port')).toEqual({
      option: 'server.port',
      value: '9999',
      source: 'PORT',
    })
    expect(JSON.stringify(answer.body)).not.toContain('nobody-may-see')
  })

  test('figures of realtime, and the servers that told of themselves', async () => {
    await client.query(
      `insert into tidemark.realtime_servers (id, beat, seen_at) values (gen_random_uuid(), 1, now()), (gen_random_uuid(), 1, now() - interval '1 hour')`,
    )
    const report = (await admin.get('/realtime', 'viewer')).body as RealtimeReport
    expect(report.figures).toContainEqual({ name: 'tidemark_realtime_connections', labels: { protocol: 'supabase' }, value: 7 })
    expect(report.servers).toHaveLength(1)
  })
})
