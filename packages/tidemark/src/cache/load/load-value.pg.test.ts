import { CamelCasePlugin, type CompiledQuery, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import type pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseSnapshot } from '../../feed/sources/wal/snapshot.js'
import { createPools } from '../../postgres/pool/pools.js'
import type { Client, Pool, Pools } from '../../postgres/postgres.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { systemClock } from '../../time/clock.js'
import type { LoadClient } from '../cache.js'
import { type Loaded, Loader, sees } from './load-value.js'

const database = useDatabase()
const admin = useClient(database)
beforeAll(async () => {
  await admin.query('create table items (id int primary key, n int); insert into items values (1, 1)')
})

let opened: Pools
let pool: Pool
beforeEach(() => {
  opened = createPools({ url: database.url, pools: { primary: { maxConnections: 2, minConnections: 0 } } })
  pool = opened.primary
})
afterEach(() => opened.stop(0))

type Load = (db: LoadClient) => Promise<unknown>

const byKey = 'select n from items where id = $1'
const numberOf = async (db: LoadClient): Promise<number> => (await db.query<{ n: number }>(byKey, [1])).rows[0]!.n

/** What a load gave, and how many statements, one by one, that took. */
const openLoads = (load: Load) => {
  const loader = new Loader<null, unknown>({ pool, load: (_none, db) => load(db), timeoutMs: 10_000, clock: systemClock })
  return async (stamp = true): Promise<Loaded<unknown> & { readonly statements: number }> => {
    const before = pool.stats().query.count
    const loaded = await loader.load({ key: 'item', params: null, stamp })
    return { ...loaded, statements: pool.stats().query.count - before }
  }
}

const good = {
  isLate: false,
  stamp: { standby: false, hasWritten: false, replayed: null, snapshot: expect.stringMatching(/^\d+:\d+:/) },
}

/** As apps build their queries. */
const kyselyOn = (db: LoadClient) =>
  new Kysely<{ items: { id: number; n: number } }>({
    plugins: [new CamelCasePlugin()],
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createIntrospector: (of) => new PostgresIntrospector(of),
      createQueryCompiler: () => new PostgresQueryCompiler(),
      createDriver: () => ({
        init: async () => undefined,
        acquireConnection: async () => ({
          executeQuery: async ({ sql, parameters }: CompiledQuery) => ({
            rows: (await db.query(sql, parameters)).rows as never[],
          }),
          streamQuery: () => {
            throw new Error('no streams here')
          },
        }),
        beginTransaction: async () => undefined,
        commitTransaction: async () => undefined,
        rollbackTransaction: async () => undefined,
        releaseConnection: async () => undefined,
        destroy: async () => undefined,
      }),
    },
  })

