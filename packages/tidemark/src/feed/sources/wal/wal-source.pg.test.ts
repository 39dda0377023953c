import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connectPostgres } from '../../../postgres/driver/connect.js'
import { bootstrappedTemplate, testUrl } from '../../../schema/testing/bootstrapped-template.js'
import { plain, type Reading, type ReadOptions, read } from '../../../testing/feed-conformance/collected.js'
import { dropSlots } from '../../../testing/feed-conformance/scene.js'
import { useDatabase } from '../../../testing/postgres/use-database.js'
import { until } from '../../../time/until.js'
import type { FeedEvent } from '../../feed.js'
import { listSlots, readSlot, takeOverSlot } from '../../slots.js'
import { createWalSource, type WalSource, type WalSourceOptions } from './wal-source.js'

const database = useDatabase({ template: bootstrappedTemplate })
let sql: pg.Client
let ends: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  sql = await connectPostgres({ url: database.url, name: 'writer' })
})
afterAll(() => sql.end())
afterEach(async () => {
  const results = await Promise.allSettled(ends.reverse().map((end) => end()))
  ends = []
  await dropSlots(database.url)
  for (const result of results) if (result.status === 'rejected') throw result.reason
})

const connect = async (): Promise<pg.Client> => {
  const client = await connectPostgres({ url: database.url, name: 'writer' })
  ends.push(() => client.end())
  return client
}

const sourceOf = (name: string, options: Partial<WalSourceOptions> = {}): WalSource => {
  const source = createWalSource({
    target: { url: database.url },
    slot: { name },
    publication: name,
    tables: [{ schema: 'public', table: name }],
    replayWindowMs: 0,
    beatMs: 50,
    random: () => 0,
    ...options,
  })
  ends.push(() => source.stop())
  return source
}

/** A table with a source of it under its name, opened. */
const scene = async (name: string, options: Partial<WalSourceOptions> = {}): Promise<WalSource> => {
  await sql.query(`create table ${name} (id int primary key, text text)`)
  const source = sourceOf(name, options)
  await source.open()
  return source
}

const reading = (source: WalSource, options: ReadOptions = {}): Reading => {
  const found = read(source, options)
  ends.push(() => found.end())
  return found
}

const idsOf = ({ transactions }: Reading): string[] =>
  transactions.flatMap(({ changes }) => changes.map((change) => String(plain(change).new?.id)))
const given = (from: Reading, id: number) => from.until(() => idsOf(from).includes(String(id)), `The row ${id}`)
const insert = (table: string, id: number) => sql.query(`insert into ${table} values ($1)`, [id])
const slotOf = async (name: string) => {
  const slots = await listSlots(sql)
  return slots.find((slot) => slot.name.endsWith(`_${name}`))
}
const terminate = async (name: string) => {
  const slot = await slotOf(name)
  await sql.query('select pg_terminate_backend($1)', [slot!.activePid])
  return slot!
}
const failureOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: unknown) => error)

