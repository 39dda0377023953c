import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createFakeClock } from '../testing/fake-clock.js'
import { createTestDatabase, type TestDatabase } from '../testing/postgres/database.js'
import { useDatabase } from '../testing/postgres/use-database.js'
import { type Clock, systemClock } from '../time/clock.js'
import { until } from '../time/until.js'
import { appSource, platformSource, projectSource } from './migration-files.js'
import { createMigrator, type MigratorOptions } from './migrator.js'
import type { SchemaClient } from './schema.js'
import { bootstrappedTemplate, connectTo, createBootstrappedDatabase, testUrl } from './testing/bootstrapped-template.js'

const database = useDatabase({ template: bootstrappedTemplate })
let client: SchemaClient
let directory: string

const connect = () => connectTo(testUrl(database.url, 'migrator'))()
const file = (name: string, text: string) => writeFile(join(directory, name), text)
const project = (options: Partial<MigratorOptions> = {}) =>
  createMigrator({
    connect: connectTo(testUrl(database.url, 'migrator')),
    sources: [platformSource, projectSource(directory)],
    ...options,
  })
const versions = async () =>
  (
    await client.query<{ version: string }>('select version from supabase_migrations.schema_migrations order by version')
  ).rows.map(({ version }) => version)
const relations = async () =>
  (
    await client.query<{ relname: string }>(
      "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'",
    )
  ).rows.map(({ relname }) => relname)

beforeAll(async () => {
  client = await connect()
})

afterAll(() => client?.end())

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tidemark-migrations-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
  await client.query(
    "delete from supabase_migrations.schema_migrations; delete from tidemark.migrations where source <> 'tidemark'",
  )
  for (const name of await relations()) await client.query(`drop table "${name}" cascade`)
})