describe('CACHE-1: the stamp of a load', () => {
  it('rides in front of the first statement, once a load has shown that this is what loads begin with', async () => {
    const load = openLoads(numberOf)
    expect(await load()).toMatchObject({ ...good, value: 1, statements: 2 })
    for (let time = 0; time < 3; time++) expect(await load()).toMatchObject({ ...good, value: 1, statements: 1 })
    expect(await load(false)).toEqual({ value: 1, stamp: null, isLate: false, statements: 1 })
  })

  it('is known to ride from loads that needed none', async () => {
    const load = openLoads(numberOf)
    expect(await load(false)).toMatchObject({ stamp: null, isLate: false, statements: 1 })
    expect(await load()).toMatchObject({ ...good, statements: 1 })
  })

  it('shows no transaction that the rows do not', async () => {
    const load = openLoads(numberOf)
    await load()
    for (let n = 2; n < 40; n++) {
      const wrote = admin.query<{ xid: string }>('update items set n = $1 returning pg_current_xact_id()::text as xid', [n])
      const loads = await Promise.all([load(), load(), load()])
      const { xid } = (await wrote).rows[0]!
      for (const { value, stamp } of loads) if (value !== n) expect(sees(stamp!, [xid])).toBe(false)
      const after = await load()
      expect(after).toMatchObject({ value: n, isLate: false })
      expect(sees(after.stamp!, [xid])).toBe(true)
    }
    await admin.query('update items set n = 1')
  })

  it('comes first by itself where a load asks nothing, or not at once', async () => {
    const nothing = openLoads(async () => 5)
    const later = openLoads(async (db) => {
      await new Promise<void>((resolve) => setImmediate(resolve))
      return numberOf(db)
    })
    for (let time = 0; time < 3; time++) {
      expect(await nothing()).toMatchObject({ ...good, value: 5, statements: 1 })
      expect(await later()).toMatchObject({ ...good, value: 1, statements: 2 })
    }
  })

  it('is late where a load for once did something else first, and comes by itself from then on', async () => {
    const elsewhere = { asks: false }
    const load = openLoads(async (db) => {
      if (elsewhere.asks) await admin.query('select 1')
      return numberOf(db)
    })
    await load()
    elsewhere.asks = true
    expect(await load()).toMatchObject({ stamp: null, isLate: true, statements: 1 })
    elsewhere.asks = false
    for (let time = 0; time < 2; time++) expect(await load()).toMatchObject({ ...good, statements: 2 })
  })

  it('comes by itself before a transaction, whose isolation is as it was asked for', async () => {
    const load = openLoads(async (db) => {
      await db.query('begin isolation level repeatable read, read only')
      const isolation = (await db.query<{ is: string }>(`select current_setting('transaction_isolation') as is`)).rows[0]!.is
      const n = await numberOf(db)
      await db.query('commit')
      return [isolation, n]
    })
    for (let time = 0; time < 3; time++) {
      expect(await load()).toMatchObject({ ...good, value: ['repeatable read', 1], statements: 5 })
    }
  })

  it('comes by itself before what goes past `query`', async () => {
    const load = openLoads(async (db) =>
      ((db as Client).raw as pg.ClientBase).query({ text: byKey, values: [1], rowMode: 'array' }),
    )
    for (let time = 0; time < 3; time++) expect(await load()).toMatchObject({ ...good, value: { rows: [[1]] } })
  })

  it('is that of the first of several, in whatever way they are asked', async () => {
    const both = openLoads((db) => Promise.all([numberOf(db), numberOf(db)]))
    const written = openLoads(async (db) => {
      const before = await numberOf(db)
      const { rows } = await admin.query<{ xid: string }>('update items set n = n returning pg_current_xact_id()::text as xid')
      return [before, await numberOf(db), rows[0]!.xid]
    })
    await both()
    await written()
    expect(await both()).toMatchObject({ ...good, value: [1, 1], statements: 2 })
    const { value, stamp, isLate } = await written()
    expect(isLate).toBe(false)
    expect(sees(stamp!, [(value as string[])[2]!])).toBe(false)
  })

  it('rides with what Kysely makes', async () => {
    const load = openLoads((db) => kyselyOn(db).selectFrom('items').select('n').where('id', '=', 1).executeTakeFirst())
    await load()
    expect(await load()).toMatchObject({ ...good, value: { n: 1 }, statements: 1 })
  })

  it('is there where the first statement failed, which raises what it raises without', async () => {
    const caught = openLoads((db) => db.query('select 1 / (id - 1) from items where id = $1', [1]).catch(({ code }) => code))
    await caught()
    expect(await caught()).toMatchObject({ ...good, value: 'TM_POSTGRES_QUERY', statements: 1 })

    const failing = openLoads((db) => db.query('select nothing from items where id = $1', [1]))
    const alone = await failing(false).catch((error: Error) => error)
    const carried = await failing().catch((error: Error) => error)
    expect(carried).toEqual(alone)
    expect(carried).toMatchObject({ code: 'TM_POSTGRES_QUERY', parameters: { sqlstate: '42703' } })
    expect(await pool.query('select 1 as n')).toMatchObject({ rows: [{ n: 1 }] })
  })

  it('is no later than the rows where the session has another isolation', async () => {
    await opened.stop(0)
    const url = `${database.url}${database.url.includes('?') ? '&' : '?'}options=-c%20default_transaction_isolation%3Dserializable`
    opened = createPools({ url })
    pool = opened.primary
    const load = openLoads(numberOf)
    for (let time = 0; time < 3; time++) {
      const { stamp } = await load()
      const { rows } = await admin.query<{ xid: string }>('update items set n = n returning pg_current_xact_id()::text as xid')
      expect(sees(stamp!, [rows[0]!.xid])).toBe(false)
      expect(parseSnapshot((await load()).stamp!.snapshot).xmax).toBeGreaterThan(BigInt(rows[0]!.xid))
    }
  })

  it('comes by itself where the driver sends one statement at a time', async () => {
    const { withClient } = pool
    pool.withClient = (fn, options) =>
      withClient.call(
        pool,
        (client) => fn({ query: client.query.bind(client), raw: undefined, queryBehind: undefined }),
        options,
      ) as never
    const load = openLoads(numberOf)
    for (let time = 0; time < 3; time++) expect(await load()).toMatchObject({ ...good, statements: 2 })
  })
})
