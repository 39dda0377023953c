import type pg from 'pg'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { lockWaits } from '../../testing/postgres/lock-waits.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import type { Client, Pool, Pools, QueryOptions, QueryResult } from '../postgres.js'
import { sqlstateOf } from '../postgres-error.js'
import type { BatchResult } from './batch.js'
import { createPools, type PoolsOptions } from './pools.js'

const database = useDatabase()
const [admin, holder] = [useClient(database), useClient(database)]
beforeAll(async () => {
  await admin.query('create table note (id int primary key, text text)')
})

const opened: Pools[] = []
afterEach(async () => {
  for (const pools of opened.splice(0)) await pools.stop(0)
  await holder.query('select pg_advisory_unlock_all()')
  await admin.query('truncate note')
})

const withUrl = (parameter: string): string => `${database.url}${database.url.includes('?') ? '&' : '?'}${parameter}`

const open = (options: Partial<PoolsOptions> = {}): Pool => {
  const pools = createPools({ url: database.url, pools: { primary: { maxConnections: 1, minConnections: 0 } }, ...options })
  opened.push(pools)
  return pools.primary
}

interface Behind {
  readonly answers: BatchResult[]
  readonly result: Promise<QueryResult<Record<string, unknown>>>
}

const ahead = { text: 'select pg_current_snapshot()::text, null', values: [], name: 'ahead' }

const behind = (client: Client, text: string, values?: readonly unknown[], first = ahead, options?: QueryOptions): Behind => {
  const answers: BatchResult[] = []
  const result = client.queryBehind!({ ...first, answered: (answer) => answers.push(answer) }, text, values, options)
  return { answers, result }
}

const syncsOf = (client: Client): { count: number } => {
  const syncs = { count: 0 }
  ;(client.raw as unknown as { connection: NodeJS.EventEmitter }).connection.on('readyForQuery', () => syncs.count++)
  return syncs
}

const preparedOn = async (client: Client): Promise<readonly string[]> => {
  const { rows } = await client.query<{ name: string }>('select name from pg_prepared_statements order by name')
  return rows.map(({ name }) => name)
}

/** Waits, while the lock is held, in the statement that has taken its snapshot. */
const waiting = { ...ahead, text: `select pg_current_snapshot()::text from (select pg_advisory_xact_lock_shared(77)) as held` }

/** What both give where the row is written while the first one waits. */
const writtenBetween = async (pool: Pool) => {
  await holder.query('select pg_advisory_lock(77)')
  const both = pool.withClient(async (client) => {
    const { answers, result } = behind(client, 'select id from note', [], waiting)
    return { rows: (await result).rows, snapshot: answers[0]!.rows[0]![0]! }
  })
  await until(async () => {
    const { rows } = await admin.query(`select from ${lockWaits} and locktype = 'advisory'`)
    return rows.length > 0
  })
  const { rows } = await admin.query<{ xid: string }>('insert into note values (1) returning pg_current_xact_id()::text as xid')
  await holder.query('select pg_advisory_unlock(77)')
  const { rows: seen, snapshot } = await both
  const visible = 'select pg_visible_in_snapshot($1::xid8, $2::pg_snapshot) as visible'
  const judged = await admin.query<{ visible: boolean }>(visible, [rows[0]!.xid, snapshot])
  return { rows: seen, isVisibleAhead: judged.rows[0]!.visible }
}