describe('up', () => {
  it('R14: applies files in order and records them where the Supabase CLI looks', async () => {
    await file('20260102000000_second.sql', 'alter table a add column b int;')
    await file('20260101000000_first.sql', '-- the first\ncreate table a (id int);\ninsert into a values (1);')
    const report = await project().up()
    expect(report.applied.map(({ version, statements }) => [version, statements])).toEqual([
      ['20260101000000', 2],
      ['20260102000000', 1],
    ])
    const { rows } = await client.query('select * from supabase_migrations.schema_migrations order by version')
    expect(rows).toEqual([
      {
        version: '20260101000000',
        name: 'first',
        statements: ['-- the first\ncreate table a (id int)', 'insert into a values (1)'],
      },
      { version: '20260102000000', name: 'second', statements: ['alter table a add column b int'] },
    ])
    expect((await project().up()).applied).toEqual([])
  })

  it('keeps the versions of the platform and of apps out of that ledger, for the CLI refuses versions without a file', async () => {
    await file('20260101000000_app.sql', 'create table of_app (id int)')
    const sources = [platformSource, appSource('one', directory), appSource('two', join(directory, 'absent'))]
    const migrator = createMigrator({ connect, sources })
    await migrator.up()
    expect(await versions()).toEqual([])
    expect((await migrator.status()).filter(({ source }) => source !== 'tidemark')).toMatchObject([
      { source: 'app:one', version: '20260101000000', name: 'app', state: 'applied', appliedAt: expect.any(Date) },
    ])
  })

  it('stops at a target, and says what it would do in a dry run', async () => {
    await file('20260101000000_a.sql', 'create table a (id int)')
    await file('20260102000000_b.sql', 'create table b (id int)')
    expect((await project().up({ dryRun: true })).applied.map(({ name }) => name)).toEqual(['a', 'b'])
    expect(await relations()).toEqual([])
    await project().up({ target: '20260101000000' })
    expect(await relations()).toEqual(['a'])
    expect((await project().status()).filter(({ source }) => source === 'project').map(({ state }) => state)).toEqual([
      'applied',
      'pending',
    ])
    await expect(project().up({ target: '1999' })).rejects.toMatchObject({ code: 'TM_SCHEMA_UNKNOWN_TARGET' })
  })

  it('leaves nothing of a file that fails, and names file, statement, line and SQLSTATE', async () => {
    await file('20260101000000_bad.sql', 'create table a (id int);\n\n-- wrong\ninsert into a\n  values (1), (x);\n')
    const error = await project()
      .up()
      .catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'TM_SCHEMA_FAILED', parameters: { sqlstate: '42703' } })
    expect(String(error)).toContain('in 20260101000000_bad.sql, statement 2, line 5')
    expect((error as { fix: string }).fix).toContain('nothing of it was applied')
    expect(await relations()).toEqual([])
    expect(await versions()).toEqual([])
  })

  it('names the line of the first word where the server gives no position', async () => {
    await file('20260101000000_bad.sql', 'create table a (id int primary key);\n-- twice\ninsert into a\nvalues (1), (1);')
    await expect(project().up()).rejects.toThrow(/statement 2, line 3 \(23505\).*Key \(id\)=\(1\) already exists/)
  })

  it('tells of a deferred constraint before the commit', async () => {
    await file(
      '20260101000000_bad.sql',
      'create table a (id int primary key, up int references a deferrable initially deferred);\ninsert into a values (1, 2)',
    )
    await expect(project().up()).rejects.toMatchObject({ code: 'TM_SCHEMA_FAILED', parameters: { sqlstate: '23503' } })
    expect(await versions()).toEqual([])
  })

  it('takes a BEGIN and COMMIT around the whole file as said, and refuses them inside', async () => {
    await file('20260101000000_wrapped.sql', 'begin;\ncreate table a (id int);\nsavepoint s;\nrollback to s;\ncommit;')
    await project().up()
    expect(await relations()).toEqual(['a'])
    await file('20260102000000_bad.sql', 'create table b (id int);\ncommit;\ncreate table c (id int);')
    await expect(project().up()).rejects.toThrow(/statement 2, line 2 .*no-transaction/)
    expect(await relations()).toEqual(['a'])
  })

  it('runs a marked file outside of a transaction, and says of what needs the mark', async () => {
    await file('20260101000000_table.sql', 'create table a (id int);')
    await file(
      '20260102000000_index.sql',
      '/* slow */\n-- tidemark: no-transaction\ncreate index concurrently a_id on a (id);\nselect 1',
    )
    await project().up()
    expect(await versions()).toEqual(['20260101000000', '20260102000000'])
    await file('20260103000000_unmarked.sql', 'create index concurrently a_id2 on a (id);')
    await expect(project().up()).rejects.toThrow(/25001.*no-transaction/)
  })

  it('forgets the settings of a file before the next', async () => {
    await file(
      '20260101000000_dump.sql',
      "select pg_catalog.set_config('search_path', '', false); create table public.a (id int)",
    )
    await file('20260102000000_next.sql', 'create table b (id int)')
    await project().up()
    expect((await relations()).sort()).toEqual(['a', 'b'])
  })

  it('keeps functions, rules and BEGIN ATOMIC bodies whole', async () => {
    await file(
      '20260101000000_bodies.sql',
      `create table a (id int); create table log (id int);
       create rule r as on insert to a do also (insert into log values (1); insert into log values (2));
       create function f() returns int language plpgsql as $f$ begin perform ';'; return 1; end $f$;
       create function g() returns int begin atomic select case when true then 1 end; select 2; end;
       do $$ begin insert into a values (3); end $$;`,
    )
    await project().up()
    const { rows } = await client.query('select f(), g(), (select count(*)::int from log) as logged')
    expect(rows).toEqual([{ f: 1, g: 2, logged: 2 }])
    await client.query('drop function f; drop function g')
  })
})

