import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { projectSource } from '../migration-files.js'
import { createMigrator } from '../migrator.js'
import { bootstrappedTemplate, connectTo, testUrl } from '../testing/bootstrapped-template.js'
import type { RowSecurityOptions } from './exposure-watch.js'

const database = useDatabase({ template: bootstrappedTemplate })
const admin = useClient(database)
let folder: string

const migrator = (rowSecurity?: RowSecurityOptions) =>
  createMigrator({
    connect: connectTo(testUrl(database.url, 'migrator')),
    sources: [projectSource(folder)],
    ...(rowSecurity && { rowSecurity }),
  })

let platform: readonly string[] = []

const file = (version: number, sql: string) => writeFile(join(folder, `${20260101000000 + version}_step${version}.sql`), sql)

const allRelations = async () =>
  (
    await admin.query<{ relname: string }>(
      "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v') order by 1",
    )
  ).rows.map(({ relname }) => relname)

/** Those of the platform apart. */
const relations = async () => (await allRelations()).filter((name) => !platform.includes(name))

const refused = { code: 'TM_SCHEMA_EXPOSED', exitCode: 6 }

beforeAll(async () => {
  platform = await allRelations()
})

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-exposure-'))
  await admin.query('create table public.older (id int); grant select on public.older to anon')
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
  await admin.query("truncate supabase_migrations.schema_migrations; delete from tidemark.migrations where source = 'project'")
  await admin.query('alter default privileges for role tidemark_migrator in schema public revoke all on tables from anon')
  await admin.query('drop view if exists public.seen')
  for (const name of await relations()) await admin.query(`drop table public."${name}" cascade`)
})

describe('SEC-1: a migration that opens rows', () => {
  it('is taken back, with the object and the SQL that closes it', async () => {
    await file(1, 'create table public.closed (id int); alter table public.closed enable row level security')
    await file(2, 'create table public.open (id int);\ngrant select on public.open to anon')
    const error = await migrator()
      .up()
      .catch((caught: unknown) => caught)
    expect(error).toMatchObject(refused)
    expect(String(error)).toMatch(/20260101000002 \(20260101000002_step2\.sql\) opens public\.open: anon may read every row/)
    expect((error as { fix: string }).fix).toMatch(
      /alter table public\.open enable row level security.*nothing of it was applied/s,
    )
    expect(await relations()).toEqual(['closed', 'older'])
    expect((await migrator().status()).map(({ state }) => state)).toEqual(['applied', 'pending'])
  })

  it.each([
    ['a grant on a table of an older migration', 'grant insert on public.plain to authenticated'],
    ['row security that is taken away', 'alter table public.secured disable row level security'],
    ['a view', 'create view public.seen as select * from public.secured; grant select on public.seen to anon'],
    [
      'default privileges',
      'alter default privileges in schema public grant select on tables to anon; create table public.late (id int)',
    ],
    [
      'a policy that trusts user_metadata',
      "create policy q on public.secured using (auth.jwt() -> 'user_metadata' ->> 'a' = 'b')",
    ],
  ])('is taken back: %s', async (_what, sql) => {
    await file(
      1,
      `create table public.plain (id int); create table public.secured (id int); alter table public.secured enable row level security;
       create policy p on public.secured to anon using (id = 1); grant select on public.secured to anon`,
    )
    await file(2, sql)
    await expect(migrator().up()).rejects.toMatchObject(refused)
    expect((await migrator().status()).map(({ state }) => state)).toEqual(['applied', 'pending'])
  })

  it('goes through where it mends in the same file what it opens', async () => {
    await file(1, 'create table public.a (id int); grant select on public.a to anon')
    await expect(migrator().up()).rejects.toMatchObject(refused)
    await file(
      1,
      `create table public.a (id int); grant select on public.a to anon; alter table public.a enable row level security;
       create policy p on public.a for select to anon using (id > 0)`,
    )
    expect((await migrator().up()).findings).toEqual([])
  })

  it('may close a part of what was open before', async () => {
    await admin.query('grant select on public.older to authenticated; alter table public.older owner to tidemark_migrator')
    await file(1, 'revoke select on public.older from anon')
    expect((await migrator().up()).applied).toHaveLength(1)
  })

  it('goes through and is told, where the option says warn; and where the object is accepted', async () => {
    await file(1, 'create table public.open (id int); grant select on public.open to anon')
    expect((await migrator({ mode: 'warn' }).up()).findings).toMatchObject([
      { level: 'error', code: 'rowSecurityOff', object: 'public.open', roles: ['anon'] },
    ])
    expect((await migrator().check()).findings.map(({ object }) => object)).toEqual(['public.older', 'public.open'].toSorted())
    await file(2, 'create table public.lists (id int); grant select on public.lists to anon')
    expect((await migrator({ accepted: ['public.lists'] }).up()).findings).toMatchObject([
      { level: 'warning', object: 'public.lists' },
    ])
  })

  it('outside a transaction it stays, is recorded, and is an error all the same', async () => {
    await file(1, '-- tidemark: no-transaction\ncreate table public.open (id int);\ngrant select on public.open to anon')
    const error = await migrator()
      .up()
      .catch((caught: unknown) => caught)
    expect(error).toMatchObject(refused)
    expect((error as { fix: string }).fix).toContain('it stays applied')
    expect((await migrator().status()).map(({ state }) => state)).toEqual(['applied'])
  })

  it('tells warnings of the whole run only, without what a later file mends', async () => {
    await file(1, 'create table public.a (id int); create table public.b (id int)')
    await file(2, 'alter table public.a enable row level security')
    expect((await migrator().up()).findings).toMatchObject([{ level: 'warning', code: 'rowSecurityOff', object: 'public.b' }])
  })
})

describe('C1: auth.uid() compared with text', () => {
  it('does not compile, and the error says what to compare instead', async () => {
    await file(
      1,
      `create table public.tours (agent_id text); alter table public.tours enable row level security;
       create policy p on public.tours using (agent_id = auth.uid())`,
    )
    await expect(migrator().up()).rejects.toThrow(/operator does not exist: text = uuid.*auth\.jwt\(\) ->> 'sub'/)
  })
})
