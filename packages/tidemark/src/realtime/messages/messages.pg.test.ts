import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Caller } from '../../auth/caller.js'
import { createNamedPool, type Pool } from '../../postgres/postgres.js'
import type { SchemaClient } from '../../schema/schema.js'
import { bootstrappedTemplate, testPasswords, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { createChannelPolicies } from './channel-policies.js'
import { createMessageKeeper } from './message-keeper.js'
import { createMessageReplay } from './message-replay.js'
import { openMessages } from './open-messages.js'

const database = useDatabase({ template: bootstrappedTemplate })
const admin = useClient(database)
let migrator: pg.Client
let door: Pool

const userId = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const user = (n: number): Caller => ({ role: 'authenticated', claims: { sub: userId(n) } })
const anon: Caller = { role: 'anon', claims: {} }

beforeAll(async () => {
  migrator = new pg.Client({ connectionString: testUrl(database.url, 'migrator') })
  await migrator.connect()
  door = createNamedPool('realtime', { url: testUrl(database.url, 'authenticator') })
})
afterAll(async () => {
  await migrator.end()
  await door.stop()
})

/** Policies as a project's migration writes them. */
const withPolicies = async (sql: string, work: () => Promise<void>): Promise<void> => {
  await migrator.query(sql)
  try {
    await work()
  } finally {
    await migrator.query(`do $$ declare p name; begin for p in select polname from pg_policy where polrelid = 'realtime.messages'::regclass loop
      execute format('drop policy %I on realtime.messages', p); end loop; end $$`)
  }
}

const counted = async (): Promise<number> => Number((await admin.query('select count(*) from realtime.messages')).rows[0].count)

describe('private channels', () => {
  const check = (topic: string, caller: Caller, headers?: Record<string, string>) =>
    createChannelPolicies({ pool: door, timeoutMs: 500 }).check(topic, caller, { headers })

  it('are closed to all without a policy, but not to those who bypass row security', async () => {
    const nothing = { broadcast: { read: false, write: false }, presence: { read: false, write: false } }
    const everything = { broadcast: { read: true, write: true }, presence: { read: true, write: true } }
    expect(await check('room', user(1))).toEqual(nothing)
    expect(await check('room', anon)).toEqual(nothing)
    expect(await check('room', { role: 'service_role', claims: {} })).toEqual(everything)
  })

  it('are read and written by policies that tell topic, extension and user apart', async () => {
    const sql = `
      create policy r on realtime.messages for select to authenticated using (extension = 'broadcast' and realtime.topic() = 'room:' || auth.uid());
      create policy w on realtime.messages for insert to authenticated with check (extension = 'presence' and realtime.messages.topic = 'room:' || auth.uid() and private)`
    await withPolicies(sql, async () => {
      const own = { broadcast: { read: true, write: false }, presence: { read: false, write: true } }
      const nothing = { broadcast: { read: false, write: false }, presence: { read: false, write: false } }
      expect(await check(`room:${userId(1)}`, user(1))).toEqual(own)
      expect(await check(`room:${userId(1)}`, user(2))).toEqual(nothing)
      expect(await check(`room:${userId(1)}`, anon)).toEqual(nothing)
    })
    expect(await counted()).toBe(0)
  })

  it('may be opened by a header', async () => {
    await withPolicies(
      `create policy r on realtime.messages for select to anon using (current_setting('request.headers')::json ->> 'x-room' = realtime.topic())`,
      async () => {
        expect((await check('a', anon, { 'x-room': 'a' })).broadcast.read).toBe(true)
        expect((await check('a', anon, { 'x-room': 'b' })).broadcast.read).toBe(false)
        expect((await check('a', anon)).broadcast.read).toBe(false)
      },
    )
  })

  it('are refused with a reason where a policy raises or dawdles', async () => {
    await withPolicies(
      `create policy r on realtime.messages for select using (1 / length(realtime.topic()) > length(realtime.topic()) - 100 and (topic = 'x' or 1 / 0 = 1))`,
      async () => {
        await expect(check('room', user(1))).rejects.toMatchObject({
          code: 'TM_REALTIME_CHANNEL_POLICY',
          message: expect.stringContaining('22012'),
        })
      },
    )
    await withPolicies('create policy r on realtime.messages for select using (pg_sleep(20) is not null)', async () => {
      await expect(check('room', user(1))).rejects.toMatchObject({
        code: 'TM_REALTIME_CHANNEL_POLICY',
        message: expect.stringContaining('57014'),
      })
    })
  })

  it('any topic is a value, and no SQL', async () => {
    await withPolicies(`create policy r on realtime.messages for select using (realtime.topic() = topic)`, async () => {
      for (const topic of [`'; drop table realtime.messages; --`, '$1', '\\', 'a"b', 'ünï', 'x'.repeat(5_000)]) {
        expect((await check(topic, anon)).broadcast.read).toBe(true)
      }
    })
  })

  it('the rows that they are tried on cannot be written by anybody else', async () => {
    for (const role of ['anon', 'authenticated', 'service_role', 'tidemark_app']) {
      await admin.query(`begin; set local role ${role}`)
      const probe = admin.query(`select tidemark.probe_channel('x', gen_random_uuid(), gen_random_uuid())`)
      const sqlstate = await probe.then(
        () => 'written',
        ({ code }) => code,
      )
      await admin.query('rollback')
      expect([role, sqlstate]).toEqual([role, '42501'])
    }
  })
})

describe('functions of the schema realtime', () => {
  const last = async () => (await admin.query('select * from realtime.messages order by inserted_at desc limit 1')).rows[0]

  it('send writes a private broadcast with an id in its payload', async () => {
    await migrator.query(`select realtime.send('{"a": 1}', 'told', 'room')`)
    const row = await last()
    expect(row).toMatchObject({
      topic: 'room',
      event: 'told',
      private: true,
      extension: 'broadcast',
      payload: { a: 1, id: row.id },
      binary_payload: null,
    })
    await migrator.query(`select realtime.send('{"id": 7}', 'told', 'room', false)`)
    expect(await last()).toMatchObject({ private: false, payload: { id: 7 } })
    await migrator.query(`select realtime.send_binary('\\x0001', 'bytes', 'room')`)
    expect(await last()).toMatchObject({ event: 'bytes', payload: null, binary_payload: Buffer.from([0, 1]) })
  })

  it('send never fails the write that it is part of', async () => {
    await migrator.query('begin')
    await migrator.query(`select realtime.send('{}', 'x', null)`)
    await migrator.query(`select realtime.send('{}', 'after', 'room')`)
    await migrator.query('commit')
    expect(await last()).toMatchObject({ event: 'after' })
  })

  it('a caller sends only what a policy lets it', async () => {
    await withPolicies(
      `create policy w on realtime.messages for insert to authenticated with check (topic = 'mine')`,
      async () => {
        const before = await counted()
        await admin.query('begin; set local role authenticated')
        await admin.query(`select realtime.send('{}', 'x', 'mine'), realtime.send('{}', 'x', 'other')`)
        await admin.query('commit')
        expect((await counted()) - before).toBe(1)
      },
    )
  })

  it('broadcast_changes tells of a row from a trigger', async () => {
    await migrator.query(`create table told (id int primary key, name text);
      create function tell() returns trigger language plpgsql as $$ begin
        perform realtime.broadcast_changes('told:' || coalesce(new.id, old.id), tg_op, tg_op, tg_table_name, tg_table_schema, new, old);
        return null; end $$;
      create trigger tell after insert or update or delete on told for each row execute function tell();
      insert into told values (1, 'a')`)
    const shared = { schema: 'public', table: 'told' }
    expect(await last()).toMatchObject({
      topic: 'told:1',
      event: 'INSERT',
      private: true,
      payload: { ...shared, operation: 'INSERT', record: { id: 1, name: 'a' }, old_record: null },
    })
    await migrator.query(`update told set name = 'b'`)
    expect(await last()).toMatchObject({
      payload: { ...shared, operation: 'UPDATE', record: { id: 1, name: 'b' }, old_record: { id: 1, name: 'a' } },
    })
    await migrator.query(`delete from told`)
    expect(await last()).toMatchObject({
      event: 'DELETE',
      payload: { operation: 'DELETE', record: null, old_record: { id: 1, name: 'b' } },
    })
    await expect(
      migrator.query(`select realtime.broadcast_changes('t', 'e', 'TRUNCATE', 't', 's', null::told, null::told)`),
    ).rejects.toThrow(/TRUNCATE/)
    await expect(
      migrator.query(`select realtime.broadcast_changes('t', 'e', 'INSERT', 't', 's', null::told, null::told, 'STATEMENT')`),
    ).rejects.toThrow(/each row/)
  })
})

describe('replay', () => {
  it('gives the newest private broadcasts that the caller may see, oldest first', async () => {
    const began = new Date(Date.now() - 60_000)
    for (let n = 0; n < 30; n += 1)
      await migrator.query(`select realtime.send(jsonb_build_object('n', $1::int), 'e', 'again')`, [n])
    await migrator.query(`select realtime.send('{"n": 99}', 'e', 'again', false), realtime.send('{"n": 98}', 'e', 'elsewhere')`)
    const { replay } = createMessageReplay({ pool: door })
    expect(await replay('again', user(1), { since: began })).toEqual([])
    await withPolicies(
      `create policy r on realtime.messages for select to authenticated using (extension = 'broadcast' and topic = realtime.topic())`,
      async () => {
        const numbers = async (options: { since: Date; limit?: number }) =>
          (await replay('again', user(1), options)).map(({ payload }) =>
            payload.kind === 'json' ? JSON.parse(payload.text).n : undefined,
          )
        expect(await numbers({ since: began })).toEqual(Array.from({ length: 25 }, (_unused, n) => n + 5))
        expect(await numbers({ since: began, limit: 2 })).toEqual([28, 29])
        expect(await numbers({ since: began, limit: 100 })).toHaveLength(25)
        expect(await numbers({ since: new Date(Date.now() + 60_000) })).toEqual([])
        expect(await replay('again', anon, { since: began })).toEqual([])
        await migrator.query(`select realtime.send_binary('\\x00ff', 'b', 'again')`)
        const [binary] = await replay('again', user(1), { since: began, limit: 1 })
        expect(binary).toMatchObject({ event: 'b', payload: { kind: 'binary', bytes: Buffer.from([0, 255]) } })
      },
    )
  })
})

describe('partitions', () => {
  const partitions = async (): Promise<string[]> =>
    (
      await admin.query(
        `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'realtime.messages'::regclass order by 1`,
      )
    ).rows.map(({ name }) => name)

  const nameOf = (days: number): string =>
    `realtime.messages_${new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '_')}`

  it('are there for today and a week, and go three days after', async () => {
    expect((await partitions()).length).toBeGreaterThanOrEqual(8)
    for (const days of [3, 4, 9]) {
      const [from, to] = [-days, 1 - days].map((at) => new Date(Date.now() + at * 86_400_000).toISOString().slice(0, 10))
      await migrator.query(
        `create table ${nameOf(-days)} partition of realtime.messages for values from ('${from}') to ('${to}')`,
      )
    }
    await migrator.query(`drop table ${nameOf(7)}`)
    const pool = createNamedPool('migration', { url: testUrl(database.url, 'migrator') })
    const keeper = createMessageKeeper({ pool })
    await Promise.all([keeper.run(), keeper.run()])
    await keeper.stop()
    await pool.stop()
    const now = await partitions()
    expect(now).toContain(nameOf(7))
    expect(now).toContain(nameOf(-3))
    expect(now).not.toContain(nameOf(-4))
    expect(now).not.toContain(nameOf(-9))
  })

  it('show nobody what the table does not', async () => {
    const { rows } = await admin.query(
      `select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'realtime.messages'::regclass
      and (not c.relrowsecurity or has_table_privilege('anon', c.oid, 'SELECT') or has_table_privilege('authenticated', c.oid, 'SELECT'))
      and c.relname <> $1`,
      [nameOf(-3).slice('realtime.'.length)],
    )
    expect(rows).toEqual([])
  })
})

describe('a schema realtime of somebody else', () => {
  const foreign = useDatabase()

  it('is left alone, and has no private channels here', async () => {
    const { bootstrap } = await import('../../schema/bootstrap.js')
    const session = new pg.Client({ connectionString: foreign.url })
    await session.connect()
    try {
      await session.query(`create schema realtime; create table realtime.messages (topic text, extension text, payload jsonb)`)
      const shape = async () =>
        (
          await session.query(`select (select jsonb_agg(relname order by relname) from pg_class where relnamespace = 'realtime'::regnamespace) as tables,
          (select jsonb_agg(relacl order by relname) from pg_class where relnamespace = 'realtime'::regnamespace) as grants,
          (select count(*) from pg_proc where pronamespace = 'realtime'::regnamespace) as functions, (select nspacl from pg_namespace where nspname = 'realtime') as acl`)
        ).rows
      const before = await shape()
      await bootstrap(session as unknown as SchemaClient, { url: foreign.url, passwords: testPasswords })
      expect(await shape()).toEqual(before)
      const pool = createNamedPool('realtime', { url: testUrl(foreign.url, 'authenticator') })
      const refused = { code: 'TM_REALTIME_NO_CHANNELS' }
      const ownerPool = createNamedPool('migration', { url: testUrl(foreign.url, 'migrator') })
      const messages = await openMessages({ pool, ownerPool })
      await expect(messages.policies.check('room', anon)).rejects.toMatchObject(refused)
      // Following a table that may not be published would keep the whole feed from starting.
      expect(messages.follower.tables).toEqual([])
      await messages.stop()
      await ownerPool.stop()
      await pool.stop()
    } finally {
      await session.end()
    }
  })
})
