import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { createPools, type Pools } from '../../postgres/postgres.js'
import { bootstrappedTemplate } from '../../schema/testing/bootstrapped-template.js'
import { createFakeClock } from '../../testing/fake-clock.js'
import { adminUrl } from '../../testing/postgres/database.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import type { Catalogue } from '../catalogue.js'
import { findTable } from './find-table.js'
import { type OpenCatalogue, type OpenCatalogueOptions, openCatalogue } from './open-catalogue.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const never = 3_600_000

const opened: { readonly open: OpenCatalogue; readonly pools: Pools }[] = []
afterEach(async () => {
  for (const { open, pools } of opened.splice(0)) {
    await open.stop()
    await pools.stop()
  }
})

/** One that finds changes only in the way that the test is about. */
const keep = (options: Partial<OpenCatalogueOptions> = {}, url = database.url): OpenCatalogue => {
  const pools = createPools({ url, directUrl: database.url })
  const open = openCatalogue({
    pool: pools.primary,
    schemas: ['public'],
    quietMs: 20,
    pollMs: never,
    slowPollMs: never,
    missMs: never,
    ...options,
  })
  opened.push({ open, pools })
  return open
}
const listen = { url: database.url }
const has = (open: OpenCatalogue, table: string): boolean => open.current().table('public', table) !== undefined
const listening = (open: OpenCatalogue) => until(() => open.state().changes === 'events', { what: 'the session that listens' })

describe('the catalogue of a server', () => {
  it('is missing until it is read, and read as soon as it can be', async () => {
    const name = `${database.name}_later`
    const url = new URL(database.url)
    url.pathname = `/${name}`
    const open = keep({}, url.href)
    expect(() => open.current()).toThrow(expect.objectContaining({ code: 'PGRST002', status: 503 }))
    await until(() => open.state().failure, { what: 'a reading that fails' })
    await expect(open.answer(() => 1)).rejects.toMatchObject({ code: 'PGRST002' })
    const admin = new pg.Client({ connectionString: adminUrl() })
    await admin.connect()
    try {
      await admin.query(`create database ${name}`)
      expect((await open.ready()).generation).toBe(1)
      expect(open.state()).toMatchObject({ generation: 1, failure: undefined, changes: 'polling' })
      for (const one of opened.splice(0)) {
        await one.open.stop()
        await one.pools.stop()
      }
    } finally {
      await admin.query(`drop database if exists ${name} with (force)`)
      await admin.end()
    }
  })

  it('follows a change that announces itself, once for many', async () => {
    const open = keep({ listen, quietMs: 200, maxDelayMs: 10_000 })
    await open.ready()
    await listening(open)
    const before = open.state().generation
    for (let i = 0; i < 20; i += 1) await client.query(`create table announced_${i} (id int primary key)`)
    await until(() => has(open, 'announced_19'), { what: 'the last table' })
    expect(open.state().generation - before).toBeLessThan(8)
    expect(has(open, 'announced_0')).toBe(true)
    await client.query('drop table announced_19')
    await until(() => !has(open, 'announced_19'), { what: 'the table to be gone' })
  })

  it('is read while changes never cease', async () => {
    const open = keep({ listen, quietMs: never, maxDelayMs: 50 })
    await open.ready()
    await listening(open)
    await client.query('create table without_end (id int)')
    await until(() => has(open, 'without_end'), { what: 'a reading in the midst of changes' })
  })

  it('is read when somebody asks for it', async () => {
    const open = keep({ listen })
    await open.ready()
    await listening(open)
    for (const payload of ['reload schema', 'reload config', '']) {
      const { generation } = open.state()
      await client.query(payload === '' ? 'notify pgrst' : `notify pgrst, '${payload}'`)
      await until(() => open.state().generation > generation, { what: `a reading after "${payload}"` })
    }
    const { generation } = open.state()
    await client.query(`notify pgrst, 'something else'; notify other, 'reload schema'`)
    await open.reload()
    expect(open.state().generation).toBe(generation + 1)
  })

  it('misses nothing while its session is lost', async () => {
    const open = keep({ listen })
    await open.ready()
    await listening(open)
    for (let i = 0; i < 3; i += 1) {
      await client.query(`alter event trigger tidemark_ddl_watch disable`)
      await client.query(`create table lost_${i} (id int)`)
      await client.query(`alter event trigger tidemark_ddl_watch enable`)
      await client.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tidemark/rest-catalogue' and datname = current_database()`,
      )
      await until(() => has(open, `lost_${i}`), { what: 'the change that nobody announced' })
    }
    await listening(open)
  })

  it('serves what it has while Postgres cannot be read', async () => {
    const open = keep({ listen })
    await open.ready()
    await listening(open)
    const { generation } = open.state()
    await client.query(`create table locked as select 1 as id; create view locked_view as select * from locked`)
    await until(() => has(open, 'locked_view'), { what: 'the view' })
    await client.query('begin; lock table locked_view in access exclusive mode')
    try {
      open.reload().catch(() => undefined)
      expect(has(open, 'locked_view')).toBe(true)
      expect(open.state().generation).toBeGreaterThan(generation)
    } finally {
      await client.query('rollback')
    }
  })

  it('polls where nothing announces changes, and reads only what has changed', async () => {
    const open = keep({ pollMs: 20 })
    await open.ready()
    expect(open.state().changes).toBe('polling')
    await client.query('create table polled (id int)')
    await until(() => has(open, 'polled'), { what: 'the table' })
    const { generation } = open.state()
    await client.query('insert into polled select generate_series(1, 1000)')
    await client.query('create temporary table passing (id int); drop table passing')
    await client.query('alter table polled add column later int')
    await until(() => open.current().table('public', 'polled')?.columns.has('later'), { what: 'the column' })
    expect(open.state().generation).toBe(generation + 1)
  })

  it('polls where there is a transaction pooler alone, through that', async () => {
    const pooled = new URL(database.url)
    pooled.searchParams.set('pgbouncer', 'true')
    const open = keep({ listen: { url: pooled.href }, pollMs: 20 }, pooled.href)
    await open.ready()
    await client.query('create table pooled (id int)')
    await until(() => has(open, 'pooled'), { what: 'the table' })
    expect(open.state().changes).toBe('polling')
  })

  it('polls where event triggers are missing, though it listens', async () => {
    await client.query('alter event trigger tidemark_ddl_watch disable')
    try {
      const open = keep({ listen, pollMs: 20 })
      await open.ready()
      await client.query('create table unannounced (id int)')
      await until(() => has(open, 'unannounced'), { what: 'the table' })
      expect(open.state().changes).toBe('polling')
    } finally {
      await client.query('alter event trigger tidemark_ddl_watch enable')
    }
  })
})

