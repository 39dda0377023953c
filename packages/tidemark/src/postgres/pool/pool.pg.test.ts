import type pg from 'pg'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import type { Client, Pool, PoolName, Pools } from '../postgres.js'
import { sqlstateOf } from '../postgres-error.js'
import { createPools, type PoolsOptions } from './pools.js'

const database = useDatabase()
const admin = useClient(database)
beforeAll(async () => {
  await admin.query('create table note (id int primary key, text text)')
})

const opened: Pools[] = []
afterEach(async () => {
  for (const pools of opened.splice(0)) await pools.stop(0)
  await admin.query('truncate note')
})

const open = (options: Partial<PoolsOptions> = {}): Pools => {
  const pools = createPools({ url: database.url, ...options })
  opened.push(pools)
  return pools
}
const openPrimary = (settings: NonNullable<PoolsOptions['pools']>['primary'] = {}, options: Partial<PoolsOptions> = {}): Pool =>
  open({ pools: { primary: settings }, ...options }).primary

const sessions = async (name: PoolName) =>
  (
    await admin.query<{ pid: number }>(
      'select pid from pg_stat_activity where datname = current_database() and application_name = $1 order by pid',
      [`tidemark/${name}`],
    )
  ).rows.map(({ pid }) => pid)
const pidOf = async (client: Client) => (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid
const kill = (pid: number) => admin.query('select pg_terminate_backend($1, 5000)', [pid])

/** Takes connections and keeps them until told to let go. */
const occupy = async (pool: Pool, count = 1) => {
  let letGo = () => {}
  const free = new Promise<void>((resolve) => {
    letGo = resolve
  })
  let taken = 0
  const work = Array.from({ length: count }, () =>
    pool.withClient(async () => {
      taken += 1
      await free
    }),
  )
  await until(() => taken === count)
  return async () => {
    letGo()
    await Promise.all(work)
  }
}

describe('the pools', () => {
  it('R28, R33, C32: are there as they are named, with the documented sizes by default, which fit the server together (C73)', async () => {
    const { primary, analytics, migration, secondary } = open({ secondaryUrl: database.url })
    const sizes = [primary, analytics, migration, secondary!].map((pool) => pool.stats())
    expect(sizes.map(({ name, maxConnections, minConnections }) => [name, maxConnections, minConnections])).toEqual([
      ['primary', 20, 5],
      ['analytics', 10, 2],
      ['migration', 5, 1],
      ['secondary', 10, 1],
    ])
    const sum = sizes.reduce((total, { maxConnections }) => total + maxConnections, 0)
    const { rows } = await admin.query<{ max: number }>(
      `select least(100, current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int) as max`,
    )
    expect(sum).toBeLessThan(rows[0]!.max)
  })

  it('R32, R113: open their minimum at the start, named for pg_stat_activity, and tell how they are', async () => {
    const pools = open()
    await pools.start()
    const counts: number[] = []
    for (const name of ['primary', 'analytics', 'migration'] as const) counts.push((await sessions(name)).length)
    expect(counts).toEqual([5, 2, 1])
    const health = await pools.health()
    expect(health).toMatchObject({
      ok: true,
      pools: { primary: { ok: true, stats: { total: 5, idle: 5, inUse: 0, utilisation: 0 } } },
    })
    expect(Object.keys(health.pools)).toEqual(['primary', 'analytics', 'migration'])
  })

  it('say what is wrong where there is no server, at the start and when asked for their health', async () => {
    const pools = open({ url: 'postgres://ann:topsecret@127.0.0.1:1/app', retry: { attempts: 2, baseMs: 1 } })
    const error = await pools.start().catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'TM_POSTGRES_UNREACHABLE', parameters: { target: '127.0.0.1:1/app' } })
    expect(JSON.stringify(error)).not.toContain('topsecret')
    expect(await pools.health()).toMatchObject({ ok: false, pools: { primary: { ok: false, error: 'TM_POSTGRES_UNREACHABLE' } } })
  })

  it('refuse sizes that make no sense, by the name of the option', () => {
    for (const [maxConnections, minConnections] of [
      [0, 0],
      [2, 3],
      [1.5, 1],
      [5, -1],
    ] as const) {
      expect(() => open({ pools: { primary: { maxConnections, minConnections } } })).toThrow(
        /postgres\.primary\.m(ax|in)Connections/,
      )
    }
  })

  it('C33: ask for a direct connection string where only a pooler is known', () => {
    expect(() => open({ url: 'postgres://a@pooler.example.com:6543/x' })).toThrow(
      expect.objectContaining({ code: 'TM_CONFIG_MISSING', message: 'Option DIRECT_URL is not set.' }),
    )
    expect(open({ url: 'postgres://a@pooler.example.com:6543/x', directUrl: database.url }).migration.name).toBe('migration')
  })
})

