import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { bootstrappedTemplate } from '../testing/bootstrapped-template.js'
import { checkExposure } from './check-exposure.js'
import type { ExposureFinding, ExposureOptions } from './exposure.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client: pg.Client = useClient(database)

beforeEach(() => client.query('begin'))
afterEach(() => client.query('rollback'))

/** Roles belong to the server: what other tests let the API's login become does not count here. */
const ours: ReadonlySet<string> = new Set(['anon', 'authenticated', 'exposure_editor'])

const check = async (options: ExposureOptions = {}) => {
  const report = await checkExposure(client, { inTransaction: true, ...options })
  const findings = report.findings
    .map((finding) => ({ ...finding, roles: finding.roles.filter((role) => ours.has(role)), all: finding.roles.length }))
    .filter(({ roles, all }) => roles.length > 0 || all === 0)
    .map(({ all: _all, ...finding }) => finding)
  return { ...report, findings }
}

/** What is found after the statements, as `level code object roles`. */
const found = async (sql: string, options?: ExposureOptions): Promise<readonly string[]> => {
  await client.query(sql)
  return (await check(options)).findings.map(({ level, code, object, roles }) =>
    `${level} ${code} ${object} ${roles.join(',')}`.trimEnd(),
  )
}

const first = async (): Promise<ExposureFinding | undefined> => (await check()).findings[0]

/** Runs what a finding proposes, and looks again. */
const mended = async (): Promise<readonly string[]> => {
  for (const { fix } of (await check()).findings) await client.query(fix)
  return (await check()).findings.map(({ code }) => code)
}

const table = 'create table public.notes (id bigint primary key, owner text, public_id uuid);'
const secured = `${table} alter table public.notes enable row level security;`
const policy = (rest: string) => `${secured} create policy p on public.notes ${rest};`

describe('tables', () => {
  it('finds nothing after the bootstrap and the platform migrations', async () => {
    expect(await check()).toEqual({ ok: true, schemas: ['public'], findings: [] })
  })

  it.each([
    ['select', 'anon'],
    ['insert', 'authenticated'],
    ['update', 'anon'],
    ['delete', 'authenticated'],
    ['select (id)', 'anon'],
    ['update (owner)', 'authenticated'],
  ])('SEC-1: a grant of %s to %s without row security is an error', async (privilege, role) => {
    expect(await found(`${table} grant ${privilege} on public.notes to ${role}`)).toEqual([
      `error rowSecurityOff public.notes ${role}`,
    ])
    expect((await check()).ok).toBe(false)
  })

  it('counts what everybody has', async () => {
    expect(await found(`${table} grant select on public.notes to public`)).toEqual([
      'error rowSecurityOff public.notes anon,authenticated',
    ])
  })

  it('C59: an ungranted table without row security is a warning, and closing it leaves nothing', async () => {
    expect(await found(table)).toEqual(['warning rowSecurityOff public.notes'])
    expect(await mended()).toEqual([])
  })

  it('says that policies without row security have no effect', async () => {
    await found(`${table} grant select on public.notes to anon; create policy p on public.notes for select using (id = 1)`)
    expect((await first())?.why).toContain('Its policy has no effect.')
    expect(await mended()).toEqual([])
  })

  it('a partition is a table of its own', async () => {
    expect(
      await found(`
        create table public.parted (id int) partition by range (id); alter table public.parted enable row level security;
        create table public.part partition of public.parted for values from (0) to (9); grant select on public.part to anon`),
    ).toEqual(['error rowSecurityOff public.part anon'])
  })

  it('a grant that no policy answers is a warning; each role counts by itself', async () => {
    expect(
      await found(`${policy('to authenticated using (id = 1)')} grant select on public.notes to anon, authenticated`),
    ).toEqual(['warning grantWithoutPolicy public.notes anon'])
    // A restrictive policy shows nothing by itself.
    expect(await found('drop policy p on public.notes; create policy p on public.notes as restrictive using (id = 1)')).toEqual([
      'warning grantWithoutPolicy public.notes anon,authenticated',
    ])
    expect(await mended()).toEqual([])
  })

  it('TRUNCATE, which no policy holds, is a warning', async () => {
    expect(await found(`${secured} grant truncate on public.notes to authenticated`)).toEqual([
      'warning truncateGranted public.notes authenticated',
    ])
    expect(await mended()).toEqual([])
  })

  it('a table that a caller owns is an error unless row security is forced', async () => {
    expect(await found(`${secured} alter table public.notes owner to authenticated`)).toEqual([
      'error ownerIsCaller public.notes authenticated',
      'warning grantWithoutPolicy public.notes authenticated',
      'warning truncateGranted public.notes authenticated',
    ])
    expect(await found('alter table public.notes force row level security')).not.toContain(
      'error ownerIsCaller public.notes authenticated',
    )
  })

  it('FEED-5: a table of realtime whose policies read more than its replica identity tells of no deleted row', async () => {
    const told = `create table public.told (id int primary key, owner uuid); alter table public.told enable row level security;
      grant select on public.told to authenticated; alter publication supabase_realtime add table public.told;`
    expect(await found(`${told} create policy keyed on public.told to authenticated using (id > 0)`)).toEqual([])
    expect(
      await found(`create policy own on public.told for select to authenticated using (owner = (select auth.uid()))`),
    ).toEqual(['warning deletesNotTold public.told authenticated'])
    expect(await mended()).toEqual([])
  })

  it('foreign tables cannot have row security', async () => {
    expect(
      await found(`
        create foreign data wrapper nowhere; create server nowhere foreign data wrapper nowhere;
        create foreign table public.far (id int) server nowhere; grant select on public.far to authenticated`),
    ).toEqual(['error foreignTable public.far authenticated'])
    expect(await mended()).toEqual([])
  })

  it('looks at the schemas that it is told, and names those that are not there', async () => {
    const sql = `create schema inner; grant usage on schema inner to anon; create table inner.t (id int);
      grant select on inner.t to anon`.replaceAll('inner', '"In ner"')
    expect(await found(sql)).toEqual([])
    expect(await found('', { schemas: ['public', 'In ner', 'nope'] })).toEqual([
      'error rowSecurityOff "In ner".t anon',
      'warning schemaMissing schema nope',
    ])
    // A grant in a schema that the role may not even enter opens nothing.
    expect(await found('revoke usage on schema "In ner" from anon', { schemas: ['In ner'] })).toEqual([
      'warning rowSecurityOff "In ner".t',
    ])
  })

  it('what is open on purpose is a warning that says so', async () => {
    await client.query(`${table} grant select on public.notes to anon`)
    const { ok, findings } = await check({ accepted: ['public.notes'] })
    expect(ok).toBe(true)
    expect(findings).toMatchObject([{ level: 'warning', why: expect.stringContaining('Accepted by the configuration') }])
  })

  it('C77: default privileges that open every new table are a warning', async () => {
    expect(await found('alter default privileges in schema public grant all on tables to anon, authenticated')).toEqual([
      'warning defaultPrivileges default privileges of postgres in schema public anon,authenticated',
    ])
    expect(await mended()).toEqual([])
  })
})