describe('a history that does not fit', () => {
  it('TM_SCHEMA_CHECKSUM when an applied file says something else, not when it is laid out anew', async () => {
    await file('20260101000000_a.sql', 'create table a (id int);')
    await project().up()
    await file('20260101000000_a.sql', '-- a comment\ncreate   table a\n  (id int)\n;\n')
    await project().up()
    await file('20260101000000_a.sql', 'create table a (id bigint);')
    await expect(project().up()).rejects.toMatchObject({ code: 'TM_SCHEMA_CHECKSUM' })
    expect((await project().status()).at(-1)?.state).toBe('changed')
  })

  it('accepts rows of the Supabase CLI, and derives the checksum from their statements', async () => {
    await file('20260101000000_a.sql', 'create table a (id int);\n-- end\n')
    await client.query("insert into supabase_migrations.schema_migrations values ('20260101000000', $1, 'a')", [
      ['create table a (id int)'],
    ])
    expect((await project().up()).applied).toEqual([])
    expect((await project().status()).at(-1)).toMatchObject({ state: 'applied', appliedAt: null })
    await file('20260101000000_a.sql', 'create table other (id int)')
    await expect(project().up()).rejects.toMatchObject({ code: 'TM_SCHEMA_CHECKSUM' })
    await client.query('update supabase_migrations.schema_migrations set statements = null')
    expect((await project().up()).applied).toEqual([])
  })

  it('reads a ledger with the columns of the dashboard, and one that has only versions', async () => {
    const fresh = await createTestDatabase()
    const connectFresh = connectTo(fresh.url)
    const admin = await connectFresh()
    const migrator = createMigrator({ connect: connectFresh, sources: [projectSource(directory)] })
    try {
      await admin.query(
        'create schema supabase_migrations; create table supabase_migrations.schema_migrations (version text not null primary key)',
      )
      await admin.query("insert into supabase_migrations.schema_migrations values ('20250101000000')")
      expect(await migrator.status()).toMatchObject([{ version: '20250101000000', state: 'missing', name: '' }])
      await admin.query(`alter table supabase_migrations.schema_migrations add statements text[], add name text, add created_by text,
        add idempotency_key text unique, add rollback text[]; delete from supabase_migrations.schema_migrations`)
      await file('20260101000000_a.sql', 'create table a (id int)')
      expect((await migrator.up()).applied).toHaveLength(1)
    } finally {
      await admin.end()
      await fresh.drop()
    }
  })

  it('applies again what the CLI has marked as reverted', async () => {
    await file('20260101000000_a.sql', 'create table if not exists a (id int)')
    await project().up()
    await client.query('delete from supabase_migrations.schema_migrations')
    expect((await project().up()).applied).toHaveLength(1)
  })

  it('goes on with a database that is ahead of its files, until there is something to apply', async () => {
    await file('20260102000000_b.sql', 'create table b (id int)')
    await project().up()
    await rm(join(directory, '20260102000000_b.sql'))
    expect((await project().up()).applied).toEqual([])
    expect((await project().status()).at(-1)).toMatchObject({ version: '20260102000000', name: 'b', state: 'missing' })
    await file('20260103000000_c.sql', 'create table c (id int)')
    await expect(project().up()).rejects.toMatchObject({ code: 'TM_SCHEMA_MISSING_FILE' })
  })

  it('TM_SCHEMA_OUT_OF_ORDER unless it is allowed', async () => {
    await file('20260102000000_b.sql', 'create table b (id int)')
    await project().up()
    await file('20260101000000_a.sql', 'create table a (id int)')
    await expect(project().up()).rejects.toMatchObject({ code: 'TM_SCHEMA_OUT_OF_ORDER' })
    expect((await project().up({ allowOutOfOrder: true })).applied).toHaveLength(1)
  })

  it.each([
    [['init.sql'], 'TM_SCHEMA_BAD_NAME'],
    [['20260101000000_a.sql', '20260101000000_b.sql'], 'TM_SCHEMA_DUPLICATE'],
  ])('%j: %s', async (names, code) => {
    for (const name of names) await file(name, 'select 1')
    await expect(project().up()).rejects.toMatchObject({ code })
  })
})