describe('a statement', () => {
  it('gives its rows, and its error with the SQLSTATE', async () => {
    const pool = openPrimary()
    expect((await pool.query<{ sum: number }>('select $1::int + 1 as sum', [41])).rows).toEqual([{ sum: 42 }])
    const error = await pool.query('select * from missing').catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'TM_POSTGRES_QUERY', parameters: { sqlstate: '42P01' } })
    expect(sqlstateOf(error)).toBe('42P01')
  })

  it('ends when its time is up', async () => {
    const pool = openPrimary({}, { statementTimeoutMs: 30 })
    await expect(pool.query('select pg_sleep(10)')).rejects.toMatchObject({ code: 'TM_POSTGRES_TIMEOUT' })
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('is cancelled in the server by an abort', async () => {
    const pool = openPrimary()
    const abort = new AbortController()
    const work = pool.query('select pg_sleep(30) /* to be cancelled */', [], { signal: abort.signal })
    const running = async () =>
      (
        await admin.query(
          `select from pg_stat_activity where datname = current_database() and query like 'select pg_sleep(30) /* to be%'`,
        )
      ).rowCount
    await until(async () => (await running()) === 1)
    abort.abort(new Error('enough'))
    await expect(work).rejects.toThrow('enough')
    await until(async () => (await running()) === 0)
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    await expect(pool.query('select 1', [], { signal: abort.signal })).rejects.toThrow('enough')
  })

  it('is prepared under its name, once per connection', async () => {
    const pool = openPrimary({ maxConnections: 1, minConnections: 0 })
    for (let run = 0; run < 2; run++) await pool.query('select $1::int', [run], { name: 'by_name' })
    const { rows } = await pool.query(`select name from pg_prepared_statements where name = 'by_name'`)
    expect(rows).toEqual([{ name: 'by_name' }])
  })

  it('C33: is not prepared by name behind a transaction pooler, where its limit goes with each transaction', async () => {
    const url = `${database.url}${database.url.includes('?') ? '&' : '?'}pgbouncer=true`
    const pool = openPrimary({ maxConnections: 1, minConnections: 0 }, { url, directUrl: database.url, statementTimeoutMs: 1234 })
    await pool.query('select $1::int', [1], { name: 'by_name' })
    expect((await pool.query('select name from pg_prepared_statements')).rows).toEqual([])
    expect((await pool.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '0' }])
    const limit = await pool.transaction((client) => client.query('show statement_timeout'))
    expect(limit.rows).toEqual([{ statement_timeout: '1234ms' }])
  })
})

