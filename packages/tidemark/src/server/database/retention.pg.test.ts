import { expect, it } from 'vitest'
import { silentLogger } from '../../observability/observability.js'
import { createNamedPool } from '../../postgres/postgres.js'
import { bootstrappedTemplate, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { trimOnce } from './retention.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const cleanups = useCleanups()

const openPool = () => {
  const pool = createNamedPool('primary', {
    url: testUrl(database.url, 'app'),
    pools: { primary: { minConnections: 0, maxConnections: 2 } },
  })
  cleanups.push(() => pool.stop(0))
  return pool
}

const trim = (auditDays: number, breakerEventsDays: number) =>
  trimOnce({ pool: openPool(), days: { auditDays, breakerEventsDays }, log: silentLogger }, new AbortController().signal)

const ages = async (text: string): Promise<readonly number[]> => {
  const { rows } = await client.query<{ days: number }>(text)
  return rows.map(({ days }) => Number(days))
}

const auditAges = () => ages('select extract(day from now() - created_at)::int as days from public.audit_log order by days')

it('R76, R127: lets go of the audit log what is older than it is kept, and never of the last thirty days, whoever asks', async () => {
  await client.query(`insert into public.audit_log (action, table_name, created_at)
    select 'UPDATE', 'tours', now() - make_interval(days => d) - interval '1 hour' from unnest(array[1, 20, 40, 400]) d`)
  await trim(0, 0)
  expect(await auditAges()).toEqual([1, 20, 40, 400])
  await trim(365, 0)
  expect(await auditAges()).toEqual([1, 20, 40])
  await trim(1, 0)
  expect(await auditAges()).toEqual([1, 20])
  const pool = openPool()
  await expect(pool.query('delete from public.audit_log')).rejects.toThrow(/permission denied|only added to/)
  await expect(pool.query("update public.audit_log set action = 'x'")).rejects.toThrow(/permission denied|only added to/)
  expect(await auditAges()).toEqual([1, 20])
})

it('lets go of what breakers did long ago, but for the last of each service, from which the next counts', async () => {
  await client.query(`insert into public.circuit_breaker_events (service_name, previous_state, new_state, epoch, timestamp)
    select service, 'CLOSED', 'OPEN', 1000 - d, now() - make_interval(days => d) - interval '1 hour'
      from unnest(array['crm', 'mail']) service, unnest(array[5, 100, 500]) d where service = 'crm' or d > 50`)
  const eventAges = (service: string) =>
    ages(`select extract(day from now() - timestamp)::int as days from public.circuit_breaker_events
           where service_name = '${service}' order by days`)
  await trim(0, 50)
  expect(await eventAges('crm')).toEqual([5])
  expect(await eventAges('mail')).toEqual([100])
})

it('is done by nobody but the server', async () => {
  const { rows } = await client.query<{ role: string }>(
    `select rolname as role from pg_roles where not rolsuper and rolname ~ '^(anon|authenticated|service_role|tidemark_app)$'
        and has_function_privilege(oid, 'tidemark.trim_audit_log(integer, integer)', 'execute')`,
  )
  expect(rows.map(({ role }) => role)).toEqual(['tidemark_app'])
})
