import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Position } from '../../feed/position.js'
import { findRedisServer } from '../../redis/embedded/find-server.js'
import { bootstrappedTemplate, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { startTestRedis } from '../../testing/redis/redis-server.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import type { Binding, ListenOptions } from '../realtime.js'
import {
  anonymous,
  createTold,
  type OpenTold,
  type OpenToldOptions,
  openTold,
  service,
  type Told,
  user,
  userId,
} from './testing/open-told.js'

const database = useDatabase({ template: bootstrappedTemplate })
const superuser = useClient(database)
const cleanups = useCleanups()
const redisProgram = await findRedisServer()
let sql: pg.Client
let slots = 0

const grants = (table: string) => `grant select, insert, update, delete on ${table} to anon, authenticated, service_role;`
const own = (table: string) =>
  `alter table ${table} enable row level security; create policy own on ${table} to authenticated using (user_id = (select auth.uid()));`

beforeAll(async () => {
  sql = new pg.Client({ connectionString: testUrl(database.url, 'migrator') })
  await sql.connect()
  await sql.query(`
    create table open (id bigint primary key, name text, big text, amount numeric); ${grants('open')}
    create table mine (id bigint primary key, user_id uuid, name text); ${grants('mine')} ${own('mine')}
    alter table mine replica identity full;
    create table keyed (id bigint primary key, user_id uuid, name text); ${grants('keyed')} ${own('keyed')}
    create table later (id bigint primary key, name text); ${grants('later')}
    create table partly (id bigint primary key, shown text, hidden text); revoke all on partly from anon; grant select (id, shown) on partly to anon;
    alter publication supabase_realtime add table open, mine, keyed, partly`)
})
afterAll(() => sql.end())

const open = async (options: Partial<OpenToldOptions> = {}): Promise<OpenTold> => {
  slots += 1
  const told = await openTold({ url: database.url, slot: `told_${slots}`, ...options })
  cleanups.push(() => told.close())
  cleanups.push(() => sql.query('truncate open, mine, keyed, later, partly'))
  return told
}

const all = (table: string, more: Partial<Binding> = {}): Binding => ({ event: '*', schema: 'public', table, ...more })

const listen = async ({ changes }: OpenTold, options: Partial<ListenOptions> & { readonly bindings: readonly Binding[] }) => {
  const told = createTold()
  const subscription = await changes.listen({ caller: service, listener: told, ...options })
  cleanups.push(() => subscription.close())
  return { told, subscription }
}

const lines = async (told: Told, count: number): Promise<readonly string[]> => {
  await until(() => told.lines.length >= count, { what: `${count} lines, not ${JSON.stringify(told.lines)}` })
  return told.lines
}

/** How far it was told to have come once that has what it was told: a word from before may come first. */
const passedBy = (told: Told): Promise<Position> => {
  const { position } = told.changes.at(-1)!.change
  return until(() => told.passes.find(({ number }) => number >= position.number), { what: 'A word on how far it is' })
}

/** Something that everybody hears: what was before it has been told, or never will be. */
const settle = async (told: Told): Promise<void> => {
  await sql.query(`insert into open (id) values (999999) on conflict (id) do update set name = 'again'`)
  await until(() => told.lines.some((line) => line.includes('999999')), { what: 'The last change' })
}

describe('changes of tables', () => {
  it('RT-1: are told in order with their values, their columns and their time', async () => {
    const opened = await open()
    const { told } = await listen(opened, { bindings: [all('open')] })
    await sql.query(`insert into open values (1, 'a', null, 1.50); update open set name = 'b' where id = 1; delete from open`)
    await lines(told, 3)
    expect(told.lines).toEqual([
      'INSERT {"id":1,"name":"a","big":null,"amount":1.50} [0]',
      'UPDATE {"id":1,"name":"b","big":null,"amount":1.50} [0]',
      'DELETE {"id":1} [0]',
    ])
    const { change } = told.changes[1] as Told['changes'][number]
    expect(change.columns).toEqual([
      { name: 'id', type: 'int8' },
      { name: 'name', type: 'text' },
      { name: 'big', type: 'text' },
      { name: 'amount', type: 'numeric' },
    ])
    expect(change).toMatchObject({ ordinal: 1, schema: 'public', table: 'open', oldRecord: { id: 1 }, errors: null })
    expect(Math.abs(change.committedAt.getTime() - Date.now())).toBeLessThan(60_000)
  })

  it('RT-1: reach those whose bindings match, each once, with the indexes of all that do', async () => {
    const opened = await open()
    const { told } = await listen(opened, {
      bindings: [all('open', { event: 'INSERT' }), all('open', { filter: 'id=eq.07' }), { event: '*', schema: '*' }, all('mine')],
    })
    await sql.query(`insert into open (id) values (7), (8); delete from open`)
    await lines(told, 4)
    expect(
      told.changes.map(({ change, bindings }) => [change.event, change.recordJson ?? change.oldRecordJson, bindings]),
    ).toEqual([
      ['INSERT', expect.stringContaining('"id":7,'), [0, 1, 2]],
      ['INSERT', expect.stringContaining('"id":8,'), [0, 2]],
      ['DELETE', '{"id":7}', [1, 2]],
      ['DELETE', '{"id":8}', [2]],
    ])
  })

  it('RT-1: are filtered by Postgres where nobody else can compare', async () => {
    const opened = await open()
    const { told } = await listen(opened, {
      bindings: [all('open', { filter: 'name=imatch.^h,id=gt.1' }), all('open', { filter: 'name=ilike.%O' })],
    })
    await sql.query(`insert into open (id, name) values (1, 'hello'), (2, 'Hello'), (3, 'other'), (4, 'HI'), (5, null)`)
    expect(await lines(told, 3)).toEqual([
      expect.stringMatching(/^INSERT \{"id":1,.* \[1\]$/),
      expect.stringMatching(/^INSERT \{"id":2,.* \[0,1\]$/),
      expect.stringMatching(/^INSERT \{"id":4,.* \[0\]$/),
    ])
  })

  it('are told with the columns that were asked for, once for each selection', async () => {
    const opened = await open()
    const { told } = await listen(opened, {
      bindings: [all('open', { select: ['name'] }), all('open'), all('open', { select: ['name', 'id'] })],
    })
    await sql.query(`insert into open (id, name) values (1, 'a')`)
    await lines(told, 3)
    expect(told.lines).toEqual([
      'INSERT {"id":1,"name":"a"} [0]',
      'INSERT {"id":1,"name":"a","big":null,"amount":null} [1]',
      'INSERT {"id":1,"name":"a"} [2]',
    ])
  })

  it('RT-1: never carry columns that the role may not read', async () => {
    const opened = await open()
    const { told } = await listen(opened, { caller: anonymous, bindings: [all('partly')] })
    const end = await listen(opened, { bindings: [all('open')] })
    await sql.query(`insert into partly values (1, 'shown', 'secret'); update partly set hidden = 'other'`)
    await settle(end.told)
    expect(told.lines).toEqual(['INSERT {"id":1,"shown":"shown"} [0]', 'UPDATE {"id":1,"shown":"shown"} [0]'])
    const refused = (binding: Binding) => expect(listen(opened, { caller: anonymous, bindings: [binding] })).rejects
    await refused(all('partly', { filter: 'hidden=eq.secret' })).toMatchObject({
      code: 'TM_REALTIME_BINDING',
      message: expect.stringContaining('invalid column for filter hidden'),
    })
    await refused(all('partly', { select: ['hidden'] })).toMatchObject({
      message: expect.stringContaining('invalid column for select hidden'),
    })
  })

  it('SEC: as much as nobody else has to wait for is asked for at a time', async () => {
    const opened = await open()
    const many = (count: number, filter = (n: number) => `id=eq.${n}`) =>
      Array.from({ length: count }, (_, n) => all('open', { filter: filter(n) }))
    const refused = (bindings: readonly Binding[]) => expect(listen(opened, { caller: anonymous, bindings })).rejects
    const { told } = await listen(opened, { caller: anonymous, bindings: many(100) })
    await refused(many(101)).toMatchObject({
      code: 'TM_REALTIME_BINDING',
      message: expect.stringContaining('More than 100 bindings'),
    })
    const conditions = Array.from({ length: 201 }, (_, n) => `name=match.^${n}`).join(',')
    await refused(many(1, () => conditions)).toMatchObject({ message: expect.stringContaining('more than 200 conditions') })
    await sql.query('insert into open (id) values (99)')
    expect(await lines(told, 1)).toEqual(['INSERT {"id":99,"name":null,"big":null,"amount":null} [99]'])
  })

  it('tell large values that were not touched as missing, and never as null', async () => {
    const opened = await open()
    await sql.query(`alter table open alter column big set storage external`)
    await sql.query(`insert into open values (1, 'a', repeat('x', 20000), 1)`)
    const { told } = await listen(opened, { bindings: [all('open')] })
    await sql.query(`update open set name = 'b'`)
    await lines(told, 1)
    const { change } = told.changes[0] as Told['changes'][number]
    expect(change.record).toEqual({ id: 1, name: 'b', amount: 1 })
    expect(change.errors).toEqual(['Error 206: Partial Content, large and not changed: big'])
  })

  it('of more than 1 MiB are told without their large values', async () => {
    const opened = await open()
    const { told } = await listen(opened, { bindings: [all('open')] })
    await sql.query(`insert into open values (1, 'a', repeat('é', 600000), 1)`)
    await lines(told, 1)
    expect(told.changes[0]?.change).toMatchObject({
      record: { id: 1, name: 'a', amount: 1 },
      errors: ['Error 413: Payload Too Large'],
    })
  })

  it('of a whole table are told as a gap, in their place', async () => {
    const opened = await open()
    const { told } = await listen(opened, { bindings: [all('open')] })
    await sql.query(`insert into open (id) values (1); truncate open; insert into open (id) values (2)`)
    expect(await lines(told, 3)).toEqual([expect.stringMatching(/"id":1/), 'gap tableChanged', expect.stringMatching(/"id":2/)])
    expect(told.gaps[0]).toMatchObject({ table: 'public.open', message: expect.any(String) })
  })

  it.each([
    [
      { event: '*', schema: 'public', table: 'nothing' },
      'Please check Realtime is enabled for the given connect parameters: [event: *, schema: public, table: nothing, filters: [], select: nil]',
    ],
    [{ event: '*', schema: 'public', table: 'later' }, 'Please check Realtime is enabled'],
    [{ event: '*', schema: 'elsewhere' }, 'Please check Realtime is enabled'],
    [{ event: '*', schema: 'public', table: 'open', filter: 'x=eq.1' }, 'invalid column for filter x'],
    [{ event: '*', schema: 'public', select: ['id'] }, 'Column selection is not supported for wildcard subscriptions'],
    [{ event: '*', schema: 'public', table: 'open', filter: 'id=eq' }, 'Error parsing `filter` params'],
  ] as const)('are refused for %j', async (binding, message) => {
    const opened = await open()
    await expect(listen(opened, { bindings: [binding as Binding] })).rejects.toMatchObject({
      message: expect.stringContaining(message),
    })
  })

  it('come from a table as soon as the application puts it into the publication, and no longer once it is taken out', async () => {
    const opened = await open()
    const everything = await listen(opened, { bindings: [{ event: '*', schema: 'public' }] })
    cleanups.push(() => sql.query('alter publication supabase_realtime drop table later').catch(() => undefined))
    await sql.query('alter publication supabase_realtime add table later')
    const { told } = await listen(opened, { bindings: [all('later')] })
    await sql.query(`insert into later values (1, 'a')`)
    expect(await lines(told, 1)).toEqual(['INSERT {"id":1,"name":"a"} [0]'])
    expect(await lines(everything.told, 2)).toEqual(['gap tableChanged', 'INSERT {"id":1,"name":"a"} [0]'])
    expect(opened.node.state()).toMatchObject({ role: 'reading', problem: null })
    await sql.query('alter publication supabase_realtime drop table later')
    await expect(
      until(
        () =>
          listen(opened, { bindings: [all('later')] }).then(
            () => false,
            () => true,
          ),
        { what: 'A refusal' },
      ),
    ).resolves.toBe(true)
    await sql.query(`insert into later values (2, 'b')`)
    await settle(everything.told)
    expect(told.lines).toHaveLength(1)
  })
})

describe('row security', () => {
  it('RT-1: a row that was deleted is told where its key is all that the policies read', async () => {
    await sql.query(`
      create table shown (id bigint primary key, name text); ${grants('shown')}
      alter table shown enable row level security; create policy even on shown to authenticated using (id % 2 = 0);
      create policy every on shown to anon using (true); alter publication supabase_realtime add table shown`)
    cleanups.push(() => sql.query('drop table shown'))
    const opened = await open()
    const [signedIn, anyone] = [user(1), { role: 'anon', claims: { role: 'anon' } }]
    const given = { bindings: [all('shown', { event: 'DELETE' }), all('open')] }
    const [even, every] = [
      await listen(opened, { caller: signedIn, ...given }),
      await listen(opened, { caller: anyone, ...given }),
    ]
    await sql.query(`insert into shown values (1, 'a'), (2, 'b'); delete from shown`)
    await settle(even.told)
    await settle(every.told)
    expect(even.told.lines[0]).toBe('DELETE {"id":2} [0]')
    expect(even.told.lines[1]).toContain('999999')
    expect(every.told.lines.slice(0, 2)).toEqual(['DELETE {"id":1} [0]', 'DELETE {"id":2} [0]'])
  })

  it('RT-1: old and new row are both judged: coming into sight is an INSERT, leaving it a DELETE with the key', async () => {
    const opened = await open()
    const [first, second] = await Promise.all([1, 2].map((n) => listen(opened, { caller: user(n), bindings: [all('mine')] })))
    const outsider = await listen(opened, { caller: user(3), bindings: [all('mine')] })
    const nobody = await listen(opened, { caller: anonymous, bindings: [all('mine')] })
    const end = await listen(opened, { bindings: [all('open')] })
    await sql.query(`insert into mine values (1, '${userId(1)}', 'a')`)
    await sql.query(`update mine set name = 'b'`)
    await sql.query(`update mine set user_id = '${userId(2)}'`)
    await sql.query('delete from mine')
    await settle(end.told)
    await lines(first?.told as Told, 3)
    await lines(second?.told as Told, 2)
    expect(first?.told.lines).toEqual([
      `INSERT {"id":1,"user_id":"${userId(1)}","name":"a"} [0]`,
      `UPDATE {"id":1,"user_id":"${userId(1)}","name":"b"} [0]`,
      'DELETE {"id":1} [0]',
    ])
    expect(first?.told.changes[1]?.change.oldRecord).toEqual({ id: 1 })
    expect(second?.told.lines).toEqual([`INSERT {"id":1,"user_id":"${userId(2)}","name":"b"} [0]`, 'DELETE {"id":1} [0]'])
    expect([outsider.told.lines, nobody.told.lines]).toEqual([[], []])
  })

  it('RT-1: a row that comes or goes by an update reaches those who asked for inserts, or for deletes', async () => {
    const opened = await open()
    const inserts = await listen(opened, { caller: user(2), bindings: [all('mine', { event: 'INSERT' })] })
    const deletes = await listen(opened, { caller: user(1), bindings: [all('mine', { event: 'DELETE', filter: 'name=eq.a' })] })
    const updates = await listen(opened, { caller: user(2), bindings: [all('mine', { event: 'UPDATE' })] })
    const end = await listen(opened, { bindings: [all('open')] })
    await sql.query(`insert into mine values (1, '${userId(1)}', 'a'); update mine set user_id = '${userId(2)}', name = 'b'`)
    await settle(end.told)
    expect(await lines(inserts.told, 1)).toEqual([`INSERT {"id":1,"user_id":"${userId(2)}","name":"b"} [0]`])
    expect(await lines(deletes.told, 1)).toEqual(['DELETE {"id":1} [0]'])
    expect(updates.told.lines).toEqual([])
  })

  it('RT-1: without the whole old row nothing is told of a delete, not even a key', async () => {
    const opened = await open()
    const { told } = await listen(opened, { caller: user(1), bindings: [all('keyed')] })
    const admin = await listen(opened, { bindings: [all('keyed')] })
    await sql.query(`insert into keyed values (1, '${userId(1)}', 'a'); update keyed set name = 'b'; delete from keyed`)
    await lines(admin.told, 3)
    await lines(told, 2)
    const end = await listen(opened, { bindings: [all('open')] })
    await settle(end.told)
    expect(told.lines.map((line) => line.slice(0, 6))).toEqual(['INSERT', 'UPDATE'])
    expect(admin.told.lines.map((line) => line.slice(0, 6))).toEqual(['INSERT', 'UPDATE', 'DELETE'])
  })

  it('RT-1, FEED-5: a table that is published without an identity gets one, so that its writers go on and its owners hear of all', async () => {
    await sql.query(`
      create table nameless (id bigint primary key, user_id uuid, name text); ${grants('nameless')} ${own('nameless')}
      alter table nameless replica identity nothing`)
    cleanups.push(() => sql.query('drop table nameless'))
    const opened = await open()
    await sql.query('alter publication supabase_realtime add table nameless')
    const [owner, other] = [
      await listen(opened, { caller: user(1), bindings: [all('nameless')] }),
      await listen(opened, { caller: user(2), bindings: [all('nameless'), all('open')] }),
    ]
    await sql.query(`insert into nameless values (1, '${userId(1)}', 'a'); update nameless set name = 'b'; delete from nameless`)
    expect(await lines(owner.told, 3)).toEqual([
      `INSERT {"id":1,"user_id":"${userId(1)}","name":"a"} [0]`,
      `UPDATE {"id":1,"user_id":"${userId(1)}","name":"b"} [0]`,
      'DELETE {"id":1} [0]',
    ])
    // Whoever takes it away again makes Postgres refuse what could not be told; what can be is.
    await sql.query('alter table nameless replica identity nothing')
    await sql.query(`insert into nameless values (2, '${userId(1)}', 'c')`)
    await expect(sql.query('delete from nameless')).rejects.toMatchObject({ code: '55000' })
    expect((await lines(owner.told, 4))[3]).toBe(`INSERT {"id":2,"user_id":"${userId(1)}","name":"c"} [0]`)
    await settle(other.told)
    expect(other.told.lines).toHaveLength(1)
  })

  it('counts for the caller that it is now', async () => {
    const opened = await open()
    const { told, subscription } = await listen(opened, { caller: user(1), bindings: [all('mine')] })
    await sql.query(`insert into mine values (1, '${userId(1)}', 'a')`)
    await lines(told, 1)
    await subscription.setCaller(user(2), [all('mine')])
    await sql.query(`insert into mine values (2, '${userId(1)}', 'b'), (3, '${userId(2)}', 'c')`)
    expect(await lines(told, 2)).toEqual([expect.stringContaining('"id":1'), expect.stringContaining('"id":3')])
  })
})

describe('positions', () => {
  it('RT-2: a row that is committed the instant after listening began is told, and none from before: 1,000 of 1,000', async () => {
    const opened = await open()
    const rounds = 1_000
    const missed: number[] = []
    const early: number[] = []
    const writers = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const client = new pg.Client({ connectionString: testUrl(database.url, 'migrator') })
        await client.connect()
        cleanups.push(() => client.end())
        return client
      }),
    )
    const one = async (writer: pg.Client, round: number): Promise<void> => {
      const id = round * 10
      await writer.query('insert into open (id) values ($1)', [id + 1])
      const told = createTold()
      const subscription = await opened.changes.listen({ caller: service, bindings: [all('open')], listener: told })
      await sql.query('insert into open (id) values ($1)', [id + 2])
      const found = await until(() => told.lines.find((line) => line.includes(`"id":${id + 2},`)), { intervalMs: 1 }).catch(
        () => undefined,
      )
      if (!found) missed.push(round)
      if (told.lines.some((line) => line.includes(`"id":${id + 1},`))) early.push(round)
      subscription.close()
    }
    await Promise.all(
      writers.map(async (writer, first) => {
        for (let round = first; round < rounds; round += writers.length) await one(writer, round)
      }),
    )
    expect({ missed, early }).toEqual({ missed: [], early: [] })
  })

  it('RT-2: a transaction that was open when listening began is told when it commits', async () => {
    const opened = await open()
    await listen(opened, { bindings: [all('open')] })
    cleanups.push(() => superuser.query('rollback'))
    await superuser.query('begin; insert into open (id) values (1)')
    const { told } = await listen(opened, { bindings: [all('open')] })
    await sql.query('insert into open (id) values (2)')
    await lines(told, 1)
    await superuser.query('commit')
    expect(await lines(told, 2)).toEqual([expect.stringContaining('"id":2'), expect.stringContaining('"id":1')])
  })

  it('RT-2: whoever comes back is told what it missed, then what comes, without hole or repetition', async () => {
    const opened = await open()
    const first = await listen(opened, { bindings: [all('open')] })
    await sql.query('insert into open (id) values (1)')
    await lines(first.told, 1)
    const position = await passedBy(first.told)
    first.subscription.close()
    const writing = (async () => {
      for (let id = 2; id <= 60; id += 1) await sql.query('insert into open (id) values ($1)', [id])
    })()
    await until(async () => (await superuser.query('select from open where id = 20')).rowCount === 1)
    const { told } = await listen(opened, { bindings: [all('open')], from: position })
    await writing
    await lines(told, 59)
    expect(told.changes.map(({ change }) => change.record?.['id'])).toEqual(Array.from({ length: 59 }, (_, index) => index + 2))
    expect(told.gaps).toEqual([])
  })

  it('RT-2: goes on within a transaction, behind the change that was told last', async () => {
    const opened = await open()
    const first = await listen(opened, { bindings: [all('open')] })
    await sql.query('insert into open (id) select generate_series(1, 5)')
    await lines(first.told, 5)
    const { position, ordinal } = (first.told.changes[2] as Told['changes'][number]).change
    const { told } = await listen(opened, { bindings: [all('open')], from: position, ordinal })
    await lines(told, 2)
    expect(told.changes.map(({ change }) => change.record?.['id'])).toEqual([4, 5])
  })

  it('RT-2: a position that is kept no more, or of another history, is told as a gap', async () => {
    const opened = await open({ settings: { maxReplayBytes: 5_000 } })
    const first = await listen(opened, { bindings: [all('open')] })
    await sql.query('insert into open (id) select generate_series(1, 3)')
    await lines(first.told, 3)
    const position = await passedBy(first.told)
    for (let round = 0; round < 20; round += 1) await sql.query(`update open set name = repeat('x', 300)`)
    await lines(first.told, 63)
    for (const from of [position, { epoch: 'wal-1-2-3', number: 5n }]) {
      const { told, subscription } = await listen(opened, { bindings: [all('open')], from })
      expect(await lines(told, 1)).toEqual(['gap lost'])
      expect(told.gaps[0]?.position).toEqual(subscription.start)
    }
  })

  it('RT-2: what Redis lost is missed by nobody, and what the feed gives again is told once', async () => {
    const opened = await open()
    const { follower } = opened.changes
    const { told } = await listen(opened, { bindings: [all('open')] })
    await sql.query('insert into open (id) values (1)')
    await lines(told, 1)
    const { position, committedAt } = (told.changes[0] as Told['changes'][number]).change
    const at = { epoch: position.epoch, number: position.number - 1n }
    await follower.reset?.({ type: 'reset', reason: 'streamLost', epoch: at.epoch, position: at })
    const again = { type: 'transaction', position, xid: 0n, committedAt, firstOrdinal: 0, last: true } as const
    const relation = {
      oid: 1,
      schema: 'public',
      table: 'open',
      identity: 'default',
      columns: [{ name: 'id', typeOid: 20, typeModifier: -1, isKey: true }],
    } as const
    await follower.apply({ ...again, changes: [{ kind: 'insert', relation, old: null, new: ['1'] }] })
    await sql.query('insert into open (id) values (2)')
    await lines(told, 2)
    expect(told.changes.map(({ change }) => change.record?.['id'])).toEqual([1, 2])
    expect(told.gaps).toEqual([])
    // Where its place is ahead, something is missing.
    const ahead = { epoch: position.epoch, number: position.number + 2n ** 32n }
    await follower.reset?.({ type: 'reset', reason: 'streamLost', epoch: ahead.epoch, position: ahead })
    expect(told.gaps).toMatchObject([{ reason: 'lost', position: ahead }])
  })

  it.skipIf(redisProgram === undefined)(
    'RT-2: a node that does not read the log goes on while Redis is killed and away, and when it comes back; its clients miss nothing',
    async () => {
      let redis = await startTestRedis()
      cleanups.push(() => redis.stop())
      const options = { slot: 'told_away', redisUrl: redis.url }
      const nodes = [await open(options), await open(options)]
      const inRole = (role: string) => nodes.find(({ node }) => node.state().role === role)
      // Either may have been the first to take the slot.
      const [reader, other] = await until(() => {
        const [reading, tailing] = [inRole('reading'), inRole('tailing')]
        return reading && tailing && ([reading, tailing] as const)
      })
      const [near, far] = [await listen(reader, { bindings: [all('open')] }), await listen(other, { bindings: [all('open')] })]
      let last = 0
      const write = async (count: number) => {
        for (const end = last + count; last < end; ) await sql.query('insert into open (id) values ($1)', [++last])
        await until(() => [near, far].every(({ told }) => told.lines.length >= last), { what: `${last} changes` })
      }
      await write(3)
      redis.signal('SIGKILL')
      await write(3)
      await until(() => other.node.state().role === 'apart')
      await write(3)
      redis = await startTestRedis({ port: redis.port })
      // Either may read from now on.
      await until(() => inRole('reading') && inRole('tailing'))
      await write(3)
      for (const { told } of [near, far]) {
        expect(told.changes.map(({ change }) => change.record?.['id'])).toEqual(
          Array.from({ length: last }, (_, index) => index + 1),
        )
        expect(told.gaps).toEqual([])
      }
    },
  )

  it('RT-2: without Redis a new process goes on where the one before was killed', async () => {
    const options = { slot: 'told_restart', replayWindowMs: 60_000 }
    const before = await open(options)
    const first = await listen(before, { bindings: [all('open')] })
    await sql.query('insert into open (id) values (1)')
    await lines(first.told, 1)
    const position = await passedBy(first.told)
    await sql.query('insert into open (id) values (2)')
    await lines(first.told, 2)
    // By then all is confirmed that may be: the source's own window is that of a beat.
    const toldAt = performance.now()
    await until(() => performance.now() - toldAt > 1_500)
    await before.close()
    await sql.query('insert into open (id) values (3)')
    const after = await open(options)
    const { told } = await listen(after, { bindings: [all('open')], from: position })
    await lines(told, 2)
    expect(told.changes.map(({ change }) => change.record?.['id'])).toEqual([2, 3])
  })

  it('RT-2: nothing is lost while it is not known yet whose changes are told', async () => {
    const before = await open({ slot: 'told_slow' })
    const first = await listen(before, { bindings: [all('open')] })
    const position = first.subscription.start
    await before.close()
    await sql.query('insert into open (id) values (1)')
    let isKnown = false
    const after = await open({ slot: 'told_slow', beforeTables: () => until(() => isKnown).then(() => undefined) })
    await until(() => after.node.state().role === 'reading')
    await until(() => (after.node.followers()[0]?.workingMs ?? 0) > 0)
    isKnown = true
    const { told } = await listen(after, { bindings: [all('open')], from: position })
    expect(await lines(told, 1)).toEqual([expect.stringContaining('"id":1')])
  })

  it('RT-2: a cursor goes on after what was acknowledged, in another process as well', async () => {
    const options = { slot: 'told_cursor' }
    const before = await open(options)
    const bindings = [all('open')]
    const first = await listen(before, { bindings, cursor: 'name', returning: false })
    await sql.query('insert into open (id) values (1)')
    await lines(first.told, 1)
    first.subscription.acknowledged(await passedBy(first.told))
    await sql.query('insert into open (id) values (2)')
    await lines(first.told, 2)
    first.subscription.close(true)
    const second = await listen(before, { bindings, cursor: 'name', returning: true })
    expect(await lines(second.told, 1)).toEqual([expect.stringContaining('"id":2')])
    const acknowledged = await passedBy(second.told)
    second.subscription.acknowledged(acknowledged)
    await until(async () => {
      const { rows } = await superuser.query<{ position: string }>('select position from tidemark.realtime_cursors')
      return rows.length === 1 && rows[0]?.position.endsWith(acknowledged.number.toString(16))
    })
    // As a killed server leaves it: nobody has closed it.
    await before.close()
    const after = await open(options)
    await sql.query('insert into open (id) values (3)')
    const third = await listen(after, { bindings, cursor: 'name', returning: true })
    expect(await lines(third.told, 1)).toEqual([expect.stringContaining('"id":3')])
    const stranger = await listen(after, { bindings, cursor: 'another', returning: true })
    expect(await lines(stranger.told, 1)).toEqual(['gap lost'])
    const perhaps = await listen(after, { bindings, cursor: 'name' })
    expect(await lines(perhaps.told, 1)).toEqual([expect.stringContaining('"id":3')])
    const fresh = await listen(after, { bindings, cursor: 'name', returning: false })
    const unknown = await listen(after, { bindings, cursor: 'a third' })
    await sql.query('insert into open (id) values (4)')
    for (const { told } of [fresh, unknown]) expect(await lines(told, 1)).toEqual([expect.stringContaining('"id":4')])
  })
})

describe('changes through the outbox', () => {
  it('RT-1, RT-2: are told as those of the log are, from the moment of listening on, and again', async () => {
    const opened = await open({ outbox: true })
    const rounds = 15
    let last = createTold()
    for (let round = 0; round < rounds; round += 1) {
      await sql.query('insert into open (id, amount) values ($1, 1.50)', [round * 10])
      const { told, subscription } = await listen(opened, { bindings: [all('open')] })
      await sql.query('insert into open (id, amount) values ($1, 1.50)', [round * 10 + 1])
      await lines(told, 1)
      expect(told.lines).toEqual([`INSERT {"id":${round * 10 + 1},"name":null,"big":null,"amount":1.50} [0]`])
      if (round < rounds - 1) subscription.close()
      last = told
    }
    const position = await passedBy(last)
    await sql.query('delete from open where id < 10')
    const { told } = await listen(opened, { bindings: [all('open')], from: position })
    await lines(told, 2)
    expect(told.changes.map(({ change }) => [change.event, change.oldRecord?.['id']])).toEqual([
      ['DELETE', 0],
      ['DELETE', 1],
    ])
  })

  it('are unavailable where the feed does not run', async () => {
    const opened = await open()
    await opened.changes.stop()
    await expect(listen(opened, { bindings: [all('open')] })).rejects.toMatchObject({
      code: 'TM_REALTIME_UNAVAILABLE',
      retryable: true,
    })
  })
})