describe('C37: the times of a pool', () => {
  it('tell connecting from acquiring, and both from the statement', async () => {
    const events: string[] = []
    const slow: string[] = []
    const pool = openPrimary(
      { maxConnections: 1, minConnections: 0 },
      {
        slowQueryMs: 50,
        observer: {
          acquired: () => events.push('acquired'),
          connected: () => events.push('connected'),
          queried: ({ failed }) => events.push(failed ? 'failed' : 'queried'),
          slow: ({ text }) => {
            slow.push(text)
            throw new Error('an observer that fails')
          },
        },
      },
    )
    await pool.query('select pg_sleep(0.06), $1::text', ['a value'])
    await pool.query('select 1')
    await pool.query('select 1/0').catch(() => undefined)
    expect(events).toEqual(['connected', 'acquired', 'queried', 'acquired', 'queried', 'acquired', 'failed'])
    expect(slow).toEqual(['select pg_sleep(0.06), $1::text'])
    const { acquire, connect, query } = pool.stats()
    expect([acquire.count, connect.count, query.count]).toEqual([3, 1, 3])
    expect(connect.sumMs).toBeGreaterThan(0)
    expect(acquire.maxMs).toBeGreaterThanOrEqual(connect.maxMs)
    expect(query.maxMs).toBeGreaterThanOrEqual(60)
  })
})

describe('a full pool', () => {
  it('makes callers wait, then refuses them with its numbers', async () => {
    const pool = openPrimary({ maxConnections: 2, minConnections: 0, acquireTimeoutMs: 60 })
    const letGo = await occupy(pool, 2)
    const late = pool.query('select 1')
    expect(pool.stats()).toMatchObject({ inUse: 2, waiting: 1, utilisation: 1, idle: 0 })
    await expect(late).rejects.toMatchObject({
      code: 'TM_POSTGRES_POOL_TIMEOUT',
      parameters: { pool: 'primary', timeoutMs: 60, inUse: 2, maxConnections: 2 },
    })
    const patient = pool.query('select 1 as one')
    await letGo()
    expect((await patient).rows).toEqual([{ one: 1 }])
    expect(pool.stats()).toMatchObject({ inUse: 0, waiting: 0, timeouts: 1, total: 2 })
  })

  it('R31: never opens more than its maximum, whatever the rush', async () => {
    const pool = openPrimary({ maxConnections: 3, minConnections: 1 })
    await pool.start()
    // Each takes a moment: what two connections can answer before there is a third is no rush.
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_none, index) => pool.query<{ i: number }>('select $1::int as i, pg_sleep(0.01)', [index])),
    )
    expect(answers.map(({ rows }) => rows[0]!.i)).toEqual(Array.from({ length: 60 }, (_none, index) => index))
    expect(await sessions('primary')).toHaveLength(3)
  })

  it('closes what is above its minimum when nobody uses it', async () => {
    const pool = openPrimary({ maxConnections: 4, minConnections: 2, idleTimeoutMs: 50 })
    await pool.start()
    const letGo = await occupy(pool, 4)
    expect(pool.stats().total).toBe(4)
    await letGo()
    await until(() => pool.stats().total === 2)
    // Postgres ends a session after its client has closed it.
    await until(async () => (await sessions('primary')).length === 2)
  })
})

