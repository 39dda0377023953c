import { connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import type { BatchStatement, Pool, Pools } from '../postgres.js'
import { sqlstateOf } from '../postgres-error.js'
import { createPools, type PoolsOptions } from './pools.js'

const database = useDatabase()
const admin = useClient(database)
beforeAll(async () => {
  await admin.query(`create table note (id int primary key, text text);
    create table late (id int primary key, note_id int references note deferrable initially deferred)`)
})

const opened: Pools[] = []
const closers: (() => void)[] = []
afterEach(async () => {
  for (const pools of opened.splice(0)) await pools.stop(0)
  for (const close of closers.splice(0)) close()
  await admin.query('truncate note, late')
})

const open = (options: Partial<PoolsOptions> = {}): Pool => {
  const settings = { maxConnections: 1, minConnections: 0, ...options.pools?.primary }
  const pools = createPools({ url: database.url, ...options, pools: { primary: settings } })
  opened.push(pools)
  return pools.primary
}

const statement = (text: string, values: BatchStatement['values'] = [], name?: string): BatchStatement => ({
  text,
  values,
  ...(name !== undefined && { name }),
})
const insert = (id: number, text: string | null = null) => statement('insert into note values ($1, $2)', [String(id), text])
const ids = async () => (await admin.query<{ id: number }>('select id from note order by id')).rows.map(({ id }) => id)
const stateOf = async (pool: Pool) =>
  (
    await pool.query(`select current_setting('role') as role, coalesce(current_setting('my.setting', true), '') as setting,
      pg_current_xact_id_if_assigned() is not null as busy, pg_backend_pid() as pid`)
  ).rows[0]

/** A way to the server that counts how often the client spoke after the server had. */
const startProxy = async () => {
  const { hostname, port } = new URL(database.url)
  const sockets = new Set<Socket>()
  let turns = 0
  let serverSpoke = false
  let dropAnswers = false
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    client.on('data', (data) => {
      if (serverSpoke) turns += 1
      serverSpoke = false
      upstream.write(data)
    })
    upstream.on('data', (data) => {
      serverSpoke = true
      if (dropAnswers) client.destroy()
      else client.write(data)
    })
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address() as { port: number }
  const url = new URL(database.url)
  url.hostname = '127.0.0.1'
  url.port = String(address.port)
  closers.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    url: url.href,
    turns: () => turns,
    dropAnswers: () => {
      dropAnswers = true
    },
  }
}

describe('a batch', () => {
  it('runs as one transaction, and gives every value as Postgres writes it', async () => {
    const pool = open()
    const results = await pool.batch([
      insert(1, 'é'),
      statement('select id, text, null, $1::bytea, $2 from note', [Buffer.from([0, 255]), 'x']),
      statement(''),
    ])
    expect(results).toEqual([
      { rows: [], tag: 'INSERT 0 1' },
      { rows: [['1', 'é', null, '\\x00ff', 'x']], tag: 'SELECT 1' },
      { rows: [], tag: '' },
    ])
    expect(await ids()).toEqual([1])
  })

  it('takes one round trip', async () => {
    const proxy = await startProxy()
    const pool = open({ url: proxy.url })
    await pool.query('select 1')
    const before = proxy.turns()
    await pool.batch([insert(1), statement('select * from note', [], 'all')], {
      settings: [['my.setting', 'x']],
      readOnly: false,
    })
    expect(proxy.turns() - before).toBe(1)
    expect(await ids()).toEqual([1])
  })

  it('makes settings in their order, for itself alone', async () => {
    const pool = open()
    const [shown] = await pool.batch([statement(`select current_user, current_setting('my.setting')`)], {
      settings: [
        ['my.setting', 'first'],
        ['role', 'pg_monitor'],
        ['my.setting', `last '; drop table note; --`],
      ],
    })
    expect(shown?.rows).toEqual([['pg_monitor', `last '; drop table note; --`]])
    expect(await stateOf(pool)).toMatchObject({ role: 'none', setting: '' })
    const unknown = pool.batch([statement('select 1')], { settings: [['role', 'nobody there']] })
    await expect(unknown).rejects.toSatisfy((error) => sqlstateOf(error) === '22023')
  })

  it('may be read only and isolated', async () => {
    const pool = open()
    const shown = await pool.batch(
      [statement(`select current_setting('transaction_read_only'), current_setting('transaction_isolation')`)],
      {
        readOnly: true,
        isolation: 'serializable',
      },
    )
    expect(shown[0]?.rows).toEqual([['on', 'serializable']])
    await expect(pool.batch([insert(1)], { readOnly: true })).rejects.toSatisfy((error) => sqlstateOf(error) === '25006')
    expect(await ids()).toEqual([])
  })

  it('leaves nothing behind when a statement fails, and the connection clean', async () => {
    const pool = open()
    const { pid } = (await stateOf(pool)) as { pid: number }
    const failing = [insert(1), statement('select 1 / $1::int', ['0'], 'division'), insert(2)]
    for (const end of ['commit', 'rollback'] as const) {
      const batch = pool.batch(failing, { end, settings: [['role', 'pg_write_all_data']] })
      await expect(batch).rejects.toMatchObject({
        code: 'TM_POSTGRES_QUERY',
        message: expect.stringContaining('division by zero'),
      })
      expect(await stateOf(pool)).toEqual({ pid, role: 'none', setting: '', busy: false })
    }
    expect(await ids()).toEqual([])
    await pool.batch([statement('select 1 / $1::int', ['1'], 'division')])
  })

  it('leaves nothing behind when COMMIT fails', async () => {
    const pool = open()
    const { pid } = (await stateOf(pool)) as { pid: number }
    const batch = pool.batch([insert(1), statement('insert into late values (1, 99)')])
    await expect(batch).rejects.toSatisfy((error) => sqlstateOf(error) === '23503')
    expect(await stateOf(pool)).toMatchObject({ pid, busy: false })
    expect(await ids()).toEqual([])
  })

  it('is undone where that is asked for', async () => {
    const pool = open()
    const [, count] = await pool.batch([insert(1), statement('select count(*) from note')], { end: 'rollback' })
    expect(count?.rows).toEqual([['1']])
    expect(await ids()).toEqual([])
  })

  it('ends at the limit of time that one of its settings makes', async () => {
    const pool = open()
    const batch = pool.batch([insert(1), statement('select pg_sleep(60)')], { settings: [['statement_timeout', '50ms']] })
    await expect(batch).rejects.toMatchObject({ code: 'TM_POSTGRES_TIMEOUT' })
    expect(await ids()).toEqual([])
    expect(await stateOf(pool)).toMatchObject({ busy: false })
  })

  it('ends when its caller goes away, in the server too', async () => {
    const pool = open()
    const caller = new AbortController()
    const batch = pool.batch([insert(1), statement('select pg_sleep(60)')], { signal: caller.signal })
    const sleeping = async () =>
      (await admin.query(`select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`)).rowCount
    await until(async () => (await sleeping()) === 1)
    caller.abort(new Error('gone'))
    await expect(batch).rejects.toThrow('gone')
    await until(async () => (await sleeping()) === 0)
    expect(await ids()).toEqual([])
    expect(await stateOf(pool)).toMatchObject({ busy: false })
  })
})

