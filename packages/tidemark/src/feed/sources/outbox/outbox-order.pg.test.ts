import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { bootstrappedTemplate } from '../../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../../testing/postgres/use-database.js'
import type { TransactionPiece } from '../../feed.js'
import { changesOf, useOutboxes } from './testing/open-outbox.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const other = useClient(database)
const start = useOutboxes(database.url, client)
const texts = (pieces: readonly TransactionPiece[]): string[] => pieces.flatMap(changesOf)

describe('the order of the outbox', () => {
  it('S8: a transaction that was open for long comes when it can be seen, and stalls nobody', async () => {
    await client.query('create table s8 (id int primary key, v text)')
    const outbox = await start(['s8'])
    await other.query('begin')
    await other.query(`insert into s8 values (1, 'long')`)
    await client.query(`insert into s8 values (2, 'short')`)
    expect(texts(await outbox.take(1))).toEqual(['insert s8 2,short'])
    await client.query(`insert into s8 values (3, 'next')`)
    expect(texts(await outbox.take(1))).toEqual(['insert s8 3,next'])
    await other.query('commit')
    expect(texts(await outbox.take(1))).toEqual(['insert s8 1,long'])
  })

  it('S8: who waited for a row comes after the one it waited for, with the larger number', async () => {
    await client.query(`create table s8rows (id int primary key, v text); insert into s8rows values (1, 'a'), (2, 'a')`)
    const outbox = await start(['s8rows'])
    await other.query('begin')
    await other.query('select pg_current_xact_id()')
    await client.query('begin')
    await client.query(`update s8rows set v = 'first' where id = 1`)
    const waiting = other.query(`update s8rows set v = 'second' where id = 1`)
    await client.query(`update s8rows set v = 'first' where id = 2`)
    await client.query('commit')
    await waiting
    await other.query('commit')
    const pieces = await outbox.take(2)
    expect(texts(pieces)).toEqual(['update s8rows 1,first', 'update s8rows 2,first', 'update s8rows 1,second'])
    expect(pieces[1]!.position.number).toBeGreaterThan(pieces[0]!.position.number)
    // The one that began first has the smaller xid, and still comes second.
    expect(pieces[1]!.xid).toBeLessThan(pieces[0]!.xid)
    // Given again, they have the same order and numbers.
    await outbox.close()
    const again = await start(['s8rows'])
    expect(await again.take(2)).toEqual(pieces)
  })

  it('FEED-1: a batch of very many transactions has them all, in order', async () => {
    await client.query('create table many (id int primary key)')
    const outbox = await start(['many'])
    await client.query('set synchronous_commit = off')
    // The reader waits for its next look while they are written.
    await client.query('do $$ begin for i in 1..5500 loop insert into many values (i); commit; end loop; end $$')
    await client.query('reset synchronous_commit')
    const pieces = await outbox.take(5_500)
    expect(pieces.map(({ changes }) => changes[0]!.new?.[0])).toEqual(
      Array.from({ length: 5_500 }, (_, index) => String(index + 1)),
    )
    const first = pieces[0]!.position.number
    expect(pieces.every(({ position }, index) => position.number === first + BigInt(index))).toBe(true)
  })

  it('S10: rows of subtransactions belong to their transaction, rolled back ones are not there', async () => {
    await client.query('create table s10 (id int primary key)')
    const outbox = await start(['s10'])
    await client.query('begin; insert into s10 values (1); savepoint a; insert into s10 values (2); rollback to a; savepoint b')
    await client.query('insert into s10 values (3); release b')
    const { rows } = await client.query('select pg_current_xact_id()::text as xid')
    await client.query('commit')
    const [piece] = await outbox.take(1)
    expect(changesOf(piece!)).toEqual(['insert s10 1', 'insert s10 3'])
    expect(String(piece!.xid)).toBe(rows[0].xid)
  })

  it('FEED-1: what a trigger of the application changed again stands behind the statement that it followed', async () => {
    await client.query(`
      create table nested (id int primary key, v int);
      insert into nested values (1, 0), (2, 0), (3, 0);
      create function touch_others() returns trigger language plpgsql as $$
      begin
        if pg_trigger_depth() = 1 then update nested set v = new.v * 10 where id > new.id; end if;
        return null;
      end $$;
      create trigger a_first after update on nested for each row execute function touch_others()`)
    const outbox = await start(['nested'])
    await client.query('update nested set v = 1')
    const [piece] = await outbox.take(1)
    const last = new Map(piece!.changes.map((change) => [change.new?.[0], change.new?.[1]]))
    const { rows } = await client.query('select id::text, v::text from nested order by id')
    expect(Object.fromEntries(last)).toEqual(Object.fromEntries(rows.map(({ id, v }) => [id, v])))
    expect(changesOf(piece!).slice(0, 3)).toEqual(['update nested 1,1', 'update nested 2,1', 'update nested 3,1'])
  })

  it('FEED-1: of rows that change their keys one after another, the last state is the true one', async () => {
    await client.query(`create table chain (id int primary key, parent int references chain on update cascade);
      insert into chain values (1, null), (2, 1), (3, 2)`)
    const outbox = await start(['chain'])
    await client.query('update chain set id = id + 10')
    const [piece] = await outbox.take(1)
    const state = new Map([
      ['1', null],
      ['2', '1'],
      ['3', '2'],
    ] as [string, string | null][])
    for (const change of piece!.changes) {
      if (change.kind !== 'update') continue
      state.delete(String(change.old?.[0] ?? change.new[0]))
      state.set(String(change.new[0]), change.new[1] as string | null)
    }
    expect([...state].sort()).toEqual([
      ['11', null],
      ['12', '11'],
      ['13', '12'],
    ])
  })

  it('a prepared transaction is seen when it is committed', async () => {
    await client.query('create table two_phase (id int primary key)')
    const { rows } = await client.query('show max_prepared_transactions')
    const outbox = await start(['two_phase'])
    if (rows[0].max_prepared_transactions === '0') {
      await client.query('insert into two_phase values (1)')
    } else {
      await client.query(`begin; insert into two_phase values (1); prepare transaction 'p'`)
      await client.query(`commit prepared 'p'`)
    }
    expect(texts(await outbox.take(1))).toEqual(['insert two_phase 1'])
  })

  it('S8: concurrent writers of common rows, seen by batches at any moment, leave the state that the table has', async () => {
    await client.query('create table busy (id int primary key, v int); insert into busy select i, 0 from generate_series(1, 5) i')
    const outbox = await start(['busy'], { pollMs: 1 })
    const writers = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const writer = new pg.Client({ connectionString: database.url })
        await writer.connect()
        return writer
      }),
    )
    const write = async (writer: pg.Client, seed: number) => {
      for (let i = 0; i < 60; i += 1) {
        await writer.query('begin')
        // In the order of keys, so that they wait for each other and never for themselves.
        for (const id of [1 + ((seed + i) % 3), 4, 5]) await writer.query('update busy set v = v + 1 where id = $1', [id])
        await writer.query('commit')
      }
      await writer.end()
    }
    const reading = outbox.take(240)
    await Promise.all(writers.map(write))
    const pieces = await reading
    const seen = new Map<string, number>()
    for (const { changes } of pieces) {
      expect(changes).toHaveLength(3)
      for (const change of changes) {
        const [id, v] = change.new as [string, string]
        expect(Number(v)).toBe((seen.get(id) ?? 0) + 1)
        seen.set(id, Number(v))
      }
    }
    const { rows } = await client.query('select id::text, v from busy')
    expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(rows.map(({ id, v }) => [id, v])))
    const numbers = pieces.map(({ position }) => position.number)
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => (a < b ? -1 : 1)))
  })
})
