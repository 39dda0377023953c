import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase } from '../testing/postgres/database.js'
import { useClient, useDatabase } from '../testing/postgres/use-database.js'
import { bootstrap } from './bootstrap.js'
import type { LoginRole } from './schema.js'
import { bootstrappedTemplate, connectTo, testPasswords, testUrl } from './testing/bootstrapped-template.js'

const database = useDatabase({ template: bootstrappedTemplate })
const admin = useClient(database)

const as = async <T>(role: LoginRole, work: (client: pg.Client) => Promise<T>): Promise<T> => {
  const client = new pg.Client({ connectionString: testUrl(database.url, role) })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const insertUser = "insert into auth.users (id, email, raw_user_meta_data) values ($1, $2, '{}')"

describe('the tables of auth', () => {
  it('have the columns that projects of Supabase know', async () => {
    const { rows } = await admin.query<{ table_name: string; names: string[] }>(
      `select table_name::text, array_agg(column_name::text order by ordinal_position) as names
         from information_schema.columns where table_schema = 'auth' group by 1`,
    )
    const tables = Object.fromEntries(rows.map(({ table_name, names }) => [table_name, names]))
    expect(Object.keys(tables).sort()).toEqual([
      'audit_log_entries',
      'flow_state',
      'identities',
      'mfa_amr_claims',
      'one_time_tokens',
      'refresh_tokens',
      'sessions',
      'users',
    ])
    expect(tables['users']).toEqual(
      `instance_id id aud role email encrypted_password email_confirmed_at invited_at confirmation_token confirmation_sent_at recovery_token
       recovery_sent_at email_change_token_new email_change email_change_sent_at last_sign_in_at raw_app_meta_data raw_user_meta_data
       is_super_admin created_at updated_at phone phone_confirmed_at phone_change phone_change_token phone_change_sent_at confirmed_at
       email_change_token_current email_change_confirm_status banned_until reauthentication_token reauthentication_sent_at is_sso_user
       deleted_at is_anonymous`.split(/\s+/),
    )
    expect(tables['identities']).toEqual(
      'provider_id user_id identity_data provider last_sign_in_at created_at updated_at email id'.split(' '),
    )
  })

  it('belong to a role that is nothing but their owner', async () => {
    const { rows } = await admin.query(
      `select rolname::text, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication, rolinherit from pg_roles where rolname = 'supabase_auth_admin'`,
    )
    expect(rows).toEqual([
      {
        rolname: 'supabase_auth_admin',
        rolsuper: false,
        rolbypassrls: false,
        rolcreatedb: false,
        rolcreaterole: false,
        rolreplication: false,
        rolinherit: false,
      },
    ])
    const owners = await admin.query<{ owner: string }>(
      "select distinct pg_get_userbyid(relowner)::text as owner from pg_class where relnamespace = 'auth'::regnamespace and relkind in ('r', 'S')",
    )
    expect(owners.rows).toEqual([{ owner: 'supabase_auth_admin' }])
  })

  it.each([
    ['auth', 'create table mine (id int)'],
    ['auth', 'create table auth.mine (id int)'],
    ['auth', 'create function auth.mine() returns int language sql as $$ select 1 $$'],
    ['auth', 'select * from tidemark.move_runs'],
    ['auth', 'set role tidemark_migrator'],
    ['auth', 'set role service_role'],
    ['app', 'select * from auth.users'],
    ['app', 'select * from auth.refresh_tokens'],
    ['feed', 'select * from auth.users'],
    ['authenticator', 'select * from auth.users'],
    ['migrator', 'drop table auth.users'],
    ['migrator', 'alter table auth.users disable row level security'],
    ['migrator', 'alter table auth.users add column mine int'],
    ['migrator', 'set role supabase_auth_admin'],
  ] as const)('the role %s may not: %s', async (role, sql) => {
    await expect(as(role, (client) => client.query(sql))).rejects.toThrow(/permission denied|must be/)
  })

  it.each(['anon', 'authenticated', 'service_role'])('%s may read none of them', async (role) => {
    for (const table of [
      'users',
      'identities',
      'sessions',
      'refresh_tokens',
      'one_time_tokens',
      'flow_state',
      'mfa_amr_claims',
      'audit_log_entries',
    ]) {
      const read = as('authenticator', async (client) => {
        await client.query('begin')
        await client.query(`set local role ${role}`)
        await client.query(`select * from auth.${table}`)
      })
      await expect(read).rejects.toThrow('permission denied')
    }
  })

  it('are what migrations reference, put triggers on, and fill, as on Supabase', async () => {
    const id = randomUUID()
    await as('migrator', async (client) => {
      await client.query(`
        create table profiles (id uuid primary key references auth.users (id) on delete cascade, email text);
        create function greet() returns trigger language plpgsql security definer set search_path = '' as
          $$ begin insert into public.profiles values (new.id, new.email); return new; end $$;
        create trigger on_auth_user_created after insert on auth.users for each row execute function greet()`)
      await client.query(insertUser, [id, 'seed@example.com'])
      expect((await client.query('select email from profiles where id = $1', [id])).rows).toEqual([{ email: 'seed@example.com' }])
    })
    await as('auth', async (client) => {
      const other = randomUUID()
      await client.query(insertUser, [other, 'other@example.com'])
      await client.query('delete from auth.users')
    })
    expect((await admin.query('select from profiles')).rowCount).toBe(0)
  })

  it('hold one user for each address', async () => {
    await as('auth', async (client) => {
      await client.query(insertUser, [randomUUID(), 'twice@example.com'])
      await expect(client.query(insertUser, [randomUUID(), 'twice@example.com'])).rejects.toThrow('users_email_partial_key')
    })
  })
})

describe('a Postgres whose auth is another system', () => {
  const prepared = async (sql: string) => {
    const other = await createTestDatabase()
    const client = await connectTo(other.url)()
    try {
      await client.query(sql)
      const report = await bootstrap(client, { url: other.url, passwords: testPasswords })
      const again = await bootstrap(client, { url: other.url, passwords: testPasswords })
      const { rows } = await client.query<{ columns: string[] | null; owner: string | null }>(
        `select (select array_agg(attname::text order by attnum) from pg_attribute where attrelid = to_regclass('auth.users') and attnum > 0) as columns,
                (select pg_get_userbyid(relowner)::text from pg_class where oid = to_regclass('auth.users')) as owner`,
      )
      return { report, again, ...rows[0]! }
    } finally {
      await client.end()
      await other.drop()
    }
  }
  let me: string
  beforeAll(async () => {
    me = (await admin.query<{ me: string }>('select current_user::text as me')).rows[0]!.me
  })

  it('keeps its tables as they are, and is told apart', async () => {
    const { report, again, columns, owner } = await prepared(
      'create schema auth; create table auth.users (id uuid primary key, theirs text)',
    )
    expect({ ownsAuth: report.ownsAuth, columns, owner }).toEqual({ ownsAuth: false, columns: ['id', 'theirs'], owner: me })
    expect(again).toMatchObject({ ownsAuth: false, upToDate: true })
    expect(report.roles.auth).toBe(me)
  })

  it('of our own making is told so, also the second time', async () => {
    const { report, again, owner } = await prepared('select 1')
    expect(report).toMatchObject({ ownsAuth: true, roles: { auth: 'supabase_auth_admin' }, skipped: [] })
    expect(again).toMatchObject({ ownsAuth: true, upToDate: true })
    expect(owner).toBe('supabase_auth_admin')
  })

  it('prepared by an administrator who is no superuser, gets them too', async () => {
    const other = await createTestDatabase()
    const name = `dba_${other.name}`
    await admin.query(
      `create role ${name} login createrole createdb password 'dba'; alter database ${other.name} owner to ${name}`,
    )
    // A managed service has no roles of ours yet; here the other databases of this server do.
    await admin.query(
      `grant tidemark_migrator, supabase_auth_admin, tidemark_app, authenticator, tidemark_feed to ${name} with admin option`,
    )
    const url = new URL(other.url)
    url.username = name
    url.password = 'dba'
    const client = await connectTo(url.href)()
    try {
      const report = await bootstrap(client, { url: url.href, passwords: testPasswords })
      expect(report).toMatchObject({ ownsAuth: true, roles: { auth: 'supabase_auth_admin' } })
      expect(report.skipped.map(({ what }) => what)).not.toContain('the tables of the schema auth')
      const owner = new pg.Client({ connectionString: report.urls.auth })
      await owner.connect()
      await owner.query(insertUser, [randomUUID(), 'a@example.com'])
      await expect(owner.query('create table auth.mine (id int)')).rejects.toThrow('permission denied')
      await owner.end()
    } finally {
      await client.end()
      await other.drop()
      await admin.query(`drop owned by ${name}; drop role ${name}`)
    }
  })
})
