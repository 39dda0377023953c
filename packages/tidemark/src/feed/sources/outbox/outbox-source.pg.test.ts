import { once } from 'node:events'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { bootstrappedTemplate, testUrl } from '../../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../../testing/postgres/use-database.js'
import { until } from '../../../time/until.js'
import { removeOutbox } from './install-outbox.js'
import type { OutboxPool } from './outbox.js'
import { createOutboxSource } from './outbox-source.js'
import { changesOf, type OpenOutbox, openPool, useOutboxes } from './testing/open-outbox.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const start = useOutboxes(database.url, client)
const restart = async (before: OpenOutbox, tables: string[], options = {}): Promise<OpenOutbox> => {
  await before.close()
  return start(tables, options)
}
const count = async (): Promise<number> => Number((await client.query('select count(*) from tidemark.feed_outbox')).rows[0].count)

describe('the source of the outbox', () => {
  it('FEED-1: what was given and not confirmed has the same numbers when it is given again, whatever came since', async () => {
    await client.query('create table same (id int primary key)')
    const first = await start(['same'])
    await client.query('insert into same values (1)')
    const [one] = await first.take(1)
    await client.query('insert into same values (2)')
    const second = await restart(first, ['same'])
    await client.query('insert into same values (3)')
    const again = await second.take(3)
    expect(again.map(changesOf)).toEqual([['insert same 1'], ['insert same 2'], ['insert same 3']])
    expect(again[0]!.position).toEqual(one!.position)
    expect(again[0]!.xid).toBe(one!.xid)
    const numbers = again.map(({ position }) => position.number)
    expect(numbers).toEqual([...numbers].sort((a, b) => (a < b ? -1 : 1)))
    expect(new Set(numbers).size).toBe(3)
  })

  it('FEED-1: a batch confirmed in part goes on behind that part', async () => {
    await client.query('create table part (id int primary key)')
    const first = await start(['part'])
    const pieces = await batch(first, 'part', [1, 2, 3])
    first.source.confirm(pieces[1]!.position)
    const second = await restart(first, ['part'])
    expect(await second.take(1)).toEqual([pieces[2]])
  })

  /** Commits transactions close to each other, and takes them. */
  const batch = async (outbox: OpenOutbox, table: string, ids: number[]) => {
    const writers = await Promise.all(
      ids.map(async (id) => {
        const writer = new pg.Client({ connectionString: database.url })
        await writer.connect()
        await writer.query(`begin; insert into ${table} values (${id})`)
        return writer
      }),
    )
    for (const writer of writers) await writer.query('commit')
    const pieces = await outbox.take(ids.length)
    await Promise.all(writers.map((writer) => writer.end()))
    return pieces
  }

  it('S3: a database that was restored or promoted begins a new epoch, and rows of the other history are not given', async () => {
    await client.query('create table restored (id int primary key)')
    const first = await start(['restored'])
    await client.query('insert into restored values (1)')
    const [one] = await first.take(1)
    await first.close()
    await client.query(`update tidemark.feed_outbox_readers set history = '1-1-1'`)
    // A transaction id that this server will reach one day.
    await client.query(`insert into tidemark.feed_outbox (xid, statement, relation, shape, kind)
      values (((pg_snapshot_xmax(pg_current_snapshot())::text)::bigint + 3)::text::xid8, 1, 'restored'::regclass, 1, 't')`)
    const second = await start(['restored'])
    const reset = await second.next()
    expect(reset).toMatchObject({ type: 'reset', reason: 'start' })
    expect(second.opened.epoch).not.toBe(one!.position.epoch)
    for (let id = 2; id <= 8; id += 1) await client.query('insert into restored values ($1)', [id])
    expect((await second.take(7)).map(changesOf)).toEqual([2, 3, 4, 5, 6, 7, 8].map((id) => [`insert restored ${id}`]))
  })

  it('S3: a history that ends under a position of it is told as a new one', async () => {
    await client.query('create table promoted (id int primary key)')
    const first = await start(['promoted'])
    await client.query('insert into promoted values (1)')
    const [one] = await first.take(1)
    await first.close()
    await client.query(`update tidemark.feed_outbox_readers set history = '1-1-1'`)
    const second = await start(['promoted'], { from: one!.position })
    expect(await second.next()).toMatchObject({ type: 'reset', reason: 'newHistory' })
  })

  it('S3: a history that ends while it is read does not keep what is confirmed in the next one', async () => {
    await client.query('create table failed_over (id int primary key)')
    const outbox = await start(['failed_over'], { leaseMs: 400 })
    for (let id = 1; id <= 3; id += 1) await client.query('insert into failed_over values ($1)', [id])
    const before = await outbox.take(3)
    const confirmed = async () =>
      (await client.query(`select tick from tidemark.feed_outbox_readers where name = 'reader_failed_over'`)).rows[0].tick
    outbox.source.confirm(before.at(-1)!.position)
    await until(async () => (await confirmed()) === '3')
    await client.query(
      `update tidemark.feed_outbox_readers set history = '1-1-1', holder = null where name = 'reader_failed_over'`,
    )
    await until(async () => (await outbox.next()).type === 'reset')
    await client.query('insert into failed_over values (4)')
    const [after] = await outbox.take(1)
    expect(after!.position.number).toBe(1n)
    outbox.source.confirm(after!.position)
    await until(async () => (await confirmed()) === '1')
  })

  it.each([
    ['renamed', 'alter table swapped rename to swapped_before'],
    ['replaced', 'begin; alter table swapped rename to swapped_before; create table swapped (id int primary key); commit'],
    ['dropped', 'drop table swapped'],
    ['no longer caught', 'alter table swapped disable trigger all'],
  ])('a table that is %s while it is read begins a new history, and is missed', async (_what, sql) => {
    await client.query('create table swapped (id int primary key)')
    const outbox = await start(['swapped'])
    await client.query('insert into swapped values (1)')
    await outbox.take(1)
    await client.query(sql)
    await expect(outbox.take(1)).rejects.toMatchObject({ code: 'TM_FEED_OUTBOX_MISSING' })
    await outbox.close()
    await client.query('drop table if exists swapped, swapped_before; create table swapped (id int primary key)')
    const again = await start(['swapped'])
    expect(again.opened.epoch).not.toBe(outbox.opened.epoch)
    await client.query('insert into swapped values (2)')
    expect((await again.take(1)).map(changesOf)).toEqual([['insert swapped 2']])
    await again.close()
    await client.query('drop table swapped')
  })

  it('a table that was replaced while nobody read begins a new history, once', async () => {
    await client.query('create table offline (id int primary key)')
    const before = await start(['offline'])
    await before.close()
    const same = await start(['offline'])
    expect(same.opened.epoch).toBe(before.opened.epoch)
    await same.close()
    await client.query('begin; drop table offline; create table offline (id int primary key); commit')
    await client.query('insert into offline values (1)')
    const after = await start(['offline'])
    expect(after.opened.epoch).not.toBe(before.opened.epoch)
    await client.query('insert into offline values (2)')
    expect((await after.take(1)).map(changesOf)).toEqual([['insert offline 2']])
    await after.close()
    expect((await start(['offline'])).opened.epoch).toBe(after.opened.epoch)
  })

  it('of all tables that are caught, one that is replaced begins a new history, and one that is taken out does not', async () => {
    await client.query('create table kept (id int primary key); create table left_out (id int primary key)')
    const { rows } = await client.query<{ schema: string; table: string }>(
      `select 'public' as schema, c.relname as "table" from pg_trigger t join pg_class c on c.oid = t.tgrelid where tgname = '0_tidemark_outbox_row'`,
    )
    await removeOutbox(client, rows)
    const outbox = await start(['kept', 'left_out'], { tables: 'installed' })
    await client.query('insert into left_out values (1)')
    await removeOutbox(client, [{ schema: 'public', table: 'left_out' }])
    await client.query('insert into kept values (1)')
    expect((await outbox.take(2)).map(changesOf)).toEqual([['insert left_out 1'], ['insert kept 1']])
    await client.query('begin; drop table kept; create table kept (id int primary key); commit')
    const resets = () => outbox.others.filter(({ type }) => type === 'reset').length
    await until(async () => outbox.others.push(await outbox.next()) > 0 && resets() === 2)
  })

  it('FEED-2: one process reads; another takes over when it falls silent, and the first one notices', async () => {
    await client.query('create table lease (id int primary key)')
    const pool = openPool(database.url)
    let silent = false
    const thaw = new AbortController()
    const frozen: OutboxPool = {
      query: (text, values, options) => {
        if (silent && text.includes('seen_at = clock_timestamp() where'))
          return once(thaw.signal, 'abort').then(() => pool.pool.query(text, values, options))
        return pool.pool.query(text, values, options)
      },
      transaction: (fn, options) => pool.pool.transaction(fn, options),
    }
    const first = await start(['lease'], { pool: frozen, name: 'lease', leaseMs: 1_500 })
    await client.query('insert into lease values (1)')
    await first.take(1)
    const second = await start(['lease'], { name: 'lease', leaseMs: 1_500 })
    const taken = second.take(1)
    let over = false
    void taken.then(() => {
      over = true
    })
    await client.query('insert into lease values (2)')
    expect((await first.take(1)).map(changesOf)).toEqual([['insert lease 2']])
    expect(over).toBe(false)
    silent = true
    expect((await taken).map(changesOf)).toEqual([['insert lease 1']])
    // The first one asks for more, and waits for the lease instead of reading beside the other.
    const more = first.take(1)
    more.catch(() => undefined)
    await client.query('insert into lease values (3)')
    expect((await second.take(2)).map(changesOf)).toEqual([['insert lease 2'], ['insert lease 3']])
    const { rows } = await client.query(
      `select count(distinct first_tick) = count(*) as once from tidemark.feed_outbox_ticks where reader = 'lease'`,
    )
    expect(rows[0].once).toBe(true)
    silent = false
    thaw.abort()
    await first.close()
    await pool.close()
  })

  it('a lost connection is made again, and nothing is lost or given twice', async () => {
    await client.query('create table cut (id int primary key)')
    const outbox = await start(['cut'])
    await client.query('insert into cut values (1)')
    await outbox.take(1)
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )
    await client.query('insert into cut values (2)')
    expect((await outbox.take(1)).map(changesOf)).toEqual([['insert cut 2']])
  })

  it('deletes what every reader is done with, and nothing that one still needs', async () => {
    // Also what other tests left unread.
    await client.query('delete from tidemark.feed_outbox_readers; delete from tidemark.feed_outbox')
    await client.query('create table pruned (id int primary key)')
    const first = await start(['pruned'], { name: 'pruned_a' })
    const second = await start(['pruned'], { name: 'pruned_b' })
    await client.query('insert into pruned select generate_series(1, 50)')
    const [one] = await first.take(1)
    first.source.confirm(one!.position)
    await until(async () => (await first.source.lag()).behind === 0)
    expect(await count()).toBe(50)
    const [other] = await second.take(1)
    expect(other!.changes).toHaveLength(50)
    expect((await second.source.lag()).behind).toBe(50)
    second.source.confirm(other!.position)
    await until(async () => (await count()) === 0)
  })

  it('S5: each proof is as old as the look that found everything given', async () => {
    await client.query('create table proven (id int primary key)')
    const outbox = await start(['proven'])
    await client.query('insert into proven values (1)')
    const after = performance.now()
    await outbox.take(1)
    let event = await outbox.next()
    while (event.type !== 'fresh' || event.asOf < after) event = await outbox.next()
    expect(event.position.number).toBeGreaterThan(0n)
    expect(event.asOf).toBeLessThanOrEqual(performance.now())
  })

  it('is told of changes where it can listen, long before it would look', async () => {
    await client.query('create table hinted (id int primary key)')
    const outbox = await start(['hinted'], { pollMs: 30_000, listen: { url: database.url } })
    await outbox.next()
    await until(
      async () =>
        (
          await client.query(
            `select from pg_stat_activity where datname = current_database() and query = 'listen tidemark_outbox'`,
          )
        ).rowCount === 1,
    )
    const before = performance.now()
    await client.query('insert into hinted values (1)')
    await outbox.take(1)
    expect(performance.now() - before).toBeLessThan(25_000)
  })

  it('stops while the session that listens is still being made', async () => {
    const { pool, close } = openPool(database.url)
    const source = createOutboxSource({ pool, name: 'brief', tables: 'installed', listen: { url: database.url } })
    await source.stop()
    await close()
  })

  it('only polls where nobody can listen', async () => {
    await client.query('create table unhinted (id int primary key)')
    const outbox = await start(['unhinted'], { listen: { url: 'postgres://somebody@localhost:6543/nothing?pgbouncer=true' } })
    await client.query('insert into unhinted values (1)')
    expect((await outbox.take(1)).map(changesOf)).toEqual([['insert unhinted 1']])
  })

  it('refuses tables that the outbox is not installed on, by name', async () => {
    await client.query('create table forgotten (id int primary key)')
    const { pool, close } = openPool(database.url)
    const source = createOutboxSource({ pool, name: 'refused', tables: [{ schema: 'public', table: 'forgotten' }] })
    await expect(source.open()).rejects.toMatchObject({ code: 'TM_FEED_OUTBOX_MISSING', message: /public\.forgotten/ })
    await source.stop()
    await close()
  })

  it('reads as the role of the feed, which needs nothing but its own tables', async () => {
    await client.query('create table as_feed (id int primary key)')
    for (const role of ['feed', 'app'] as const) {
      const { pool, close } = openPool(testUrl(database.url, role))
      const outbox = await start(['as_feed'], { pool, name: `as_${role}` })
      await client.query('insert into as_feed select coalesce(max(id), 0) + 1 from as_feed')
      const [piece] = await outbox.take(1)
      expect(piece!.changes).toHaveLength(1)
      outbox.source.confirm(piece!.position)
      await outbox.close()
      expect(
        (await client.query('select tick > 0 as done from tidemark.feed_outbox_readers where name = $1', [`as_${role}`])).rows,
      ).toEqual([{ done: true }])
      await close()
    }
  })

  it('goes through a pooler that gives each transaction another session', async () => {
    await client.query('create table pooled (id int primary key)')
    const { pool, close } = openPool(database.url)
    const sessions = new Set<number>()
    // Every statement outside of a transaction in a session of its own, as a transaction pooler may do.
    const pooler: OutboxPool = {
      query: async (text, values, options) => {
        const session = openPool(database.url)
        try {
          const { rows } = await session.pool.query<{ pid: number }>('select pg_backend_pid() as pid')
          sessions.add(rows[0]!.pid)
          return await session.pool.query(text, values, options)
        } finally {
          await session.close()
        }
      },
      transaction: (fn, options) => pool.transaction(fn, options),
    }
    const outbox = await start(['pooled'], { pool: pooler, leaseMs: 20_000 })
    await client.query('insert into pooled values (1)')
    await client.query('insert into pooled values (2)')
    expect((await outbox.take(2)).map(changesOf)).toEqual([['insert pooled 1'], ['insert pooled 2']])
    expect(sessions.size).toBeGreaterThan(3)
    await outbox.close()
    await close()
  })
})