describe('a connection that is lost', () => {
  it('while idle is replaced, and nobody notices', async () => {
    const lost: string[] = []
    const pool = openPrimary({ maxConnections: 3, minConnections: 2 }, { observer: { lost: ({ reason }) => lost.push(reason) } })
    await pool.start()
    const before = await sessions('primary')
    for (const pid of before) await kill(pid)
    await until(async () => (await sessions('primary')).length === 2)
    expect((await sessions('primary')).some((pid) => before.includes(pid))).toBe(false)
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect([lost.length, pool.stats().lost]).toEqual([2, 2])
  })

  it('under a statement fails it, unless that may be run twice', async () => {
    const pool = openPrimary({ maxConnections: 2, minConnections: 0 })
    const once = pool.query('select pg_sleep(20) /* once */')
    const again = pool.query(
      "select case when nextval('runs') = 1 then pg_sleep(20)::text else $1 end as answer",
      ['second run'],
      { idempotent: true },
    )
    once.catch(() => undefined)
    again.catch(() => undefined)
    await until(async () => (await sessions('primary')).length === 2)
    await until(
      async () =>
        (await admin.query(`select from pg_stat_activity where wait_event = 'PgSleep' and datname = $1`, [database.name]))
          .rowCount === 2,
    )
    for (const pid of await sessions('primary')) await kill(pid)
    await expect(once).rejects.toMatchObject({ code: 'TM_POSTGRES_UNREACHABLE' })
    expect((await again).rows).toEqual([{ answer: 'second run' }])
    expect(pool.stats().retries).toBe(1)
  })
  beforeAll(() => admin.query('create sequence runs'))

  it('leaves a statement in doubt where the server said nothing, and the error says so', async () => {
    const pool = openPrimary({ maxConnections: 1, minConnections: 0 })
    const work = pool.withClient(async (client) => {
      const running = client.query('select pg_sleep(20)')
      ;(client.raw as pg.Client).connection.stream.destroy()
      await running
    })
    await expect(work).rejects.toMatchObject({ code: 'TM_POSTGRES_CONNECTION_LOST', retryable: false })
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('between transactions does not fail the next one, which has not begun yet', async () => {
    const pool = openPrimary({ maxConnections: 1, minConnections: 0 })
    await pool.query('select 1')
    await kill((await sessions('primary'))[0]!)
    expect((await pool.transaction((client) => client.query('select 1 as one'))).rows).toEqual([{ one: 1 }])
  })
})

describe('a transaction', () => {
  it('commits what it did, and gives its answer', async () => {
    const pool = openPrimary()
    const answer = await pool.transaction(async (client) => {
      await client.query(`insert into note values (1, 'kept')`)
      return 'done'
    })
    expect(answer).toBe('done')
    expect((await admin.query('select text from note')).rows).toEqual([{ text: 'kept' }])
  })

  it('R75: undoes everything when it fails, and passes the error on as it is', async () => {
    const pool = openPrimary({ maxConnections: 1, minConnections: 0 })
    const failure = new RangeError('mine')
    await expect(
      pool.transaction(async (client) => {
        await client.query(`insert into note values (1, 'gone')`)
        throw failure
      }),
    ).rejects.toBe(failure)
    expect((await pool.query('select from note')).rowCount).toBe(0)
  })

  it('does not pass for committed where an error inside was caught', async () => {
    const pool = openPrimary()
    const work = pool.transaction(async (client) => {
      await client.query(`insert into note values (1, 'gone')`)
      await client.query('select 1/0').catch(() => undefined)
    })
    await expect(work).rejects.toMatchObject({ code: 'TM_POSTGRES_QUERY', parameters: { sqlstate: '25P02' } })
    expect((await pool.query('select from note')).rowCount).toBe(0)
  })

  it('has the isolation and the settings that it asked for, and leaves none behind', async () => {
    const pool = openPrimary({ maxConnections: 1, minConnections: 0 })
    const show = `select current_setting('transaction_isolation') as isolation, current_setting('transaction_read_only') as read_only,
                         current_setting('transaction_deferrable') as deferrable, current_setting('app.tenant', true) as tenant,
                         current_setting('search_path') as path`
    const options = {
      isolation: 'serializable',
      readOnly: true,
      deferrable: true,
      settings: { 'app.tenant': `o'hara`, search_path: 'pg_catalog' },
    } as const
    const inside = await pool.transaction((client) => client.query(show), options)
    expect(inside.rows).toEqual([
      { isolation: 'serializable', read_only: 'on', deferrable: 'on', tenant: `o'hara`, path: 'pg_catalog' },
    ])
    const after = await pool.query(show)
    expect(after.rows).toEqual([
      { isolation: 'read committed', read_only: 'off', deferrable: 'off', tenant: '', path: '"$user", public' },
    ])
  })

  it('is rolled back by an abort, during a statement and between two', async () => {
    const pool = openPrimary({ maxConnections: 2, minConnections: 0 })
    for (const during of [true, false]) {
      const abort = new AbortController()
      const work = pool.transaction(
        async (client) => {
          await client.query(`insert into note values (1, 'gone')`)
          if (during) setImmediate(() => abort.abort(new Error('enough')))
          else abort.abort(new Error('enough'))
          await client.query('select pg_sleep(30)')
        },
        { signal: abort.signal },
      )
      await expect(work).rejects.toThrow('enough')
      await until(async () => (await admin.query('select from note')).rowCount === 0)
    }
    expect(pool.stats().inUse).toBe(0)
  })

  it('that collides with another one says that it may be run again', async () => {
    const pool = openPrimary()
    await admin.query(`insert into note values (1, 'a')`)
    const work = pool.transaction(
      async (client) => {
        await client.query('select * from note')
        await admin.query(`update note set text = 'b'`)
        await client.query(`update note set text = 'c'`)
      },
      { isolation: 'repeatable read' },
    )
    await expect(work).rejects.toMatchObject({ code: 'TM_POSTGRES_CONFLICT', retryable: true })
  })

  it('lends its connection no longer than it lasts', async () => {
    const pool = openPrimary()
    let kept: Client | undefined
    await pool.transaction(async (client) => {
      kept = client
    })
    await expect(kept!.query('select 1')).rejects.toThrow(/after it was given back/)
  })
})

describe('a lent connection', () => {
  it('comes back without the transaction that was left open on it', async () => {
    const pool = openPrimary({ maxConnections: 1, minConnections: 0 })
    await pool.withClient(async (client) => {
      await client.query('begin')
      await client.query(`insert into note values (1, 'gone')`)
    })
    expect((await pool.query('select from note')).rowCount).toBe(0)
    expect((await pool.query(`select pg_current_xact_id_if_assigned() as xid`)).rows).toEqual([{ xid: null }])
  })

  it('survives an error that no statement was there to receive', async () => {
    const pool = openPrimary({ maxConnections: 1, minConnections: 0 })
    await pool.withClient(async (client) => {
      const pid = await pidOf(client)
      await kill(pid)
      await until(async () => !(await sessions('primary')).includes(pid))
    })
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })
})

describe('a pool that stops', () => {
  it('R32: refuses new callers, lets the others finish, and closes its connections', async () => {
    const pool = openPrimary({ maxConnections: 1, minConnections: 1 })
    await pool.start()
    await admin.query('select pg_advisory_lock(410)')
    const running = pool.query('select pg_advisory_lock_shared(410), 1 as one')
    const waiting = pool.query('select 2')
    waiting.catch(() => undefined)
    await until(() => pool.stats().inUse === 1)
    const stopped = pool.stop(30_000)
    await expect(pool.query('select 3')).rejects.toMatchObject({ code: 'TM_POSTGRES_POOL_CLOSED' })
    await expect(waiting).rejects.toMatchObject({ code: 'TM_POSTGRES_POOL_CLOSED' })
    await admin.query('select pg_advisory_unlock(410)')
    expect((await running).rows[0]).toMatchObject({ one: 1 })
    await stopped
    await until(async () => (await sessions('primary')).length === 0)
    expect(pool.stats()).toMatchObject({ total: 0, inUse: 0 })
    await pool.stop()
  })

  it('cancels what takes too long', async () => {
    const pool = openPrimary({ maxConnections: 2, minConnections: 0 })
    const endless = pool.query('select pg_sleep(60)')
    endless.catch(() => undefined)
    const idle = pool.withClient((client) => client.query('select pg_sleep(60)'))
    idle.catch(() => undefined)
    await until(async () => (await sessions('primary')).length === 2)
    await pool.stop(20)
    await expect(endless).rejects.toThrow()
    await expect(idle).rejects.toThrow()
    await until(async () => (await sessions('primary')).length === 0)
  })

  it('takes connections away from those who keep them without using them', async () => {
    const pool = openPrimary({ maxConnections: 1, minConnections: 0 })
    const letGo = await occupy(pool)
    await pool.stop(10)
    await until(async () => (await sessions('primary')).length === 0)
    await letGo()
  })
})
