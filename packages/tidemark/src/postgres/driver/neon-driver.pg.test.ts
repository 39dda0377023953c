import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { neonConfig } from '@neondatabase/serverless'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import WebSocket, { createWebSocketStream, WebSocketServer } from 'ws'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import { createPools, type PoolsOptions } from '../pool/pools.js'
import type { Pools } from '../postgres.js'

/** What Neon runs before its servers: WebSocket messages on one side, the bytes in them on the other. */
const startProxy = async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  server.on('connection', (socket, request) => {
    const [host, port] = new URL(request.url!, 'ws://proxy').searchParams.get('address')!.split(':')
    const stream = createWebSocketStream(socket)
    const upstream = connect(Number(port), host)
    stream.on('error', () => upstream.destroy())
    upstream.on('error', () => stream.destroy())
    upstream.pipe(stream).pipe(upstream)
  })
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close: () => server.close(),
    dropAll: () => {
      for (const client of server.clients) client.terminate()
    },
  }
}

const database = useDatabase()
let proxy: Awaited<ReturnType<typeof startProxy>>
beforeAll(async () => {
  proxy = await startProxy()
  neonConfig.webSocketConstructor = WebSocket
  neonConfig.wsProxy = (host, port) => `127.0.0.1:${proxy.port}/v2?address=${host}:${port}`
  neonConfig.useSecureWebSocket = false
  neonConfig.pipelineConnect = false
  neonConfig.pipelineTLS = false
})
afterAll(() => {
  proxy.close()
})

const opened: Pools[] = []
afterEach(async () => {
  for (const pools of opened.splice(0)) await pools.stop(0)
})
const open = (options: Partial<PoolsOptions> = {}) => {
  // On a busy machine several handshakes at once take their time through the proxy.
  const url = new URL(database.url)
  url.searchParams.set('connect_timeout', '20')
  const pools = createPools({ url: url.href, driver: 'neon', ...options })
  opened.push(pools)
  return pools
}

describe("Neon's driver", () => {
  it('R29, R30: serves the pools of requests, warm, measured and named, beside a migration pool with real sessions', async () => {
    const pools = open()
    await pools.start()
    const { rows } = await pools.migration.query(
      `select application_name as name, count(*)::int from pg_stat_activity where datname = current_database() group by 1 order by 1`,
    )
    expect(rows).toEqual([
      { name: 'tidemark/analytics', count: 2 },
      { name: 'tidemark/migration', count: 1 },
      { name: 'tidemark/primary', count: 5 },
    ])
    expect(pools.primary.stats()).toMatchObject({ total: 5, connect: { count: 5 } })
    await pools.primary.withClient(async ({ raw }) => expect(raw).toBeUndefined())
    await pools.migration.withClient(async ({ raw }) => expect(raw).toBeDefined())
  })

  it('runs a batch one statement after the other, with the same outcome', async () => {
    const { primary, migration } = open()
    await migration.query('create table if not exists batched (id int primary key)')
    for (const pool of [primary, migration]) {
      const add = { text: 'insert into batched values ($1)', values: ['1'], name: 'add' }
      const read = { text: `select id, null, '\\x00ff'::bytea, current_user from batched`, values: [] }
      const results = await pool.batch([add, read], {
        settings: [
          ['role', 'pg_monitor'],
          ['role', 'none'],
        ],
        end: 'rollback',
      })
      expect(results[1]?.rows).toEqual([['1', null, '\\x00ff', expect.any(String)]])
      await expect(pool.batch([add, add])).rejects.toMatchObject({ code: 'TM_POSTGRES_QUERY' })
      expect((await pool.query('select id from batched')).rows).toEqual([])
    }
  })

  it('answers like the other one', async () => {
    const { primary, migration } = open()
    for (const pool of [primary, migration]) {
      const { rows, rowCount, command, fields } = await pool.query(
        `select $1::int as n, null as nothing, 'é' as text, now() is not null as yes`,
        [7],
      )
      expect({ rows, rowCount, command }).toEqual({
        rows: [{ n: 7, nothing: null, text: 'é', yes: true }],
        rowCount: 1,
        command: 'SELECT',
      })
      expect(fields.map(({ name, dataTypeID }) => [name, dataTypeID])).toEqual([
        ['n', 23],
        ['nothing', 25],
        ['text', 25],
        ['yes', 16],
      ])
      await expect(pool.query('select * from missing')).rejects.toMatchObject({
        code: 'TM_POSTGRES_QUERY',
        parameters: { sqlstate: '42P01' },
      })
    }
  })

  it('runs transactions with their settings, and rolls back', async () => {
    const { primary } = open()
    await primary.query('create table note (id int)')
    const options = { isolation: 'serializable', settings: { 'app.tenant': 'a' } } as const
    const inside = await primary.transaction(async (client) => {
      await client.query('insert into note values (1)')
      return client.query(`select current_setting('app.tenant') as tenant, current_setting('transaction_isolation') as isolation`)
    }, options)
    expect(inside.rows).toEqual([{ tenant: 'a', isolation: 'serializable' }])
    await expect(
      primary.transaction(async (client) => {
        await client.query('insert into note values (2)')
        throw new RangeError('mine')
      }),
    ).rejects.toThrow('mine')
    expect((await primary.query('select id from note')).rows).toEqual([{ id: 1 }])
  })

  it('comes back without a transaction that was left open', async () => {
    const { primary } = open({ pools: { primary: { maxConnections: 1, minConnections: 0 } } })
    await primary.withClient(async (client) => {
      await client.query('begin')
      await client.query('create table gone ()')
    })
    await expect(primary.query('select from gone')).rejects.toMatchObject({ code: 'TM_POSTGRES_QUERY' })
  })

  it('replaces connections that the proxy dropped', async () => {
    const { primary } = open({ pools: { primary: { maxConnections: 3, minConnections: 2 } } })
    await primary.start()
    proxy.dropAll()
    await until(() => primary.stats().lost >= 2)
    expect((await primary.query('select 1 as one', [], { idempotent: true })).rows).toEqual([{ one: 1 }])
    await until(() => primary.stats().total >= 2)
  })

  it('gives up a connection whose statement was aborted', async () => {
    const { primary } = open({ pools: { primary: { maxConnections: 1, minConnections: 0 } } })
    const abort = new AbortController()
    const work = primary.query('select pg_sleep(1)', [], { signal: abort.signal })
    await until(() => primary.stats().inUse === 1 && primary.stats().total === 1)
    abort.abort(new Error('enough'))
    await expect(work).rejects.toThrow('enough')
    expect((await primary.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('says that it cannot reach a server', async () => {
    const { primary } = open({ url: 'postgres://a:b@127.0.0.1:1/x', retry: { attempts: 1 } })
    await expect(primary.query('select 1')).rejects.toMatchObject({ code: 'TM_POSTGRES_UNREACHABLE' })
  })
})
