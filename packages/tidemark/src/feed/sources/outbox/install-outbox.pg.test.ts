import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { bootstrappedTemplate } from '../../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../../testing/postgres/use-database.js'
import { columnValue } from '../../feed.js'
import { installOutbox, outboxTables, removeOutbox, removeOutboxReader } from './install-outbox.js'
import { outboxState, pruneOutbox } from './prune-outbox.js'
import { changesOf, type OpenOutbox, useOutboxes } from './testing/open-outbox.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const open = useOutboxes(database.url, client)
const start = (...tables: string[]): Promise<OpenOutbox> => open(tables)
const lines = async (outbox: OpenOutbox, transactions: number) => (await outbox.take(transactions)).flatMap(changesOf)

describe('the triggers of the outbox', () => {
  it('catch every kind of statement', async () => {
    await client.query('create table kinds (id int primary key, v text)')
    const outbox = await start('kinds')
    await client.query(`insert into kinds values (1, 'a'), (2, null), (3, '')`)
    await client.query(`insert into kinds values (1, 'b') on conflict (id) do update set v = excluded.v`)
    await client.query(`insert into kinds values (1, 'c') on conflict do nothing`)
    await client.query(`update kinds set id = 9 where id = 2`)
    await client.query(`merge into kinds using (values (3), (4)) as s (id) on s.id = kinds.id
      when matched then delete when not matched then insert values (s.id, 'm')`)
    await client.query('truncate kinds')
    expect(await lines(outbox, 5)).toEqual([
      'insert kinds 1,a',
      'insert kinds 2,null',
      'insert kinds 3,',
      'update kinds 1,b',
      'update kinds 9,null',
      'delete kinds 3,undefined',
      'insert kinds 4,m',
      'truncate kinds',
    ])
  })

  it("give each value in Postgres' own text, whatever the writer's session prefers", async () => {
    await client.query(`create table faithful (id int primary key, n numeric, f float8, j json, b bytea, t timestamptz, i interval,
      a text[], big int8, m money, c char(4), g int generated always as (id * 2) stored)`)
    const outbox = await start('faithful')
    await client.query(`set timezone = 'Asia/Tokyo'; set datestyle = 'German'; set intervalstyle = 'iso_8601'; set bytea_output = 'escape';
      set extra_float_digits = -5`)
    await client.query(`insert into faithful values (1, 1.50, 0.1::float8 + 0.2, '{"a":  1, "a": 2}', '\\x00ff', '2024-01-02 03:04:05.678901+00',
      '1 year 2 days 3 seconds', '{"a,b","c\\"d",NULL,""}', 9007199254740993, 3, 'ab'),
      (2, 'NaN', 'Infinity', 'null', '', '-infinity', '-1 mon', '{}', -1, 0, '')`)
    await client.query('reset all')
    const [piece] = await outbox.take(1)
    expect(piece!.changes.map((change) => change.new)).toEqual([
      [
        '1',
        '1.50',
        '0.30000000000000004',
        '{"a":  1, "a": 2}',
        '\\x00ff',
        '2024-01-02 03:04:05.678901+00',
        '1 year 2 days 00:00:03',
        '{"a,b","c\\"d",NULL,""}',
        '9007199254740993',
        '$3.00',
        'ab  ',
      ],
      ['2', 'NaN', 'Infinity', 'null', '\\x', '-infinity', '-1 mons', '{}', '-1', '$0.00', '    '],
    ])
    expect(piece!.changes[0]!.relation.columns.map(({ name }) => name)).not.toContain('g')
  })

  it('tell old rows as the replica identity has them', async () => {
    await client.query(`create table by_key (id int primary key, v int); create table by_full (id int primary key, v int);
      alter table by_full replica identity full; create table keyless (id int, v int);
      create table by_index (id int primary key, code text not null unique, v int); alter table by_index replica identity using index by_index_code_key`)
    const outbox = await start('by_key', 'by_full', 'keyless', 'by_index')
    for (const table of ['by_key', 'by_full', 'keyless']) {
      await client.query(
        `begin; insert into ${table} values (1, 1); update ${table} set v = 2; update ${table} set id = 5; delete from ${table}; commit`,
      )
    }
    await client.query(
      `begin; insert into by_index values (1, 'a', 1); update by_index set id = 2; update by_index set code = 'b'; commit`,
    )
    const olds = (await outbox.take(4)).map(({ changes }) => changes.slice(1).map((change) => change.old))
    expect(olds).toEqual([
      [null, ['1', undefined], ['5', undefined]],
      [
        ['1', '1'],
        ['1', '2'],
        ['5', '2'],
      ],
      [
        ['1', '1'],
        ['1', '2'],
        ['5', '2'],
      ],
      [null, [undefined, 'a', undefined]],
    ])
  })

  it('follow DDL: writes go on, and each change has the columns that the table had then', async () => {
    await client.query('create table altered (id int primary key, gone text, v int)')
    const outbox = await start('altered')
    await client.query(`insert into altered values (1, 'g', 1)`)
    await client.query('alter table altered add column more text default $$d$$')
    await client.query(`insert into altered values (2, 'g', 2, 'm')`)
    await client.query('begin; alter table altered drop column gone; alter table altered rename v to w')
    await client.query(`insert into altered values (3, 3, 'n')`)
    await client.query(`alter table altered alter w type text using w || '!'`)
    await client.query(`update altered set more = 'o' where id = 3; commit`)
    const changes = (await outbox.take(3)).flatMap((piece) => piece.changes)
    const shapes = changes.map(({ relation, new: row }) =>
      [relation.table, ...relation.columns.map(({ name }) => `${name}=${columnValue(relation, row, name)}`)].join(' '),
    )
    expect(shapes).toEqual([
      'altered id=1 gone=g v=1',
      'altered id=2 gone=g v=2 more=m',
      'altered id=3 w=3 more=n',
      'altered id=3 w=3! more=o',
    ])
  })

  it('catch the writes of every role, none of which can write the outbox itself', async () => {
    await client.query(`create table everyone (id int primary key); grant insert, update on everyone to anon, authenticated;
      alter table everyone enable row level security; create policy p on everyone using (true) with check (true)`)
    const outbox = await start('everyone')
    for (const [index, role] of ['anon', 'authenticated'].entries()) {
      await client.query(`set role ${role}`)
      await client.query('insert into everyone values ($1)', [index])
      for (const statement of [
        'select * from tidemark.feed_outbox',
        `insert into tidemark.feed_outbox (statement, relation, shape, kind) values (1, 1, 1, 't')`,
        'select tidemark.feed_outbox_shape(1, 1)',
        `select nextval('tidemark.feed_outbox_id_seq')`,
      ]) {
        await expect(client.query(statement)).rejects.toMatchObject({ code: '42501' })
      }
      await client.query('reset role')
    }
    expect(await lines(outbox, 2)).toEqual(['insert everyone 0', 'insert everyone 1'])
  })

  it('believe of a forged setting only that something changed', async () => {
    await client.query('create table forged (id int primary key)')
    const outbox = await start('forged')
    await client.query(`create function pg_temp.forge() returns int language sql volatile as $$
      select set_config('tidemark.outbox_shape_' || 'forged'::regclass::oid, current_setting('tidemark.outbox_1') || ':4711', true); select 1 $$`)
    await client.query('insert into forged select pg_temp.forge()')
    await client.query('insert into forged values (2)')
    const [first, second] = await outbox.take(2)
    expect(first!.changes[0]!.kind).toBe('changed')
    expect(changesOf(second!)).toEqual(['insert forged 2'])
  })

  it('fire for sessions that replicate', async () => {
    await client.query('create table replicated (id int primary key)')
    const outbox = await start('replicated')
    await client.query(
      `set session_replication_role = replica; insert into replicated values (1); set session_replication_role = origin`,
    )
    expect(await lines(outbox, 1)).toEqual(['insert replicated 1'])
  })

  it('tell changes of partitions as changes of their root', async () => {
    await client.query(`create table parted (id int, region text, primary key (id, region)) partition by list (region);
      create table parted_a partition of parted for values in ('a');
      create table parted_b (region text not null, id int not null); alter table parted attach partition parted_b for values in ('b')`)
    const outbox = await start('parted')
    await client.query(`insert into parted values (1, 'a'), (2, 'b')`)
    await client.query(`insert into parted_b values ('b', 3)`)
    await client.query(`update parted set region = 'b' where id = 1`)
    await client.query(`create table parted_c partition of parted for values in ('c'); insert into parted values (4, 'c')`)
    await client.query('truncate parted_a')
    const pieces = await outbox.take(5)
    const told = pieces.flatMap(({ changes }) =>
      changes.map(({ kind, relation, old, new: row }) => `${kind} ${relation.table} ${columnValue(relation, row ?? old, 'id')}`),
    )
    expect(told).toEqual([
      'insert parted 1',
      'insert parted 2',
      'insert parted 3',
      'delete parted 1',
      'insert parted 1',
      'insert parted 4',
      'changed parted undefined',
    ])
    await expect(installOutbox(client, [{ schema: 'public', table: 'parted_a' }])).rejects.toMatchObject({
      code: 'TM_FEED_TABLE',
    })
  })

  it('are installed twice as once, and go without a trace', async () => {
    await client.query('create table come_and_go (id int primary key)')
    const table = { schema: 'public', table: 'come_and_go' }
    const count = async () =>
      Number((await client.query(`select count(*) from pg_trigger where tgrelid = 'come_and_go'::regclass`)).rows[0].count)
    expect(await installOutbox(client, [table])).toEqual([{ ...table, always: true }])
    await installOutbox(client, [table], { notify: false })
    expect(await count()).toBe(3)
    expect(await outboxTables(client)).toContainEqual(expect.objectContaining(table))
    await removeOutbox(client, [table, { schema: 'public', table: 'never_was' }])
    expect(await count()).toBe(0)
    await client.query('insert into come_and_go values (1)')
    await installOutbox(client, [table])
    await client.query('insert into come_and_go values (2)')
    await removeOutboxReader(client, 'reader_come_and_go')
    await removeOutbox(client, 'all')
    expect(await outboxTables(client)).toEqual([])
    expect((await client.query('select from tidemark.feed_outbox')).rowCount).toBe(0)
  })

  it('are refused by name where they cannot be', async () => {
    await client.query('create view a_view as select 1 as id; create temp table temporary (id int)')
    for (const [schema, table] of [
      ['public', 'a_view'],
      ['public', 'nowhere'],
      ['pg_temp', 'temporary'],
    ] as const) {
      await expect(installOutbox(client, [{ schema, table }])).rejects.toMatchObject({ code: 'TM_FEED_TABLE' })
    }
  })

  it('do not wait for ever for a writer of the table', async () => {
    await client.query('create table written (id int primary key)')
    const writer = new pg.Client({ connectionString: database.url })
    await writer.connect()
    await writer.query('begin; insert into written values (1)')
    const installing = installOutbox(client, [{ schema: 'public', table: 'written' }], { lockTimeoutMs: 50 })
    await expect(installing).rejects.toMatchObject({ code: '55P03' })
    await writer.query('commit')
    await writer.end()
    expect((await client.query('select 1 as fine')).rows).toEqual([{ fine: 1 }])
  })
})

describe('an outbox that nobody reads', () => {
  it('is pruned only of what no reader on record waits for, and wholly where there is none', async () => {
    await client.query('create table unread (id int primary key)')
    const outbox = await start('unread')
    await client.query('insert into unread select generate_series(1, 7); insert into unread values (8)')
    const reader = 'reader_unread'
    const rowsFor = async () => (await outboxState(client)).readers.find(({ name }) => name === reader)?.rows
    expect(await rowsFor()).toBe(8)
    await outbox.close()
    await client.query("delete from tidemark.feed_outbox_readers where name <> 'reader_unread'")
    await pruneOutbox(client)
    expect(await rowsFor()).toBe(8)
    await removeOutboxReader(client, reader)
    expect(await pruneOutbox(client)).toBeGreaterThanOrEqual(8)
    expect(await outboxState(client)).toMatchObject({ rows: 0, readers: [] })
    await client.query('insert into unread values (9)')
    expect(await pruneOutbox(client)).toBe(1)
  })
})