describe('roles and schemas', () => {
  it('a role of callers that no policy holds is an error', async () => {
    expect(await found('alter role anon bypassrls')).toEqual(['error roleAboveRowSecurity role anon anon'])
    expect(await mended()).toEqual([])
  })

  it('a role of its own that a token may name counts like the usual ones', async () => {
    const made = 'create role exposure_editor nologin; grant usage on schema public to exposure_editor;'
    expect(await found(`${table} ${made} grant select on public.notes to exposure_editor`)).toEqual([
      'warning rowSecurityOff public.notes',
    ])
    expect(await found('grant exposure_editor to authenticator')).toEqual(['error rowSecurityOff public.notes exposure_editor'])
    expect(await found('alter role exposure_editor bypassrls')).toContain(
      'error roleAboveRowSecurity role exposure_editor exposure_editor',
    )
  })

  it('a role that may become such a role is an error', async () => {
    expect(await found('grant service_role to authenticated')).toEqual([
      'error roleAboveRowSecurity role authenticated authenticated',
    ])
    expect(await mended()).toEqual([])
  })

  it('a schema in which callers make objects is an error', async () => {
    expect(await found('grant create on schema public to public')).toEqual([
      'error schemaWritable schema public anon,authenticated',
    ])
    expect(await mended()).toEqual([])
  })
})