describe('a query with a statement in front', () => {
  it('gives what it gives alone, with one Sync for both, and the answer of the other before', async () => {
    await open().withClient(async (client) => {
      const syncs = syncsOf(client)
      for (const values of [[7, 'x'], undefined]) {
        const text = values ? 'select $1::int as n, $2 as text' : `select 7 as n, 'x' as text`
        const { answers, result } = behind(client, text, values)
        const given = await result
        expect(given).toMatchObject({ rows: [{ n: 7, text: 'x' }], rowCount: 1, command: 'SELECT' })
        expect(given.fields.map(({ name }) => name)).toEqual(['n', 'text'])
        expect(answers).toEqual([{ rows: [[expect.stringMatching(/^\d+:\d+:/), null]], tag: 'SELECT 1' }])
      }
      expect(syncs.count).toBe(2)
      expect(await preparedOn(client)).toEqual(['ahead'])
    })
  })

  it('takes its snapshot after the other, or has the same one, as the isolation of the session is', async () => {
    expect(await writtenBetween(open())).toEqual({ rows: [{ id: 1 }], isVisibleAhead: false })
    await admin.query('truncate note')
    for (const level of ['repeatable%20read', 'serializable']) {
      const isolated = open({ url: withUrl(`options=-c%20default_transaction_isolation%3D${level.replace('%20', '%5C%20')}`) })
      expect(await writtenBetween(isolated)).toEqual({ rows: [], isVisibleAhead: false })
      await admin.query('truncate note')
    }
  })

  it('fails as it fails alone, tells what the other gave, and leaves the connection as it was', async () => {
    await open().withClient(async (client) => {
      for (const text of ['select * from nowhere where $1::int = 1', 'select 1 / ($1::int - 1)', 'select $1::int + 1 fro m']) {
        const alone: unknown = await client.query(text, [1]).catch((error: unknown) => error)
        const { answers, result } = behind(client, text, [1])
        const error = (await result.catch((raised: unknown) => raised)) as Error
        expect(error).toMatchObject({ ...(alone as object), message: (alone as Error).message })
        expect(sqlstateOf(error)).toBe(sqlstateOf(alone))
        expect((error.cause as Error).stack).toContain('query-behind.pg.test')
        expect((error.cause as Error).stack).not.toContain('Socket')
        expect(answers).toHaveLength(1)
        expect((await behind(client, 'select $1::int as n', [2]).result).rows).toEqual([{ n: 2 }])
      }
    })
  })

  it('does not run where the other fails, and can be sent again', async () => {
    const writes = `with made as (insert into note values (1) returning id) select id from made`
    await open().withClient(async (client) => {
      const named = { name: 'writes' }
      const failing = { ...ahead, name: 'failing', text: 'select 1 / 0' }
      const { answers, result } = behind(client, writes, [], failing, named)
      await expect(result).rejects.toMatchObject({ code: 'TM_POSTGRES_QUERY', parameters: { sqlstate: '22012' } })
      expect(answers).toEqual([])
      expect((await admin.query('select from note')).rowCount).toBe(0)
      expect((await behind(client, writes, [], ahead, named).result).rows).toEqual([{ id: 1 }])
      expect(await preparedOn(client)).toEqual(expect.arrayContaining(['ahead', 'writes']))
    })
  })

  it('is prepared under its own name, once, and refused where the name is that of another', async () => {
    await open().withClient(async (client) => {
      const named = { name: 'own' }
      const text = 'select $1::int as n'
      await expect(behind(client, 'select $1::nothing', [1], ahead, named).result).rejects.toMatchObject({
        code: 'TM_POSTGRES_QUERY',
      })
      for (const n of [1, 2]) expect((await behind(client, text, [n], ahead, named).result).rows).toEqual([{ n }])
      expect((await client.query(text, [3], named)).rows).toEqual([{ n: 3 }])
      expect(await preparedOn(client)).toEqual(['ahead', 'own'])
      const refused = behind(client, 'select 2 as n', [], ahead, named)
      await expect(refused.result).rejects.toThrow(/must be unique/)
      expect((await behind(client, text, [4], ahead, named).result).rows).toEqual([{ n: 4 }])
    })
  })

  it('raises what its values raise before they are sent, and leaves the connection as it was', async () => {
    const unsayable = {
      toPostgres: () => {
        throw new Error('no words for it')
      },
    }
    await open().withClient(async (client) => {
      const { result } = behind(client, 'select $1::text', [unsayable])
      await expect(result).rejects.toMatchObject({ cause: { message: 'no words for it' } })
      expect((await behind(client, 'select $1::int as n', [5]).result).rows).toEqual([{ n: 5 }])
    })
  })

  it('lets what was asked for after it wait for its turn', async () => {
    await open().withClient(async (client) => {
      const first = behind(client, 'select count(*)::int as n from note', [1].slice(1))
      const second = client.query(`insert into note values (2)`)
      const third = client.query<{ n: number }>('select count(*)::int as n from note')
      expect((await first.result).rows).toEqual([{ n: 0 }])
      await second
      expect((await third).rows).toEqual([{ n: 1 }])
    })
  })

  it('goes on without names where the session has lost them, having run once', async () => {
    const pool = open()
    const writes = `with made as (insert into note values ($1) returning id) select id from made`
    await pool.withClient(async (client) => {
      await behind(client, 'select 1').result
      await client.query('deallocate all')
      expect((await behind(client, writes, [1]).result).rows).toEqual([{ id: 1 }])
      expect((await behind(client, writes, [2]).result).rows).toEqual([{ id: 2 }])
      expect(await preparedOn(client)).toEqual([])
    })
  })

  it('names nothing on a transaction pooler', async () => {
    const pool = open({ url: withUrl('pgbouncer=true'), directUrl: database.url })
    await pool.withClient(async (client) => {
      expect((await behind(client, 'select $1::int as n', [1], ahead, { name: 'own' }).result).rows).toEqual([{ n: 1 }])
      expect(await preparedOn(client)).toEqual([])
    })
  })

  it('is cancelled by its signal, whichever of the two is running', async () => {
    await holder.query('select pg_advisory_lock(77)')
    for (const isBehind of [true, false]) {
      const pool = open()
      const over = new AbortController()
      const work = pool.withClient((client) =>
        isBehind
          ? behind(client, 'select pg_advisory_lock_shared(77)', [], ahead, { signal: over.signal }).result
          : behind(client, 'select 1', [], waiting, { signal: over.signal }).result,
      )
      await until(async () => {
        const { rows } = await admin.query(`select from ${lockWaits} and locktype = 'advisory'`)
        return rows.length > 0
      })
      over.abort(new Error('enough'))
      await expect(work).rejects.toThrow('enough')
      expect((await pool.query('select 1 as n')).rows).toEqual([{ n: 1 }])
    }
  })

  it('raises that the server has ended the session as it does alone', async () => {
    const [pool, end] = [open(), 'select pg_terminate_backend(pg_backend_pid())']
    const alone = pool.withClient((client) => client.query(end)).catch(({ code }) => code)
    const both = pool.withClient((client) => behind(client, end).result).catch(({ code }) => code)
    expect(await both).toBe(await alone)
    expect(await both).toMatch(/^TM_POSTGRES_(UNREACHABLE|CONNECTION_LOST)$/)
    expect((await pool.query('select 1 as n')).rows).toEqual([{ n: 1 }])
  })

  it('is counted as one, under its own text', async () => {
    const slow: string[] = []
    const pool = open({ slowQueryMs: 0, observer: { slow: ({ text }) => slow.push(text) } })
    await pool.withClient((client) => behind(client, 'select 1').result)
    expect(slow).toEqual(['select 1'])
    expect(pool.stats().query.count).toBe(1)
  })

  it('leaves COPY and other ways of the driver alone', async () => {
    await open().withClient(async (client) => {
      await behind(client, 'select 1').result
      const raw = client.raw as pg.ClientBase
      expect((await raw.query({ text: 'select 2 as n', rowMode: 'array' })).rows).toEqual([[2]])
    })
  })
})