describe('processes side by side', () => {
  it('two migrators that race apply each file once', async () => {
    await file('20260101000000_a.sql', 'create table a (id int); select pg_sleep(0.2)')
    await file('20260102000000_b.sql', 'insert into a values (1)')
    const reports = await Promise.all([project().up(), project().up(), project().up()])
    expect(reports.map(({ applied }) => applied.length).sort()).toEqual([0, 0, 2])
    expect((await client.query('select count(*)::int as n from a')).rows).toEqual([{ n: 1 }])
  })

  it('a race does not stand in the way of CREATE INDEX CONCURRENTLY', async () => {
    await file('20260101000000_a.sql', 'create table a as select generate_series(1, 200000) as id')
    await project().up()
    await file('20260102000000_i.sql', '-- tidemark: no-transaction\ncreate index concurrently a_id on a (id)')
    const reports = await Promise.all([project().up(), project().up()])
    expect(reports.map(({ applied }) => applied.length).sort()).toEqual([0, 1])
  })

  it('TM_SCHEMA_LOCKED after a bounded wait', async () => {
    await file('20260101000000_a.sql', 'create table a (id int)')
    const holder = await connect()
    const clock = createFakeClock()
    try {
      await holder.query('select pg_advisory_lock(8388068008257057387)')
      const waiting = project({ clock, lockTimeoutMs: 5_000 })
        .up()
        .catch((error: unknown) => error)
      await until(async () => {
        await clock.advance(100)
        return clock.now() > createFakeClock().now() + 6_000
      })
      expect(await waiting).toMatchObject({ code: 'TM_SCHEMA_LOCKED' })
    } finally {
      await holder.end()
    }
    expect((await project().up()).applied).toHaveLength(1)
  })

  it('a process killed in the middle leaves no half of a file, and the next one goes on', async () => {
    await file('20260101000000_a.sql', 'create table a (id int)')
    await file('20260102000000_b.sql', 'create table b (id int); select pg_sleep(60); create table c (id int)')
    const script = `
      import { createMigrator } from ${JSON.stringify(new URL('../../dist/schema/migrator.js', import.meta.url).href)}
      import { connectTo } from ${JSON.stringify(new URL('../../dist/schema/testing/bootstrapped-template.js', import.meta.url).href)}
      import { projectSource } from ${JSON.stringify(new URL('../../dist/schema/migration-files.js', import.meta.url).href)}
      await createMigrator({ connect: connectTo(process.env.URL), sources: [projectSource(process.env.DIRECTORY)] }).up()`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, URL: testUrl(database.url, 'migrator'), DIRECTORY: directory },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const exited = once(child, 'exit')
    const sleeping = "select pid from pg_stat_activity where query = 'select pg_sleep(60)' and datname = current_database()"
    await until(async () => (await client.query(sleeping)).rowCount === 1, { timeoutMs: 30_000 })
    child.kill('SIGKILL')
    await exited
    expect(await versions()).toEqual(['20260101000000'])
    // A server busy with a statement notices a dead client late; nobody else can go on before its session ends.
    const admin = await connectTo(database.url)()
    await admin.query(sleeping.replace('select pid', 'select pg_terminate_backend(pid)'))
    await admin.end()
    await file('20260102000000_b.sql', 'create table b (id int); create table c (id int)')
    await project().up()
    expect(await versions()).toEqual(['20260101000000', '20260102000000'])
    expect((await relations()).sort()).toEqual(['a', 'b', 'c'])
  })
})

describe('create', () => {
  it('writes an empty file with a version of its own, after all others', async () => {
    const clock = createFakeClock(Date.UTC(2026, 0, 2, 3, 4, 5))
    const migrator = project({ clock })
    const first = await migrator.create('Add Tours & Visits')
    const second = await migrator.create('more')
    expect([first, second].map((path) => basename(path))).toEqual([
      '20260102030405_add_tours_visits.sql',
      '20260102030406_more.sql',
    ])
    expect(await readFile(first, 'utf8')).toBe('')
    expect((await migrator.up()).applied).toHaveLength(2)
  })

  it('refuses a name without letters, and a project without a folder', async () => {
    await expect(project().create('!!')).rejects.toMatchObject({ code: 'TM_SCHEMA_BAD_NAME' })
    const migrator = createMigrator({ connect, sources: [platformSource, appSource('a', directory)] })
    await expect(migrator.create('x')).rejects.toMatchObject({ code: 'TM_SCHEMA_NO_SOURCE' })
  })
})

