import pg from 'pg'
import { readFileSync } from 'node:fs'
import { it } from 'vitest'
import { createBootstrappedDatabase } from '../../../schema/bootstrapped-template.js'
import { installOutbox } from './install-outbox.js'
it('bench', async () => {
  const database = await createBootstrappedDatabase()
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query(`create table caught (id int primary key, a text, b text, c numeric, d timestamptz, e jsonb, f int)`)
  const pid = (await client.query('select pg_backend_pid() as pid')).rows[0].pid
  const cpu = () => { const f = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' '); return (Number(f[11]) + Number(f[12])) * 10 }
  const bulk = async (name: string) => {
    let best = 1e9
    for (let r = 0; r < 4; r++) {
      await client.query(`truncate caught; truncate tidemark.feed_outbox`)
      const s = cpu()
      await client.query(`insert into caught select i, 'abc', 'some text that is longer', 1.5, now(), '{"a":1}', 7 from generate_series(10000, 29999) i`)
      best = Math.min(best, cpu() - s)
    }
    await client.query('truncate caught')
    let single = 1e9
    for (let r = 0; r < 4; r++) {
      await client.query('begin')
      const s2 = cpu()
      await client.query(`do $$ begin for i in 1..3000 loop insert into caught values (i, 'abc', 'some text that is longer', 1.5, now(), '{"a":1}', 7); end loop; end $$`)
      single = Math.min(single, cpu() - s2)
      await client.query('rollback')
    }
    console.log(name, (best / 20000 * 1000).toFixed(1), 'us/row bulk;', (single / 3).toFixed(0), 'us single statement')
  }
  await bulk('plain')
  await installOutbox(client, [{ schema: 'public', table: 'caught' }])



  const loop = async (name: string, sql: string) => {
    const s = cpu()
    await client.query(`do $$ declare x record; t oid := 'caught'::regclass; begin for i in 1..10000 loop ${sql}; end loop; end $$`)
    console.log(name, ((cpu() - s) / 10).toFixed(1), 'us/row')
  }
  await loop('fn', `perform tidemark.feed_outbox_shape(t, t)`)
  await installOutbox(client, [{ schema: 'public', table: 'caught' }])
  await bulk('full')
  await client.query('alter function tidemark.feed_outbox_row() set plan_cache_mode = force_generic_plan; alter function tidemark.feed_outbox_statement() set plan_cache_mode = force_generic_plan')
  await bulk('full generic')
  await client.end(); await database.drop()
})
