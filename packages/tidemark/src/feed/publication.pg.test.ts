import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectPostgres } from '../postgres/driver/connect.js'
import { useDatabase } from '../testing/postgres/use-database.js'
import { until } from '../time/until.js'
import { addToPublication, dropPublication, ensurePublication, publicationMembers } from './publication.js'
import { readIdentities, setReplicaIdentity } from './replica-identity.js'
import type { TableId } from './table-id.js'

const database = useDatabase()
let sql: pg.Client
beforeAll(async () => {
  sql = await connectPostgres({ url: database.url })
})
afterAll(() => sql.end())

const tables = (...names: string[]): TableId[] => names.map((table) => ({ schema: 'public', table }))
const published = async (name: string): Promise<string[]> =>
  (await sql.query('select tablename from pg_publication_tables where pubname = $1 order by 1', [name])).rows.map(
    ({ tablename }) => tablename,
  )

describe('a publication', () => {
  it('S9 holds exactly the tables wanted, and is not touched where it does', async () => {
    await sql.query(
      'create table one (id int primary key); create table two (id int primary key); create table three (id int primary key)',
    )
    const [one, two, three] = tables('one', 'two', 'three') as [TableId, TableId, TableId]
    expect(await ensurePublication(sql, { name: 'exact', tables: [one, two, one] })).toEqual({
      created: true,
      added: [one, two],
      removed: [],
      identified: [],
      settled: true,
    })
    expect(await ensurePublication(sql, { name: 'exact', tables: [two, three] })).toMatchObject({
      created: false,
      added: [three],
      removed: [one],
    })
    expect(await published('exact')).toEqual(['three', 'two'])
    expect(await ensurePublication(sql, { name: 'exact', tables: [three, two] })).toMatchObject({ added: [], removed: [] })
    expect(await dropPublication(sql, 'exact')).toBe(true)
    expect(await dropPublication(sql, 'exact')).toBe(false)
  })

  it('holds the tables of an application alongside its own, those apart that cannot be published', async () => {
    await sql.query(`
      create table app_mine (id int primary key); create table app_theirs (id int primary key); create table app_keyless (id int);
      create table app_early (id int primary key); create publication application for table app_theirs, app_early`)
    const [mine, early] = tables('app_mine', 'app_early') as [TableId, TableId]
    const alongside = 'application'
    expect(await ensurePublication(sql, { name: 'both', tables: [mine], alongside })).toMatchObject({ created: true })
    expect(await published('both')).toEqual(['app_early', 'app_mine', 'app_theirs'])
    // What others have added since, as the application wished, stays; what it took out goes.
    await sql.query('alter publication application drop table app_early; alter publication application add table app_keyless')
    const changes = await ensurePublication(sql, { name: 'both', tables: [mine], alongside })
    expect(changes).toMatchObject({ added: tables('app_keyless'), removed: [early] })
    expect(await published('both')).toEqual(['app_keyless', 'app_mine', 'app_theirs'])
    await sql.query(
      'create schema sole; create table sole.one (id int primary key); create unlogged table flighty (id int primary key)',
    )
    const refused: string[] = []
    const more = [...tables('app_early', 'flighty', 'nothing', 'app_mine'), { schema: 'sole', table: 'one' }]
    const added = await addToPublication(sql, { name: 'both', tables: more }, ({ table }) => refused.push(table))
    expect(added).toEqual([early, { schema: 'sole', table: 'one' }])
    expect(refused).toEqual(['flighty', 'nothing'])
    await expect(addToPublication(sql, { name: 'none', tables: [mine] }, () => {})).rejects.toMatchObject({
      code: 'TM_FEED_PUBLICATION',
    })
    await dropPublication(sql, 'both')
    await sql.query('drop publication application')
  })

  it('knows the members of publications of all kinds, the platform apart', async () => {
    await sql.query(`
      create schema if not exists auth; create table if not exists auth.secrets (id int primary key); create schema apart;
      create table apart.one (id int primary key); create table apart.parts (id int primary key) partition by range (id);
      create table apart.part partition of apart.parts for values from (1) to (9);
      create publication of_schema for tables in schema apart; create publication of_parts for table apart.parts;
      create publication of_all for all tables`)
    expect(await publicationMembers(sql, 'of_schema')).toEqual([
      { schema: 'apart', table: 'one' },
      { schema: 'apart', table: 'parts' },
    ])
    expect(await publicationMembers(sql, 'of_parts')).toEqual([{ schema: 'apart', table: 'parts' }])
    const all = (await publicationMembers(sql, 'of_all')).map(({ schema, table }) => `${schema}.${table}`)
    expect(all).toEqual(expect.arrayContaining(['apart.one', 'apart.parts', 'public.one']))
    expect(all).not.toContain('auth.secrets')
    expect(all).not.toContain('apart.part')
    expect(await publicationMembers(sql, 'nothing')).toEqual([])
    await sql.query('drop publication of_schema, of_parts, of_all')
  })

  it('S9 is never one for all tables, and publishes every kind of change', async () => {
    await sql.query('create publication everything for all tables')
    await expect(ensurePublication(sql, { name: 'everything', tables: [] })).rejects.toMatchObject({
      code: 'TM_FEED_PUBLICATION',
    })
    await sql.query(`drop publication everything; create publication partial with (publish = 'insert')`)
    await ensurePublication(sql, { name: 'partial', tables: [] })
    const { rows } = await sql.query(
      `select pubinsert and pubupdate and pubdelete and pubtruncate and pubviaroot as whole from pg_publication where pubname = 'partial'`,
    )
    expect(rows).toEqual([{ whole: true }])
  })

  it('S9 FEED-5 gives a table without a key a full identity first, so that its writers go on', async () => {
    await sql.query(`
      create table keyless (a int, b text);
      insert into keyless values (1, 'x');
      create table deferred (id int primary key deferrable);
      create table nothing (id int primary key); alter table nothing replica identity nothing;
      create table whole (a int); alter table whole replica identity full;
      create table indexed (a int not null, b int); create unique index indexed_a on indexed (a);
      alter table indexed replica identity using index indexed_a`)
    const wanted = tables('keyless', 'deferred', 'nothing', 'whole', 'indexed')
    for (const table of wanted.slice(0, 3)) {
      await expect(ensurePublication(sql, { name: 'strict', tables: [table], missingIdentity: 'refuse' })).rejects.toMatchObject({
        code: 'TM_FEED_IDENTITY',
        parameters: { table: `"public"."${table.table}"` },
      })
    }
    expect(await published('strict')).toEqual([])
    const { identified } = await ensurePublication(sql, { name: 'kind', tables: wanted })
    expect(identified).toEqual(tables('keyless', 'deferred', 'nothing'))
    for (const table of ['keyless', 'deferred', 'nothing', 'whole', 'indexed']) await sql.query(`delete from ${table}`)
    await sql.query(`insert into keyless values (1, 'x'); update keyless set b = 'y'`)
    // One that loses its key while it is published is found the next time.
    await sql.query('drop index indexed_a')
    await expect(sql.query('insert into indexed values (1, 1); update indexed set b = 2')).rejects.toMatchObject({
      code: '55000',
    })
    expect((await ensurePublication(sql, { name: 'kind', tables: wanted })).identified).toEqual(tables('indexed'))
    await sql.query('insert into indexed values (1, 1); update indexed set b = 2')
  })

  it('S9 refuses what cannot be followed, and changes nothing then', async () => {
    await sql.query(
      `create table fine (a int); create view seen as select 1; create unlogged table unlogged (id int primary key)`,
    )
    for (const table of ['absent', 'seen', 'unlogged']) {
      await expect(ensurePublication(sql, { name: 'refused', tables: tables('fine', table) })).rejects.toMatchObject({
        code: 'TM_FEED_TABLE',
        parameters: { table: `"public"."${table}"` },
      })
    }
    expect((await sql.query(`select from pg_publication where pubname = 'refused'`)).rowCount).toBe(0)
    expect(await readIdentities(sql, { schema: 'public', table: 'fine' })).toMatchObject([{ identity: 'default', usable: false }])
  })

  it('S9 looks at the partitions of a partitioned table', async () => {
    await sql.query(`create table parted (a int, b text) partition by range (a);
                     create table parted_1 partition of parted for values from (0) to (10);
                     create table parted_2 partition of parted for values from (10) to (20) partition by range (a);
                     create table parted_2a partition of parted_2 for values from (10) to (15)`)
    const { identified } = await ensurePublication(sql, { name: 'parts', tables: tables('parted') })
    expect(identified).toEqual(tables('parted_1', 'parted_2a'))
    await sql.query(`insert into parted values (1, 'x'), (11, 'y'); update parted set b = 'z'`)
    await sql.query('create table empty_parted (a int) partition by range (a)')
    await ensurePublication(sql, { name: 'parts', tables: tables('parted', 'empty_parted') })
  })

  it('is made once by several who come together', async () => {
    await sql.query('create table shared (id int primary key)')
    const others = await Promise.all([1, 2, 3].map(() => connectPostgres({ url: database.url })))
    const results = await Promise.all(
      others.map((client) => ensurePublication(client, { name: 'shared "odd"', tables: tables('shared') })),
    )
    expect(results.filter(({ created }) => created)).toHaveLength(1)
    expect(await published('shared "odd"')).toEqual(['shared'])
    await Promise.all(others.map((client) => client.end()))
  })

  it('waits for whoever wrote to a table before it was added', async () => {
    await sql.query('create table early (id int primary key); create table late (id int primary key)')
    const [other, admin] = [await connectPostgres({ url: database.url }), await connectPostgres({ url: database.url })]
    await ensurePublication(admin, { name: 'settling', tables: tables('early') })
    await other.query('begin; insert into late values (1)')
    const slow = await ensurePublication(admin, { name: 'settling', tables: tables('early', 'late'), settleTimeoutMs: 50 })
    expect(slow).toMatchObject({ added: tables('late'), settled: false })
    await ensurePublication(admin, { name: 'settling', tables: tables('early') })
    let done = false
    const waiting = ensurePublication(admin, { name: 'settling', tables: tables('early', 'late') }).finally(() => {
      done = true
    })
    await until(async () => (await published('settling')).length === 2)
    expect(done).toBe(false)
    await other.query('commit')
    expect(await waiting).toMatchObject({ settled: true })
    await Promise.all([other.end(), admin.end()])
  })
})

describe('a replica identity', () => {
  it('FEED-5 is read and set', async () => {
    await sql.query('create table identified (a int, b int, c text, primary key (b, a))')
    const table = { schema: 'public', table: 'identified' }
    const expected = { ...table, partitioned: false, usable: true }
    expect(await readIdentities(sql, table)).toEqual([{ ...expected, identity: 'default', columns: ['a', 'b'] }])
    await setReplicaIdentity(sql, table, 'full')
    expect(await readIdentities(sql, table)).toEqual([{ ...expected, identity: 'full', columns: undefined }])
    await setReplicaIdentity(sql, table, 'default')
    expect(await readIdentities(sql, { schema: 'public', table: 'none' })).toEqual([])
  })
})
