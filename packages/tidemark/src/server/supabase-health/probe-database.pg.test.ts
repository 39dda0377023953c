import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createPools, type Pools } from '../../postgres/postgres.js'
import { bootstrappedTemplate, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { healthTables } from './health-tables.js'
import { probeDatabase } from './probe-database.js'

const database = useDatabase({ template: bootstrappedTemplate })
const admin = useClient(database)
let pools: Pools

beforeAll(() => {
  pools = createPools({ url: testUrl(database.url, 'app'), pools: { primary: { minConnections: 0, maxConnections: 4 } } })
})
afterAll(() => pools.stop())

beforeEach(() =>
  admin.query(`
    drop table if exists public.agent_instances, public.agent_metrics;
    create table public.agent_instances (id int); create table public.agent_metrics (id int);
    grant select on public.agent_instances, public.agent_metrics to service_role, tidemark_app`),
)

const probe = (names: readonly string[], timeoutMs = 5000) =>
  probeDatabase(pools.primary, healthTables(names, 'public'), AbortSignal.timeout(timeoutMs))

const both = ['agent_instances', 'agent_metrics']

describe('R112: the tables of our own Postgres', () => {
  it('are accessible where the server and service_role read them', async () => {
    expect(await probe(both)).toEqual({ reachable: true, accessible: { agent_instances: true, agent_metrics: true } })
  })

  it.each(['service_role', 'tidemark_app'])('S5.8: are not without the grant of %s', async (role) => {
    await admin.query(`revoke all on public.agent_metrics from ${role}`)
    expect(await probe(both)).toEqual({ reachable: true, accessible: { agent_instances: true, agent_metrics: false } })
  })

  it('nor where they are missing, or named to break out of a statement', async () => {
    const odd = ['nope', 'nope.agent_metrics', 'public.agent_instances', 'x"; drop table public.agent_metrics; --']
    expect((await probe(odd)).accessible).toEqual({
      nope: false,
      'nope.agent_metrics': false,
      'public.agent_instances': true,
      'x"; drop table public.agent_metrics; --': false,
    })
    expect((await probe(both)).accessible).toEqual({ agent_instances: true, agent_metrics: true })
  })

  it('nor while somebody holds one locked; the answer comes in time', async () => {
    await admin.query('begin; lock table public.agent_metrics in access exclusive mode')
    try {
      expect((await probe(both, 1000)).accessible).toEqual({ agent_instances: true, agent_metrics: false })
    } finally {
      await admin.query('rollback')
    }
  })
})