describe('a connection that breaks during a batch', () => {
  it('takes the transaction along, and is replaced', async () => {
    const pool = open({ retry: { attempts: 2, baseMs: 1 } })
    const suicide = statement('select pg_terminate_backend(pg_backend_pid(), 5000)')
    for (const readOnly of [true, false]) {
      const batch = pool.batch([...(readOnly ? [] : [insert(1)]), suicide], { readOnly })
      await expect(batch).rejects.toMatchObject({ code: 'TM_POSTGRES_UNREACHABLE' })
    }
    expect(pool.stats().retries).toBe(2)
    expect(await ids()).toEqual([])
    expect(await stateOf(pool)).toMatchObject({ busy: false })
  })

  it('is no reason to fail where the server said that it ends it, since nothing was done', async () => {
    const pool = open()
    const { pid } = (await stateOf(pool)) as { pid: number }
    await admin.query(
      'create or replace function die_once(int) returns void language plpgsql as $f$ begin if pg_backend_pid() = $1 then perform pg_terminate_backend($1, 5000); end if; end $f$',
    )
    await pool.batch([insert(1), statement('select die_once($1)', [String(pid)])])
    expect(await ids()).toEqual([1])
    expect(pool.stats().retries).toBe(1)
  })

  it('without a word leaves it open whether a write took place, and a read is done again', async () => {
    const proxy = await startProxy()
    const pool = open({ url: proxy.url, retry: { attempts: 2, baseMs: 1 } })
    await pool.query('select 1')
    proxy.dropAnswers()
    await expect(pool.batch([insert(1)])).rejects.toMatchObject({ code: 'TM_POSTGRES_CONNECTION_LOST' })
    expect(pool.stats().retries).toBe(0)
    await expect(pool.batch([statement('select 1')], { readOnly: true })).rejects.toMatchObject({
      code: 'TM_POSTGRES_UNREACHABLE',
    })
    expect(pool.stats().retries).toBe(1)
    await until(async () => (await ids()).length === 1)
  })
})

describe('the statements that a batch prepares', () => {
  const held = async (pool: Pool) =>
    (await pool.query<{ name: string }>('select name from pg_prepared_statements order by name')).rows.map(({ name }) => name)

  it('are parsed once, and bounded', async () => {
    const pool = open()
    for (let round = 0; round < 3; round += 1) await pool.batch([statement('select 1', [], 'one')])
    expect(await held(pool)).toEqual(['one', 'tidemark begin', 'tidemark commit'])
    const calls = await pool.query<{ n: number }>(
      `select (generic_plans + custom_plans)::int as n from pg_prepared_statements where name = 'one'`,
    )
    expect(calls.rows).toEqual([{ n: 3 }])
    for (let n = 0; n < 300; n += 1) await pool.batch([statement(`select ${n}`, [], `n${n}`)])
    expect((await held(pool)).length).toBe(128)
  })

  it('whose text is wrong do not stand in the way of the next', async () => {
    const pool = open()
    await expect(pool.batch([statement('select nothing', [], 'n')])).rejects.toMatchObject({ code: 'TM_POSTGRES_QUERY' })
    await admin.query('create or replace function nothing() returns int language sql as $f$ select 1 $f$')
    expect((await pool.batch([statement('select nothing()', [], 'n')]))[0]?.rows).toEqual([['1']])
  })

  it('may be lost: the batch runs without names', async () => {
    const pool = open()
    await pool.batch([insert(1)])
    await pool.query('deallocate all')
    await pool.batch([insert(2)])
    await pool.batch([insert(3)])
    expect(await ids()).toEqual([1, 2, 3])
    expect(await held(pool)).toEqual([])
  })

  it('are none behind a transaction pooler, where each transaction carries its limit of time', async () => {
    const pool = open({ url: `${database.url}&pgbouncer=true`, directUrl: database.url, statementTimeoutMs: 1234 })
    const [shown] = await pool.batch([statement(`select current_setting('statement_timeout')`, [], 'x')])
    expect(shown?.rows).toEqual([['1234ms']])
    expect(await held(pool)).toEqual([])
  })
})
