import { createRedis, openCache, type Redis } from 'tidemark'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findRedisServer } from '../../../packages/tidemark/src/redis/embedded/find-server.js'
import { appSource, platformSource } from '../../../packages/tidemark/src/schema/migration-files.js'
import { createMigrator } from '../../../packages/tidemark/src/schema/migrator.js'
import type { SchemaClient } from '../../../packages/tidemark/src/schema/schema.js'
import {
  connectTo,
  createBootstrappedDatabase,
  testUrl,
} from '../../../packages/tidemark/src/schema/testing/bootstrapped-template.js'
import type { TestDatabase } from '../../../packages/tidemark/src/testing/postgres/database.js'
import { startTestRedis, type TestRedis } from '../../../packages/tidemark/src/testing/redis/redis-server.js'
import { until } from '../../../packages/tidemark/src/time/until.js'
import { reannaCaches } from './caches.js'
import { reannaRouter } from './reanna-router.js'

const program = await findRedisServer()
const tour = 'aaaaaaaa-0000-4000-8000-000000000001'

describe.skipIf(program === undefined)('the caches of the day board', () => {
  let database: TestDatabase
  let owner: SchemaClient
  let server: TestRedis
  let redis: Redis
  const open = () =>
    openCache({ entries: reannaCaches, database: database.url, redis: server.url, name: 'reanna', maxSilenceMs: 1000 })
  let cache: Awaited<ReturnType<typeof open>>

  beforeAll(async () => {
    database = await createBootstrappedDatabase()
    const connect = connectTo(testUrl(database.url, 'migrator'))
    await createMigrator({ connect, sources: [platformSource, appSource(reannaRouter.name, reannaRouter.migrations)] }).up()
    owner = await connect()
    await owner.query(
      `insert into public.tours (id, agent_id, start_time, end_time, status) values ($1, 'agent', '2026-01-05T09:00Z', '2026-01-05T17:00Z', 'scheduled')`,
      [tour],
    )
    for (const hour of ['10', '12'])
      await owner.query(
        `insert into public.property_visits (tour_id, address, scheduled_arrival, scheduled_departure, status)
         values ($1, $2, $3, $4, 'scheduled')`,
        [tour, `${hour} Main Street`, `2026-01-05T${hour}:00Z`, `2026-01-05T${hour}:40Z`],
      )
    server = await startTestRedis()
    redis = await createRedis({ url: server.url })
    cache = await open()
    await until(() => cache.freshness() < 1000 && cache.node.state().redisEpoch !== null)
  })

  afterAll(async () => {
    await cache?.stop()
    await redis?.stop()
    await server?.stop()
    await owner?.end()
    await database?.drop()
  })

  it('R39 R40: have the documented names and times', async () => {
    const params = { tour_id: tour }
    const { tour: one, visits, nextVisit, dashboard } = cache.entries
    expect([one.key(params), visits.key(params), nextVisit.key(params), dashboard.key({})]).toEqual([
      `reanna:tour:${tour}`,
      `reanna:visits:${tour}`,
      `reanna:next_visit:${tour}`,
      'reanna:dashboard:overview',
    ])
    expect(await dashboard.get({})).toMatchObject({ tours: { scheduled: 1 }, visits: { scheduled: 2 }, crm: { not_synced: 1 } })
    const left = await until(async () => {
      const ms = await redis.command<number>(['PTTL', 'reanna:dashboard:overview'])
      return ms > 0 ? ms : undefined
    })
    expect(left).toBeGreaterThan(260_000)
    expect(left).toBeLessThanOrEqual(600_000)
  })

  it('R52: show a visit as it is, whoever changed it', async () => {
    const params = { tour_id: tour }
    expect(await cache.entries.nextVisit.get(params)).toMatchObject({ address: '10 Main Street' })
    expect(await cache.entries.visits.get(params)).toHaveLength(2)
    await owner.query(`update public.property_visits set status = 'arrived' where address = '10 Main Street'`)
    await until(async () => (await cache.entries.nextVisit.get(params))?.['address'] === '12 Main Street')
    const { position } = await cache.write((tx) =>
      tx.query(`update public.property_visits set status = 'skipped' where status = 'scheduled'`),
    )
    expect(await cache.entries.nextVisit.get(params, { after: position })).toBeNull()
    expect((await cache.entries.visits.get(params, { after: position })).map(({ status }) => status)).toEqual([
      'arrived',
      'skipped',
    ])
  })
})