describe('a lost connection', () => {
  it('is made again where it was lost before it was read from', async () => {
    const source = await scene('lost_ahead')
    const { rowCount } = await sql.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where backend_type = 'walsender' and application_name = 'tidemark/feed lost_ahead'`,
    )
    expect(rowCount).toBe(1)
    // The end of the connection is told before the answer to a question that is asked after it.
    await sql.query('select 1')
    const feed = reading(source)
    await insert('lost_ahead', 1)
    await given(feed, 1)
    expect(idsOf(feed)).toEqual(['1'])
  })

  it('is made again, and nothing is given twice or left out', async () => {
    const source = await scene('ended_walsender')
    const feed = reading(source)
    await insert('ended_walsender', 1)
    await given(feed, 1)
    const { activePid } = await terminate('ended_walsender')
    await insert('ended_walsender', 2)
    await given(feed, 2)
    expect(idsOf(feed)).toEqual(['1', '2'])
    expect(feed.resets).toHaveLength(1)
    expect((await slotOf('ended_walsender'))?.activePid).not.toBe(activePid)
  })

  it('is that of both sessions where the ordinary one ends', async () => {
    const source = await scene('ended_session')
    const feed = reading(source)
    await insert('ended_session', 1)
    await given(feed, 1)
    const before = (await slotOf('ended_session'))!.activePid
    await sql.query(`select pg_terminate_backend(pid) from pg_stat_activity
                      where application_name = 'tidemark/feed ended_session' and backend_type = 'client backend'`)
    await until(async () => (await slotOf('ended_session'))?.activePid !== before)
    await insert('ended_session', 2)
    await given(feed, 2)
    expect(idsOf(feed)).toEqual(['1', '2'])
  })

  it('S6 in the middle of a large transaction goes on with the next change of it', async () => {
    const source = await scene('ended_within', { maxPieceBytes: 20_000, maxQueuedBytes: 100_000 })
    let pieces = 0
    const each = async (event: { type: string }) => {
      if (event.type !== 'transaction') return
      pieces += 1
      if (pieces === 5) await terminate('ended_within')
    }
    const feed = reading(source, { each })
    await sql.query(`insert into ended_within select n, repeat('x', 100) from generate_series(1, 30000) n`)
    await feed.until(() => feed.transactions.length === 1, 'The transaction')
    expect(feed.resets).toHaveLength(1)
    expect(idsOf(feed)).toEqual(Array.from({ length: 30_000 }, (_none, index) => String(index + 1)))
  })

  it('S3 S4 with the slot gone is a new epoch, said so', async () => {
    const source = await scene('dropped')
    const feed = reading(source)
    await insert('dropped', 1)
    await given(feed, 1)
    const { name } = await terminate('dropped')
    await until(() =>
      sql.query('select pg_drop_replication_slot($1)', [name]).then(
        () => true,
        () => false,
      ),
    )
    await insert('dropped', 2)
    await feed.until(() => feed.resets.length === 2, 'The reset')
    await insert('dropped', 3)
    await given(feed, 3)
    const [first, second] = feed.resets
    expect(second).toMatchObject({ reason: 'slotLost', position: { epoch: second!.epoch } })
    expect(second!.epoch).not.toBe(first!.epoch)
    expect(feed.transactions.at(-1)!.position.epoch).toBe(second!.epoch)
    const { rows } = await sql.query('select epoch from tidemark.feed_slots where slot_name = $1', [name])
    expect(rows).toEqual([{ epoch: second!.epoch }])
  })

  it('S3 of a temporary slot is its end', async () => {
    const source = await scene('temporary', { slot: { name: 'temporary', temporary: true } })
    const feed = reading(source)
    await insert('temporary', 1)
    await given(feed, 1)
    const slot = (await listSlots(sql)).find(({ name }) => name.includes('temporary'))
    expect(slot).toMatchObject({ temporary: true })
    expect(slot!.name).toMatch(/^tidemark_\d+_temporary_[0-9a-f]{8}$/)
    await sql.query('select pg_terminate_backend($1)', [slot!.activePid])
    await feed.until(() => feed.resets.length === 2, 'The reset')
    expect(feed.resets[1]).toMatchObject({ reason: 'slotLost' })
    await insert('temporary', 2)
    await given(feed, 2)
    await feed.end()
    await source.stop()
    await until(async () => (await listSlots(sql)).every(({ name }) => !name.includes('temporary')))
    expect((await sql.query(`select from tidemark.feed_slots where slot_name like '%temporary%'`)).rowCount).toBe(0)
  })
})

describe('a temporary slot beside one that others read', () => {
  it('FEED-1 goes on in their history, from where its reader was', async () => {
    const feed = reading(await scene('copied', { replayWindowMs: 60_000 }))
    for (const id of [1, 2]) {
      await insert('copied', id)
      await given(feed, id)
    }
    const from = feed.transactions[0]!.position
    const own = reading(sourceOf('copied', { slot: { name: 'copied', temporary: true }, start: 'now' }), { from })
    await insert('copied', 3)
    await given(own, 3)
    const copy = (await listSlots(sql)).find(({ temporary }) => temporary)
    await sql.query('select pg_terminate_backend($1)', [copy!.activePid])
    await insert('copied', 4)
    await given(own, 4)
    await given(feed, 4)
    expect([idsOf(own), own.resets]).toEqual([['2', '3', '4'], []])
    expect(own.transactions.map(({ position }) => position)).toEqual(feed.transactions.slice(1).map(({ position }) => position))
    expect(feed.resets).toHaveLength(1)
  })

  it('S3 tells who is further back than they are that something is missing', async () => {
    const source = await scene('behind')
    const each = (event: FeedEvent): void => {
      if (event.type !== 'reset') source.confirm(event.position)
    }
    const feed = reading(source, { each })
    for (const id of [1, 2]) {
      await insert('behind', id)
      await given(feed, id)
    }
    const from = feed.transactions[0]!.position
    await until(async () => ((await slotOf('behind'))?.confirmedLsn ?? 0n) > from.number + 1n)
    const own = reading(sourceOf('behind', { slot: { name: 'behind', temporary: true }, start: 'now' }), { from })
    await own.until(() => own.resets.length === 1, 'The reset')
    expect(own.resets[0]).toMatchObject({ reason: 'slotLost' })
    await insert('behind', 3)
    await given(own, 3)
    expect(idsOf(own)).toEqual(['3'])
  })
})

describe('the slot as a lease', () => {
  it('S7 is refused to a second reader, and its first one learns when it was taken over', async () => {
    const first = await scene('leased')
    const feed = read(first)
    await insert('leased', 1)
    await given(feed, 1)
    const slot = (await slotOf('leased'))!
    const second = sourceOf('leased', { busyTimeoutMs: 50 })
    await expect(second.open()).rejects.toMatchObject({
      code: 'TM_FEED_SLOT_BUSY',
      parameters: { slot: slot.name, pid: slot.activePid },
    })
    expect(await takeOverSlot(sql, slot.name)).toBe(slot.activePid)
    // The one that was ended leaves the new one some time to come.
    const since = performance.now()
    await until(() => performance.now() - since > 400)
    const other = reading(second)
    await insert('leased', 2)
    await given(other, 2)
    await feed.until(() => false, 'The end of the first').catch(() => undefined)
    expect(await failureOf(feed.end())).toMatchObject({ code: 'TM_FEED_SLOT_BUSY' })
    expect(idsOf(feed)).toEqual(['1'])
  }, 40_000)

  it('S7 is kept, with bounded memory, while the consumer is slow, and while it is idle', async () => {
    const source = await scene('kept_alive', {
      // A process that stands still for a moment is none that is silent.
      walSenderTimeoutMs: 1_000,
      beatMs: 60_000,
      maxQueuedBytes: 1_000_000,
      maxPieceBytes: 100_000,
    })
    const pid = async () => (await slotOf('kept_alive'))!.activePid
    let release = () => {}
    const frozen = new Promise<void>((resolve) => {
      release = resolve
    })
    ends.push(async () => release())
    let changes = 0
    const feed = reading(source, {
      each: async (event) => {
        if (event.type !== 'transaction') return
        changes += event.changes.length
        await frozen
      },
    })
    await until(async () => (await pid()) !== null)
    const before = await pid()
    const usedBytes = process.memoryUsage().rss
    await sql.query(`insert into kept_alive select n, repeat('x', 1000) from generate_series(1, 100000) n`)
    await feed.until(() => changes > 0, 'A piece')
    const since = performance.now()
    await until(() => performance.now() - since > 2_200, { intervalMs: 100 })
    // A hundred megabytes are on their way; they wait where they are.
    expect(process.memoryUsage().rss - usedBytes).toBeLessThan(40e6)
    expect(await pid()).toBe(before)
    release()
    await feed.until(() => changes === 100_000, 'The transaction')
    const idle = performance.now()
    await until(() => performance.now() - idle > 2_200, { intervalMs: 100 })
    expect(await pid()).toBe(before)
    expect(feed.resets).toHaveLength(1)
  })

  it('S7 tells who is in the way of a new slot, and leaves none behind', async () => {
    const other = await connect()
    await sql.query('create table blocked (id int primary key)')
    await other.query('begin; insert into blocked values (1)')
    const { rows } = await other.query('select pg_backend_pid() as pid')
    const source = sourceOf('blocked', { slotTimeoutMs: 300 })
    // Transactions of other databases are in the way as well, and may be met first.
    const named = async () => {
      const error = await failureOf(source.open())
      expect(error).toMatchObject({ code: 'TM_FEED_SLOT_BLOCKED', retryable: true })
      expect(String(error)).toMatch(/server process \d+ .*open for \d+ s/)
      return String(error).includes(`server process ${rows[0].pid} `)
    }
    await until(named, { timeoutMs: 20_000 })
    expect(await slotOf('blocked')).toBeUndefined()

    // The same for one that is given up.
    const abandoned = sourceOf('blocked')
    const opening = failureOf(abandoned.open())
    await until(async () => (await slotOf('blocked')) !== undefined)
    await abandoned.stop()
    expect(await opening).toMatchObject({ code: 'TM_FEED_SLOT_BLOCKED' })
    expect(await slotOf('blocked')).toBeUndefined()
    await other.query('commit')
    await sourceOf('blocked').open()
    expect(await slotOf('blocked')).toMatchObject({ plugin: 'pgoutput', temporary: false })
  })

  it('is not taken from a stranger', async () => {
    const { rows } = await sql
      .query<{ slot: string }>(
        `select slot_name as slot from pg_create_logical_replication_slot('tidemark_' || (select oid from pg_database where datname = current_database()) || '_stranger', 'test_decoding')`,
      )
      .catch(() => ({ rows: [] as { slot: string }[] }))
    await sql.query('create table stranger (id int primary key)')
    if (rows.length === 0) {
      await sql.query(
        `select pg_create_physical_replication_slot('tidemark_' || (select oid from pg_database where datname = current_database()) || '_stranger')`,
      )
      ends.push(() =>
        sql.query(`select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like '%stranger'`),
      )
    }
    await expect(sourceOf('stranger').open()).rejects.toMatchObject({ code: 'TM_FEED_SLOT_FOREIGN' })
  })

  it('has one consumer', async () => {
    const source = await scene('single')
    reading(source)
    const second = source.events(new AbortController().signal)[Symbol.asyncIterator]()
    await expect(second.next()).rejects.toMatchObject({ code: 'TM_INTERNAL' })
  })
})

describe('the history', () => {
  it('S3 is another one after a restore: the slot is made anew', async () => {
    const first = await scene('restored')
    const feed = reading(first)
    await insert('restored', 1)
    await given(feed, 1)
    const from = feed.transactions[0]!.position
    await feed.end()
    await first.stop()
    // As if the row had been noted on another server.
    await sql.query(`update tidemark.feed_slots set epoch = 'wal-1-1-1-aa' where slot_name like '%_restored'`)
    const again = reading(sourceOf('restored'))
    await again.until(() => again.resets.length === 1, 'The reset')
    expect(again.resets[0]).toMatchObject({ reason: 'newHistory' })
    expect(again.resets[0]!.epoch).not.toBe(from.epoch)
    await again.end()
  })

  it('S3 is another one where the server is behind what it gave already', async () => {
    const first = await scene('set_back')
    const feed = reading(first)
    await feed.until(() => feed.resets.length === 1, 'The start')
    const { epoch, position } = feed.resets[0]!
    await feed.end()
    await first.stop()
    const second = sourceOf('set_back')
    await second.open()
    const again = reading(second, { from: { epoch, number: position.number + 2n ** 40n } })
    await again.until(() => again.resets.length === 1, 'The reset')
    expect(again.resets[0]!.epoch).not.toBe(epoch)
  })

  it('has a hole where there was no publication, and says so', async () => {
    const first = await scene('unpublished')
    const feed = reading(first)
    await feed.until(() => feed.resets.length === 1, 'The start')
    await feed.end()
    await first.stop()
    await sql.query('drop publication unpublished')
    await insert('unpublished', 1)
    const again = reading(sourceOf('unpublished'))
    await again.until(() => again.resets.length === 1, 'The reset')
    expect(again.resets[0]).toMatchObject({ reason: 'slotLost' })
  })

  it('has a hole where a table fell out of the publication while it was read, and says so', async () => {
    const source = await scene('fallen')
    const feed = reading(source)
    await insert('fallen', 1)
    await given(feed, 1)
    // As a migration does that makes a table anew: nothing of the new one is in the stream, and nothing says so.
    await sql.query(
      'begin; drop table fallen; create table fallen (id int primary key, text text); insert into fallen values (2); commit',
    )
    await feed.until(() => feed.resets.length === 2, 'The reset')
    expect(feed.resets[1]).toMatchObject({ reason: 'slotLost' })
    await insert('fallen', 3)
    await given(feed, 3)

    await sql.query('alter publication fallen drop table fallen; alter publication fallen add table fallen')
    await feed.until(() => feed.resets.length === 3, 'The reset')
    await insert('fallen', 4)
    await given(feed, 4)
    // More tables are no loss.
    await sql.query('create table fallen_other (id int primary key); alter publication fallen add table fallen_other')
    const proofs = feed.proofs.length
    await feed.until(() => feed.proofs.length > proofs + 2, 'Proofs')
    expect(feed.resets).toHaveLength(3)

    // Nor does it matter when it happens. A table that is not wanted any more is no loss either.
    await feed.end()
    await source.stop()
    const from = feed.transactions.at(-1)!.position
    const narrowed = reading(sourceOf('fallen'), { from })
    await narrowed.until(() => narrowed.proofs.length > 0, 'A proof')
    expect(narrowed.resets).toEqual([])
    await narrowed.end()
    await sql.query('alter publication fallen drop table fallen')
    const later = reading(sourceOf('fallen'), { from })
    await later.until(() => later.resets.length === 1, 'The reset')
    expect(later.resets[0]).toMatchObject({ reason: 'slotLost' })
    await sql.query('drop table fallen')
    await later.until(() => false, 'The end').catch(() => undefined)
    expect(await failureOf(later.end())).toMatchObject({ code: 'TM_FEED_TABLE' })
    ends = ends.slice(0, -1)
  }, 40_000)

  it.each([true, false])(
    'FEED-1 is kept from when it was opened to when it is read from there (temporary: %s)',
    async (temporary) => {
      const name = `opened_ahead_${temporary}`
      await sql.query(`create table ${name} (id int primary key, text text)`)
      const source = sourceOf(name, { slot: { name, temporary } })
      const from = await source.open()
      await insert(name, 1)
      const feed = reading(source, { from })
      await given(feed, 1)
      expect(feed.resets).toEqual([])
    },
  )

  it('begins at the present end where that is asked for', async () => {
    const first = await scene('present')
    // What is visible and not flushed yet is not past the present end.
    await sql.query('begin; set local synchronous_commit = on; insert into present values (1); commit')
    await first.stop()
    const feed = reading(sourceOf('present', { start: 'now' }))
    await feed.until(() => feed.resets.length === 1, 'The start')
    await insert('present', 2)
    await given(feed, 2)
    expect(idsOf(feed)).toEqual(['2'])
  })
})

describe('confirmation', () => {
  it('S4 reaches Postgres only after the replay window', async () => {
    const source = await scene('windowed', { replayWindowMs: 3_600_000 })
    const before = (await slotOf('windowed'))!.confirmedLsn
    const feed = reading(source)
    await insert('windowed', 1)
    await given(feed, 1)
    source.confirm(feed.transactions[0]!.position)
    await feed.end()
    await source.stop()
    expect((await slotOf('windowed'))!.confirmedLsn).toBe(before)
    const again = reading(sourceOf('windowed'))
    await given(again, 1)
  })

  it('FEED-4 moves on by itself where nothing of ours is written', async () => {
    const source = await scene('quiet')
    await sql.query('create table noisy (id int primary key, text text)')
    const feed = reading(source)
    await insert('quiet', 1)
    await given(feed, 1)
    await sql.query(`insert into noisy select n, repeat('x', 100) from generate_series(1, 10000) n`)
    const { rows } = await sql.query('select pg_current_wal_flush_lsn() as lsn')
    const [high, low] = String(rows[0].lsn).split('/')
    const head = (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
    await feed.until(() => feed.proofs.some(({ position }) => position.number >= head - 1n), 'A proof')
    // The row is not confirmed, and keeps everything after it.
    expect((await slotOf('quiet'))!.confirmedLsn!).toBeLessThanOrEqual(feed.transactions[0]!.position.number)
    source.confirm(feed.transactions[0]!.position)
    await until(async () => (await slotOf('quiet'))!.confirmedLsn! >= head)
    const lag = await source.lag()
    expect(lag.confirmed!.number).toBeGreaterThanOrEqual(head - 1n)
    expect(lag.headroomBytes).toBeGreaterThan(0)
  })

  it('of a position that was never given confirms no more than what was', async () => {
    const source = await scene('ahead')
    const feed = reading(source)
    await feed.until(() => feed.resets.length === 1, 'The start')
    const { epoch } = feed.resets[0]!
    source.confirm({ epoch, number: 2n ** 60n })
    source.confirm({ epoch: 'wal-1-1-1-aa', number: 2n ** 60n })
    await insert('ahead', 1)
    await given(feed, 1)
    await feed.end()
    await source.stop()
    const again = reading(sourceOf('ahead'))
    await given(again, 1)
  })
})

describe('what the feed needs', () => {
  it('is found with the roles of the bootstrap: the feed reads, the owner publishes', async () => {
    const owner = await connectPostgres({ url: testUrl(database.url, 'migrator') })
    await owner.query('create table owned (id int primary key, text text)')
    await owner.end()
    const source = sourceOf('owned', {
      target: { url: testUrl(database.url, 'feed') },
      adminTarget: { url: testUrl(database.url, 'migrator') },
    })
    await source.open()
    const feed = reading(source)
    await insert('owned', 1)
    await given(feed, 1)
    await feed.until(() => feed.proofs.length > 0, 'A proof')
    expect((await source.lag()).head).not.toBeNull()
  })

  it('is missing for a role without REPLICATION', async () => {
    await sql.query('create table forbidden (id int primary key)')
    await sql.query('create publication forbidden for table forbidden')
    const target = { url: testUrl(database.url, 'app') }
    const error = await failureOf(sourceOf('forbidden', { target, tables: 'published' }).open())
    expect(error).toMatchObject({ code: 'TM_FEED_PERMISSION' })
    expect((error as { fix: string }).fix).toContain('alter role "tidemark_app" replication')
    // The role of the feed reads; it does not own tables.
    const feed = { url: testUrl(database.url, 'feed') }
    const other = await failureOf(
      sourceOf('forbidden', { target: feed, tables: [{ schema: 'public', table: 'forbidden' }] }).open(),
    )
    expect(other).toMatchObject({ code: 'TM_FEED_PERMISSION' })
    expect((other as { fix: string }).fix).toContain("the tables' owner")
  })

  it('is missing without a publication of its own', async () => {
    const absent = sourceOf('absent', { tables: 'published' })
    await expect(absent.open()).rejects.toMatchObject({ code: 'TM_FEED_PUBLICATION' })
    await sql.query('create publication everything for all tables')
    await expect(sourceOf('everything', { tables: 'published' }).open()).rejects.toMatchObject({ code: 'TM_FEED_PUBLICATION' })
    await expect(sourceOf('everything', { tables: [] }).open()).rejects.toMatchObject({ code: 'TM_FEED_PUBLICATION' })
    await sql.query('drop publication everything')
  })

  it('is a name for the slot, and numbers that mean something', async () => {
    await sql.query('create table named (id int primary key)')
    await expect(sourceOf('named', { slot: { name: 'No-Name' } }).open()).rejects.toMatchObject({ code: 'TM_FEED_SLOT_NAME' })
    await expect(sourceOf('named', { slot: { name: 'x'.repeat(41) } }).open()).rejects.toMatchObject({
      code: 'TM_FEED_SLOT_NAME',
    })
    expect(() => sourceOf('named', { beatMs: Number.NaN })).toThrow(/beatMs/)
  })

  it('leaves no connection where opening fails, and tells nothing of itself before', async () => {
    const source = sourceOf('unopened', { tables: 'published' })
    expect(await source.lag()).toMatchObject({ head: null, confirmed: null, behind: 0, headroomBytes: null })
    await failureOf(source.open())
    await until(async () => {
      const { rowCount } = await sql.query(`select from pg_stat_activity where application_name like 'tidemark/feed unopened%'`)
      return rowCount === 0
    })
    expect(await readSlot(sql, 'nothing')).toBeUndefined()
  })
})
