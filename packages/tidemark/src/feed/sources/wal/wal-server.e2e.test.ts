import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { connectPostgres } from '../../../postgres/driver/connect.js'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../postgres/embedded/embedded.js'
import { openState, type State } from '../../../state/state.js'
import { plain, type Reading, read } from '../../../testing/feed-conformance/collected.js'
import { copyBareState } from '../../../testing/project/prepared-project.js'
import { until } from '../../../time/until.js'
import { listSlots } from '../../slots.js'
import { createWalSource, type WalSource, type WalSourceOptions } from './wal-source.js'

const settings = {
  max_connections: '30',
  shared_buffers: '32MB',
  max_slot_wal_keep_size: '48MB',
  min_wal_size: '32MB',
  max_wal_size: '32MB',
}
const bookkeeping = `
  create schema tidemark;
  create table tidemark.feed_slots (slot_name text primary key, incarnation text not null, epoch text not null, publication text[] not null default '{}',
    created_at timestamptz default now())`

let dir: string
let state: State
let server: EmbeddedPostgres
const start = (extra: Record<string, string> = {}) =>
  startEmbeddedPostgres({ state, disposable: true, restart: false, settings: { ...settings, ...extra } })

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tidemark-wal-'))
  await copyBareState(dir)
  state = await openState(dir)
  server = await start()
  await run(bookkeeping)
})
afterAll(async () => {
  await server.stop()
  await rm(dir, { recursive: true, force: true })
})

const run = async (sql: string): Promise<pg.QueryResult> => {
  const client = await connectPostgres({ url: server.url })
  try {
    return await client.query(sql)
  } finally {
    await client.end()
  }
}

const sourceOf = (name: string, options: Partial<WalSourceOptions> = {}): WalSource =>
  createWalSource({
    target: { url: server.url },
    slot: { name },
    publication: name,
    tables: [{ schema: 'public', table: name }],
    replayWindowMs: 0,
    beatMs: 50,
    ...options,
  })

const idsOf = ({ transactions }: Reading): string[] =>
  transactions.flatMap(({ changes }) => changes.map((change) => String(plain(change).new?.id)))
const given = (from: Reading, id: number) => from.until(() => idsOf(from).includes(String(id)), `The row ${id}`)

it('goes on after a restart of the server, and does not hold its end up', async () => {
  await run('create table restarted (id int primary key)')
  // Nothing is confirmed to the server for an hour: it would wait for that long before it ends.
  const source = sourceOf('restarted', { replayWindowMs: 3_600_000, beatMs: 60_000 })
  await source.open()
  const feed = read(source)
  await run('insert into restarted values (1)').then(() => given(feed, 1))
  const stoppingAt = performance.now()
  await server.stop()
  expect(performance.now() - stoppingAt).toBeLessThan(60_000)
  server = await start()
  await run('insert into restarted values (2)')
  await given(feed, 2)
  expect(idsOf(feed)).toEqual(['1', '2'])
  expect(feed.resets).toHaveLength(1)
  await feed.end()
  await source.stop()
})

it('S1 waits with a transaction until the standby that holds it back lets readers see it', async () => {
  await run('create table held (id int primary key)')
  const source = sourceOf('held')
  await source.open()
  const feed = read(source)
  await run('insert into held values (1)').then(() => given(feed, 1))
  await run(`alter system set synchronous_standby_names = 'nobody'`).then(() => run('select pg_reload_conf()'))
  await until(async () => (await run('show synchronous_standby_names')).rows[0].synchronous_standby_names === 'nobody')
  const writer = await connectPostgres({ url: server.url })
  await writer.query('set synchronous_commit = on')
  let committed = false
  const writing = writer.query('insert into held values (2)').then(() => {
    committed = true
  })
  await until(async () => (await run(`select from pg_stat_activity where wait_event = 'SyncRep'`)).rowCount === 1)
  // The log is past it, as a proof of a later moment than that would say; readers do not see it.
  const flushed = (await run('select pg_current_wal_flush_lsn() as lsn')).rows[0].lsn
  const sent = `select from pg_stat_replication where sent_lsn >= '${flushed}'`
  await until(async () => (await run(sent)).rowCount === 1)
  const proofs = feed.proofs.length
  expect((await run('select from held')).rowCount).toBe(1)
  const since = performance.now()
  await until(() => performance.now() - since > 300)
  expect(idsOf(feed)).toEqual(['1'])
  // Nor is anything proven past it (S5).
  expect(feed.proofs.length - proofs).toBeLessThanOrEqual(1)
  expect(committed).toBe(false)
  await run(`alter system reset synchronous_standby_names`).then(() => run('select pg_reload_conf()'))
  await writing
  await given(feed, 2)
  await writer.end()
  await feed.end()
  await source.stop()
})

it('S3 FEED-4 begins anew where the server gave the slot up to save its disk', async () => {
  await run('create table given_up (id int primary key); create table noise (text text)')
  const source = sourceOf('given_up')
  await source.open()
  const feed = read(source)
  await run('insert into given_up values (1)').then(() => given(feed, 1))
  // Never confirmed, while much more is written than may be kept.
  const invalidated = async () => {
    await run(`insert into noise select repeat('x', 1000) from generate_series(1, 20000)`)
    await run('select pg_switch_wal()')
    await run('checkpoint')
    return feed.resets.length === 2
  }
  await until(invalidated, { timeoutMs: 60_000 })
  expect(feed.resets[1]).toMatchObject({ reason: 'slotLost' })
  await run('insert into given_up values (2)')
  await given(feed, 2)
  const slots = await connectPostgres({ url: server.url }).then(async (client) => {
    const found = await listSlots(client)
    await client.end()
    return found
  })
  expect(slots.find(({ name }) => name.endsWith('given_up'))).toMatchObject({ invalidated: null })
  await feed.end()
  await source.stop()
})

it('says what to set where the server writes no logical changes, or has no room for a slot', async () => {
  await run('create table unlogical (id int primary key)')
  await run('select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active')
  await server.stop()
  server = await start({ wal_level: 'replica' })
  await expect(sourceOf('unlogical').open()).rejects.toMatchObject({
    code: 'TM_FEED_WAL_LEVEL',
    parameters: { level: 'replica' },
  })
  await server.stop()
  server = await start({ max_replication_slots: '1' })
  await run(`select pg_create_physical_replication_slot('full')`)
  await expect(sourceOf('unlogical').open()).rejects.toMatchObject({ code: 'TM_FEED_SLOT_LIMIT' })
})
