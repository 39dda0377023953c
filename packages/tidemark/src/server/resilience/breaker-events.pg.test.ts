import { describe, expect, it } from 'vitest'
import { createNamedPool } from '../../postgres/postgres.js'
import type { CircuitTransition } from '../../resilience/breaker/shared-circuits.js'
import { bootstrappedTemplate, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { useFolder } from '../../testing/use-folder.js'
import { until } from '../../time/until.js'
import { openBreakerEvents } from './breaker-events.js'
import { openResilience } from './open-resilience.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const folder = useFolder('breaker-events')
const cleanups = useCleanups()

const openPool = (url = testUrl(database.url, 'app')) => {
  const pool = createNamedPool('primary', {
    url,
    pools: { primary: { minConnections: 0, maxConnections: 2, connectTimeoutMs: 500 } },
  })
  cleanups.push(() => pool.stop(0))
  return pool
}

const transition = (epoch: number, more: Partial<CircuitTransition> = {}): CircuitTransition => ({
  service: 'crm',
  from: 'CLOSED',
  to: 'OPEN',
  epoch,
  failureCount: 7,
  at: 1_767_225_600_123,
  reason: 'connect ECONNREFUSED',
  instance: '',
  ...more,
})

const rowsOf = async (service: string) => {
  const { rows } = await client.query<{ epoch: string; previous_state: string; new_state: string }>(
    'select epoch, previous_state, new_state from public.circuit_breaker_events where service_name = $1 order by timestamp, epoch',
    [service],
  )
  return rows
}

describe('transitions of breakers', () => {
  it('R7, R70, C4: are one row each in the documented columns, whoever tells of them and however often', async () => {
    const events = await openBreakerEvents({ pool: openPool(), folder })
    cleanups.push(() => events.journal.stop())
    const other = await openBreakerEvents({ pool: openPool(), folder })
    cleanups.push(() => other.journal.stop())
    expect(await events.lastEpoch('crm')).toBe(0)
    const epoch = 1_767_225_600_000
    await Promise.all([events, other, events].map((each) => each.add(transition(epoch))))
    await Promise.all([transition(epoch, { instance: 'one' }), transition(epoch + 1)].map((row) => events.add(row)))
    await Promise.all([events.journal.drained(), other.journal.drained()])
    expect((await rowsOf('crm')).map(({ epoch: each }) => Number(each))).toEqual([epoch, epoch, epoch + 1])
    const { rows } = await client.query('select * from public.circuit_breaker_events where epoch = $1', [epoch + 1])
    expect(rows[0]).toMatchObject({
      service_name: 'crm',
      previous_state: 'CLOSED',
      new_state: 'OPEN',
      failure_count: 7,
      timestamp: new Date(1_767_225_600_123),
      reason: 'connect ECONNREFUSED',
      instance: '',
    })
    expect(await events.lastEpoch('crm')).toBe(epoch + 1)
  })

  it('C61: wait on disk while Postgres is away, hold up no call, and are rows when another process finds them', async () => {
    const away = openPool('postgres://nobody@127.0.0.1:1/nowhere')
    const lonely = await openResilience({ pool: away, folder, breaker: { failureThreshold: 1 } })
    const breaker = lonely.breaker('billing')
    const refused = breaker.run(() => Promise.reject(new Error('down')))
    await expect(refused).rejects.toThrow('down')
    expect(breaker.read().state).toBe('OPEN')
    await until(() => lonely.journal?.backlog().entries === 1)
    expect(await rowsOf('billing')).toEqual([])
    await lonely.stop()
    const found = await openResilience({ pool: openPool(), folder })
    cleanups.push(() => found.stop())
    await found.journal?.drained()
    expect(await rowsOf('billing')).toMatchObject([{ previous_state: 'CLOSED', new_state: 'OPEN' }])
  })

  it('may be read by nobody but the server and service_role', async () => {
    for (const table of ['public.circuit_breaker_events', 'public.api_metrics']) {
      for (const role of ['anon', 'authenticated']) {
        const { rows } = await client.query('select has_table_privilege($1, $2, $3) as may', [role, table, 'select'])
        expect(rows[0]).toEqual({ may: false })
      }
    }
  })
})