describe('R86: diff', () => {
  const schema = `
    create type mood as enum ('calm', 'busy');
    create table a (id bigint generated by default as identity primary key, name text not null default 'x', mood mood,
      size int check (size > 0), double int generated always as (size * 2) stored);
    create table b (id int primary key, a_id bigint references a (id) on delete cascade);
    create index b_a on b (a_id) where a_id > 0;
    alter table a enable row level security;
    grant select on a to authenticated;
    create policy own on a to authenticated using (name = (select auth.jwt() ->> 'sub'));
    create view names with (security_invoker = true) as select name from a;
    create function f(x int) returns int language sql as 'select x';
    create function t() returns trigger language plpgsql as $$ begin return new; end $$;
    create trigger keep before update on a for each row execute function t();
    create sequence numbers;`

  const withFresh = async (work: (one: { database: TestDatabase; client: SchemaClient }) => Promise<void>) => {
    const fresh = await createBootstrappedDatabase()
    const session = await connectTo(testUrl(fresh.url, 'migrator'))()
    try {
      await work({ database: fresh, client: session })
    } finally {
      await session.end()
      await fresh.drop()
    }
  }
  const migratorOf = (one: TestDatabase, clock: Clock = systemClock) =>
    createMigrator({
      clock,
      connect: connectTo(testUrl(one.url, 'migrator')),
      sources: [platformSource, projectSource(directory)],
    })

  it('finds nothing right after the migrations, and leaves no database behind', () =>
    withFresh(async ({ database: fresh, client: session }) => {
      await file('20260101000000_all.sql', schema)
      await migratorOf(fresh).up()
      // Others compare at the same time; the moment in its name tells ours from theirs.
      const clock = createFakeClock(Date.now() + 7)
      expect(await migratorOf(fresh, clock).diff()).toEqual([])
      const scratch = `tidemark_scratch_${clock.now().toString(36)}_`
      expect((await session.query('select from pg_database where starts_with(datname, $1)', [scratch])).rowCount).toBe(0)
    }))

  it('reports what was changed by hand, and nothing else', () =>
    withFresh(async ({ database: fresh, client: session }) => {
      await file('20260101000000_all.sql', schema)
      const migrator = migratorOf(fresh)
      await migrator.up()
      const changes: readonly [string, object][] = [
        ['alter table a add column extra text', { kind: 'column', parent: 'a', name: 'extra', state: 'extra' }],
        ['alter table b drop column a_id cascade', { kind: 'column', parent: 'b', name: 'a_id', state: 'missing' }],
        [
          'alter table b alter column id type bigint',
          { parent: 'b', name: 'id', attributes: [{ attribute: 'type', database: 'bigint', files: 'integer' }] },
        ],
        [
          'alter table a alter column name drop not null',
          { attributes: [{ attribute: 'nullable', database: 'yes', files: 'no' }] },
        ],
        [
          "alter table a alter column name set default 'y'",
          { attributes: [{ attribute: 'default', database: "'y'::text", files: "'x'::text" }] },
        ],
        ['alter table a add constraint short check (length(name) < 9)', { kind: 'constraint', name: 'short', state: 'extra' }],
        ['drop index b_a', { kind: 'index', name: 'b_a', state: 'missing' }],
        ['drop policy own on a', { kind: 'policy', name: 'own', state: 'missing' }],
        [
          'alter policy own on a using (true)',
          { attributes: [expect.objectContaining({ attribute: 'using', database: 'true' })] },
        ],
        [
          'alter table a disable row level security',
          { attributes: [{ attribute: 'row security', database: 'off', files: 'on' }] },
        ],
        [
          'grant all on b to anon',
          { kind: 'table', name: 'b', attributes: [expect.objectContaining({ attribute: 'grants', files: 'none' })] },
        ],
        [
          "create or replace function f(x int) returns int language sql as 'select 2'",
          { kind: 'function', name: 'f(x integer)', state: 'changed' },
        ],
        ['grant execute on function f to anon', { kind: 'function', name: 'f(x integer)', state: 'changed' }],
        ['alter table a disable trigger keep', { kind: 'trigger', name: 'keep', state: 'changed' }],
        [
          'create or replace view names with (security_invoker = false) as select name from a',
          { kind: 'view', name: 'names', state: 'changed' },
        ],
        ["alter type mood add value 'tired'", { kind: 'enum', name: 'mood', state: 'changed' }],
        ['drop sequence numbers', { kind: 'sequence', name: 'numbers', state: 'missing' }],
        ['create table hand (id int primary key, x int)', { kind: 'table', name: 'hand', state: 'extra' }],
        ['alter table tidemark.move_runs add column by_hand int', { kind: 'column', schema: 'tidemark', name: 'by_hand' }],
      ]
      // All at once but for three, which speak of what others speak of too. `a_id` takes its index and its key along.
      const apart = ['alter policy', 'drop index', 'set default']
      const isApart = ([sql]: readonly [string, object]): boolean => apart.some((words) => sql.includes(words))
      for (const group of [changes.filter((change) => !isApart(change)), changes.filter(isApart)]) {
        for (const [sql] of group) await session.query(`begin; ${sql}; commit`)
        const differences = await migrator.diff()
        for (const [sql, expected] of group) expect(differences, sql).toContainEqual(expect.objectContaining(expected))
        const alongWith = group.some(([sql]) => sql.includes('drop column')) ? 2 : 0
        expect(differences.length).toBeLessThanOrEqual(group.length + alongWith)
        await restore(session)
      }
    }))

  /** Back to what the files make: everything in public goes, and the file is applied once more by hand. */
  const restore = async (session: SchemaClient) => {
    const { rows } = await session.query<{ sql: string }>(`
      select format('drop table %s cascade', c.oid::regclass) as sql from pg_class c where relnamespace = 'public'::regnamespace and relname in ('a', 'b', 'hand')
      union all select format('drop sequence if exists %s', c.oid::regclass) from pg_class c where relnamespace = 'public'::regnamespace and relname = 'numbers'
      union all select format('drop function %s cascade', p.oid::regprocedure) from pg_proc p where pronamespace = 'public'::regnamespace and proname not in ('publish_alert', 'resolve_alert')
      union all select format('drop type %s cascade', t.oid::regtype) from pg_type t where typnamespace = 'public'::regnamespace and typtype = 'e'
      union all select 'alter table tidemark.move_runs drop column if exists by_hand'`)
    for (const { sql } of rows) await session.query(sql)
    await session.query(schema)
  }

  it('leaves out tables and schemas it was told to', () =>
    withFresh(async ({ database: fresh, client: session }) => {
      await session.query('create table moved (id int primary key); create schema elsewhere; create table elsewhere.x (id int)')
      const migrator = migratorOf(fresh)
      expect(await migrator.diff({ ignoreTables: ['public.moved'] })).toEqual([])
      expect(await migrator.diff({ schemas: ['elsewhere'] })).toMatchObject([{ schema: 'elsewhere', name: 'x', state: 'extra' }])
    }))

  it('TM_SCHEMA_SCRATCH where the role may not make a database', async () => {
    const migrator = createMigrator({ connect: connectTo(testUrl(database.url, 'app')), sources: [] })
    await expect(migrator.diff()).rejects.toMatchObject({ code: 'TM_SCHEMA_SCRATCH' })
  })

  it('drops what a killed comparison left behind, once it is old', async () => {
    const name = `tidemark_scratch_${(Date.now() - 3_600_000).toString(36)}_dead`
    const young = `tidemark_scratch_${Date.now().toString(36)}_alive`
    await client.query(`create database ${name}`)
    await client.query(`create database ${young}`)
    await project().diff()
    const { rows } = await client.query('select datname from pg_database where datname in ($1, $2)', [name, young])
    expect(rows).toEqual([{ datname: young }])
    await client.query(`drop database ${young}`)
  })
})