describe('an answer', () => {
  const columns = (name: string) => (catalogue: Catalogue) => [...findTable(catalogue, 'public', name).columns.keys()]

  it('that fails at an unknown name is tried once more with what is there now', async () => {
    const open = keep({ missMs: 0 })
    await open.ready()
    await client.query('create table just_made (id int)')
    expect(await open.answer(columns('just_made'))).toEqual(['id'])
    await client.query('alter table just_made rename column id to other')
    const asked: string[] = []
    const read = async (catalogue: Catalogue) => {
      const [column] = columns('just_made')(catalogue)
      asked.push(column!)
      return (await client.query(`select "${column}" from just_made`)).rows
    }
    expect(await open.answer(read)).toEqual([])
    expect(asked).toEqual(['id', 'other'])
  })

  it('looks for changes once in a while only, and reads nothing where there are none', async () => {
    const clock = createFakeClock()
    const open = keep({ missMs: 1_000, clock })
    await open.ready()
    for (const name of ['made_later', 'made_last']) {
      await client.query(`create table ${name} (id int)`)
      await expect(open.answer(columns(name))).rejects.toMatchObject({ code: 'PGRST205' })
      await clock.advance(999)
      await expect(open.answer(columns(name))).rejects.toMatchObject({ code: 'PGRST205' })
      await clock.advance(1)
      expect(await open.answer(columns(name))).toEqual(['id'])
    }
    await clock.advance(1_000)
    await expect(open.answer(columns('never_made'))).rejects.toMatchObject({ code: 'PGRST205' })
    expect(open.state().generation).toBe(3)
  })

  it('passes on any other failure as it is', async () => {
    const open = keep({ missMs: 0 })
    await open.ready()
    const { generation } = open.state()
    await client.query('create table unrelated (id int)')
    const failure = new Error('no')
    await expect(open.answer(() => Promise.reject(failure))).rejects.toBe(failure)
    expect(open.state().generation).toBe(generation)
  })
})

describe('a catalogue that is stopped', () => {
  it('leaves no session behind, whoever stops it', async () => {
    const stopping = new AbortController()
    const open = keep({ listen, signal: stopping.signal })
    const other = keep({ listen, pollMs: 10 })
    await Promise.all([open.ready(), other.ready()])
    await Promise.all([listening(open), listening(other)])
    stopping.abort()
    await Promise.all([open.stop(), other.stop()])
    await until(async () => {
      const { rows } = await client.query(
        `select from pg_stat_activity where application_name = 'tidemark/rest-catalogue' and datname = current_database()`,
      )
      return rows.length === 0
    })
    expect(has(open, 'nothing')).toBe(false)
  })

  it('before it is read never is', async () => {
    const open = keep({}, database.url.replace(/\/[^/]*$/, '/absent_database'))
    const ready = open.ready()
    await open.stop()
    await expect(ready).rejects.toMatchObject({ code: 'PGRST002' })
  })
})