describe('policies', () => {
  const using = (expression: string) => policy(`to authenticated using (${expression})`)

  it.each([
    "(auth.jwt() -> 'user_metadata' ->> 'role') = 'admin'",
    "(select auth.jwt() #>> '{user_metadata,role}') = 'admin'",
    "current_setting('request.jwt.claims', true)::jsonb -> 'user_metadata' ->> 'admin' = 'true'",
  ])('C2: user_metadata decides nothing: %s', async (expression) => {
    expect(await found(using(expression))).toEqual(['error policyUserMetadata policy p on public.notes authenticated'])
  })

  it('C2: also not in a check, nor within a function, but its name in a comment or a column is no fault', async () => {
    const inside = (body: string) =>
      `create or replace function public.is_boss() returns boolean language sql stable as $$ ${body} $$;`
    expect(
      await found(
        `${inside("select auth.jwt() -> 'user_metadata' ->> 'boss' = 'yes'")} ${policy('to authenticated using (id = 1) with check (public.is_boss())')}`,
      ),
    ).toEqual(['error policyUserMetadata policy p on public.notes authenticated'])
    expect(
      await found(
        inside("select auth.jwt() -> 'app_metadata' ->> 'boss' = 'yes' -- never user_metadata\n/* nor\nraw_user_meta_data */"),
      ),
    ).toEqual([])
    expect(
      await found("alter table public.notes add user_metadata text; alter policy p on public.notes using (user_metadata = 'x')"),
    ).toEqual([])
    expect(await found("alter policy p on public.notes with check (auth.jwt() ->> 'user_metadata' = 'x')")).toHaveLength(1)
  })

  it.each([
    "auth.role() = 'admin'",
    "(select auth.role()) = 'admin'",
    "auth.jwt() ->> 'role' = 'admin'",
    "auth.role() in ('admin', 'boss')",
  ])('C2: no token has the role of %s', async (expression) => {
    expect(await found(using(expression))).toEqual(['warning policyRoleNeverHolds policy p on public.notes authenticated'])
  })

  it.each([
    "auth.role() = 'authenticated'",
    "(select auth.role()) in ('authenticated', 'service_role')",
    "auth.jwt() -> 'app_metadata' ->> 'role' = 'admin'",
    "owner = (select auth.jwt() ->> 'sub')",
    'public_id = (select auth.uid())',
  ])('R121: %s is fine', async (expression) => {
    expect(await found(using(expression))).toEqual([])
  })

  it.each(['owner = auth.uid()::text', 'owner = (select auth.uid())::text', 'owner = (select auth.uid()::varchar)'])(
    'C1: %s raises on subjects that are no uuids',
    async (expression) => {
      expect(await found(using(expression))).toEqual(['warning policyUidAsText policy p on public.notes authenticated'])
    },
  )

  it.each([
    ['for insert to anon with check (true)', 'insert', 'error', 'anon'],
    ['for update to anon using (true)', 'update', 'error', 'anon'],
    ['for delete using (true)', 'delete', 'error', 'anon'],
    ['using (true)', 'insert', 'error', 'anon'],
    ['for update to anon using (id = 1) with check (true)', 'update', 'error', 'anon'],
    ['for insert to authenticated with check (true)', 'insert', 'warning', 'authenticated'],
  ])('a write that is always allowed is found: %s', async (rest, privilege, level, role) => {
    expect(await found(`${policy(rest)} grant ${privilege} on public.notes to ${role}`)).toEqual([
      `${level} policyAlwaysTrue policy p on public.notes ${role}`,
    ])
  })

  it.each(['for select using (true)', 'for insert to service_role with check (true)', 'for update to anon using (id = 1)'])(
    'and nothing else: %s',
    async (rest) => {
      expect(await found(`${policy(rest)} grant select, update on public.notes to anon`)).not.toContainEqual(
        expect.stringContaining('policyAlwaysTrue'),
      )
    },
  )

  it('without a grant it is a warning, and a restrictive policy holds it', async () => {
    expect(await found(policy('for insert to anon with check (true)'))).toEqual([
      'warning policyAlwaysTrue policy p on public.notes anon',
    ])
    expect((await first())?.why).toContain('as soon as it is granted')
    expect(
      await found('create policy only_mine on public.notes as restrictive for insert with check (owner is not null)'),
    ).toEqual([])
  })
})

