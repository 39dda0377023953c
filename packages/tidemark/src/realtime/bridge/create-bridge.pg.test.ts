import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { installOutbox } from '../../feed/sources/outbox/install-outbox.js'
import { createOutboxSource } from '../../feed/sources/outbox/outbox-source.js'
import { openPool } from '../../feed/sources/outbox/testing/open-outbox.js'
import { bootstrappedTemplate } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import type { BridgeGap } from './bridge.js'
import { createBridge } from './create-bridge.js'
import { createLatest } from './latest.js'

interface Lead {
  readonly id: number
  readonly status: string
  readonly version: number
}

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const cleanups = useCleanups()

beforeAll(async () => {
  await client.query('create table leads (id int primary key, status text not null, version int not null default 1)')
  await installOutbox(client, [{ schema: 'public', table: 'leads' }])
})

/** What the table holds, by id. */
const rows = async (): Promise<readonly Lead[]> => (await client.query<Lead>('select * from leads order by id')).rows

describe('C28: an application hears of a Postgres that is not Supabase’s', () => {
  it('R53, C29, C30: what it keeps is what the table holds, through updates, deletes and lost connections', async () => {
    const { pool, close } = openPool(database.url)
    cleanups.push(close)
    const bridge = createBridge({
      connect: () => createOutboxSource({ pool, name: 'leads', tables: 'installed', pollMs: 10 }),
      reconnect: { baseMs: 10, maxMs: 50 },
    })
    cleanups.push(() => bridge.stop())
    const leads = createLatest<Lead>({ version: ({ version }) => version })
    const gaps: BridgeGap[] = []
    const fetchAll = async (): Promise<void> => {
      const token = leads.beginRead()
      for (const lead of await rows()) leads.fill(token, String(lead.id), lead)
    }
    const onGap = async (gap: BridgeGap): Promise<void> => {
      gaps.push(gap)
      await fetchAll()
    }
    bridge.subscribe<Lead>('lead-updates', { table: 'leads', onGap }, (event) => void leads.apply(event))
    bridge.start()
    await until(() => bridge.state().connection === 'connected')
    for (let id = 1; id <= 20; id++) await client.query("insert into leads values ($1, 'new')", [id])
    const own = new pg.Client({ connectionString: database.url })
    await own.connect()
    cleanups.push(() => own.end())
    for (let round = 0; round < 10; round++) {
      await own.query("update leads set status = 'round ' || $1, version = version + 1 where id % 3 = $2", [round, round % 3])
      await own.query('delete from leads where id = $1', [round + 1])
      // Whoever waits for the changes loses all of its connections.
      if (round % 3 === 0) {
        await own.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid not in (pg_backend_pid(), $1)`,
          [(await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid],
        )
      }
    }
    const expected = await rows()
    expect(expected).toHaveLength(10)
    await until(() => Array.from({ length: 20 }, (_, i) => leads.get(String(i + 1))).filter(Boolean).length === 10)
    await until(() => expected.every(({ id, version }) => leads.get(String(id))?.version === version))
    expect(expected.map(({ id }) => leads.get(String(id)))).toEqual(expected)
    expect([leads.size, leads.get('undefined'), leads.get('null')]).toEqual([10, undefined, undefined])
    expect(gaps[0]).toEqual({ reason: 'lost' })
    await client.query('truncate leads')
    await until(() => gaps.some(({ reason, table }) => reason === 'tableChanged' && table === 'public.leads'))
  })
})