describe('views', () => {
  const view = (options: string, on = 'public.notes') => `create view public.seen ${options} as select * from ${on};`

  it('C77: one over a table with row security needs security_invoker', async () => {
    expect(await found(`${secured} ${view('')} grant select on public.seen to anon`)).toEqual([
      'error viewWithoutInvoker public.seen anon',
    ])
    expect(await mended()).toEqual([])
    for (const value of ['on', 'true', '1'])
      expect(await found(`alter view public.seen set (security_invoker = ${value})`)).toEqual([])
    expect(await found('alter view public.seen set (security_invoker = off)')).toHaveLength(1)
  })

  it('also where it hides behind another view or in another schema', async () => {
    expect(
      await found(`
        ${secured} create schema private; grant usage on schema private to anon;
        create view private.all_notes as select * from public.notes; grant select on private.all_notes to anon;
        ${view('with (security_invoker = true)', 'private.all_notes')} grant select on public.seen to anon`),
    ).toEqual(['error viewWithoutInvoker public.seen anon'])
    expect((await first())?.fix).toBe('alter view private.all_notes set (security_invoker = true);')
    expect(await mended()).toEqual([])
  })

  it('is a warning over a table without row security, and nothing where nobody may read it or it reads no table', async () => {
    expect(
      await found(`
        create schema private; create table private.notes (id int);
        create view public.seen as select * from private.notes; grant select on public.seen to authenticated`),
    ).toEqual(['warning viewWithoutInvoker public.seen authenticated'])
    expect(await found('revoke all on public.seen from authenticated')).toEqual([])
    expect(await found('create view public.now_is as select now(); grant select on public.now_is to anon')).toEqual([])
  })

  it('a materialized view is an error over a table with row security', async () => {
    expect(
      await found(
        `${secured} create materialized view public.kept as select * from public.notes; grant select on public.kept to anon`,
      ),
    ).toEqual(['error materializedView public.kept anon'])
    expect(await found('alter table public.notes disable row level security')).toEqual([
      'warning rowSecurityOff public.notes',
      'warning materializedView public.kept anon',
    ])
    expect(await mended()).toEqual([])
  })
})

describe('functions', () => {
  const make = (options: string, schema = 'public') =>
    `create function ${schema}.reveal(id int) returns int language sql ${options} as 'select 1';`
  const grant = 'grant execute on function public.reveal(int) to authenticated;'

  it('C77: SECURITY DEFINER without a fixed search_path is an error, in an exposed schema a warning besides', async () => {
    expect(await found(`${make('security definer')} ${grant}`)).toEqual([
      'error definerWithoutSearchPath public.reveal(integer) anon,authenticated',
      'warning definerExposed public.reveal(integer) anon,authenticated',
    ])
    expect(await mended()).toEqual([])
  })

  it('with a fixed search_path only the warning stays; without SECURITY DEFINER or EXECUTE nothing', async () => {
    const only = 'revoke all on function public.reveal(int) from public;'
    expect(await found(`${make("security definer set search_path = ''")} ${only} ${grant}`)).toEqual([
      'warning definerExposed public.reveal(integer) authenticated',
    ])
    expect(await found('revoke all on function public.reveal(int) from authenticated')).toEqual([])
    expect(await found(`${grant} alter function public.reveal(int) security invoker reset search_path`)).toEqual([])
  })

  it('another schema is no shelter for a missing search_path', async () => {
    expect(
      await found(`create schema private; grant usage on schema private to anon; ${make('security definer', 'private')}`),
    ).toEqual(['error definerWithoutSearchPath private.reveal(integer) anon'])
  })

  it('triggers run for callers too, but nobody calls them', async () => {
    expect(
      await found(`
        ${secured} create function public.note() returns trigger language plpgsql security definer as 'begin return new; end';
        create trigger t before insert on public.notes for each row execute function public.note()`),
    ).toEqual(['warning definerWithoutSearchPath public.note() anon,authenticated'])
    expect(await found("alter function public.note() set search_path = ''")).toEqual([])
  })
})

describe('sequences', () => {
  it('one that a caller can set, or needs for nothing, is a warning', async () => {
    const sql = 'create table public.kept (id serial); alter table public.kept enable row level security;'
    expect(await found(`${sql} grant usage, update on sequence public.kept_id_seq to anon`)).toEqual([
      'warning sequenceGranted public.kept_id_seq anon',
    ])
    expect(await mended()).toEqual([])
  })

  it('one that an insert needs is none', async () => {
    expect(
      await found(`
        create table public.kept (id serial, owner text); alter table public.kept enable row level security;
        create policy p on public.kept for insert to authenticated with check (owner = 'x');
        grant insert on public.kept to authenticated; grant usage on sequence public.kept_id_seq to authenticated`),
    ).toEqual([])
  })
})

describe('the session', () => {
  it('is left as it was, within a transaction and outside', async () => {
    await client.query('set local search_path = auth, public')
    await check()
    expect((await client.query('show search_path')).rows).toEqual([{ search_path: 'auth, public' }])
    await client.query('rollback')
    await checkExposure(client)
    await expect(client.query('savepoint x')).rejects.toMatchObject({ code: '25P01' })
    await client.query('begin')
  })
})
