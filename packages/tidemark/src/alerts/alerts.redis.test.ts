import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createHealth } from '../observability/health.js'
import { createMetrics } from '../observability/metrics.js'
import { silentLogger } from '../observability/observability.js'
import { createSignals } from '../observability/signals.js'
import { createNamedPool } from '../postgres/postgres.js'
import { createRedis } from '../redis/create-redis.js'
import { useRedis } from '../testing/redis/use-redis.js'
import { useCleanups } from '../testing/use-cleanups.js'
import { until } from '../time/until.js'
import { openAlerts } from './open-alerts.js'
import { startReceiver, testSecret } from './testing/receiver.js'

const server = useRedis()
const cleanups = useCleanups()

/** A node whose Postgres is away. */
const openNode = async (node: string, url: string, fallback?: string) => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-alerts-away-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const pool = createNamedPool('primary', {
    url: 'postgres://nobody@127.0.0.1:1/none',
    pools: { primary: { minConnections: 0, maxConnections: 2 } },
  })
  cleanups.push(() => pool.stop(0))
  const redis = await createRedis({ url: server.url })
  cleanups.push(() => redis.stop())
  const signals = createSignals()
  const webhook = { type: 'webhook', secret: testSecret } as const
  const alerts = await openAlerts({
    pool,
    redis,
    folder,
    signals,
    node,
    rules: [],
    channels: {
      ops: { ...webhook, url, ...(fallback !== undefined && { fallback: 'backup' }) },
      ...(fallback !== undefined && { backup: { ...webhook, url: fallback } }),
    },
    routes: [{ channels: ['ops'] }],
    allowed: ['127.0.0.1'],
    metrics: createMetrics(),
    health: createHealth(),
    log: silentLogger,
  })
  cleanups.push(() => alerts.stop())
  alerts.start()
  return { alerts, signals }
}

const trouble = { name: 'breaker.opened', subject: 'crm', message: 'The CRM fails.' } as const

describe('alerts while Postgres is away', () => {
  it('are told once by one of several nodes, and kept by each', async () => {
    const ops = await startReceiver()
    cleanups.push(() => ops.stop())
    const nodes = [await openNode('a', ops.url), await openNode('b', ops.url), await openNode('c', ops.url)]
    for (const { signals } of nodes) for (const _again of [1, 2, 3]) signals.raise(trouble)
    const keptBy = async () =>
      Promise.all(nodes.map(async ({ alerts }) => (await alerts.healthCheck.check(new AbortController().signal)).detail))
    await until(
      async () => ops.received.length > 0 && (await keptBy()).every((detail) => /kept on this machine/.test(String(detail))),
      {
        timeoutMs: 20_000,
      },
    )
    // What is less grave waits until it can be stored.
    for (const { signals } of nodes) signals.raise({ name: 'feed.held', subject: 'slow', message: 'A follower is slow.' })
    await nodes[0]!.alerts.test('ops')
    expect(ops.told()).toEqual(['firing crm', 'test'])
  })

  it('are told by another channel where one does not take them', async () => {
    const [ops, backup] = [await startReceiver(), await startReceiver()]
    cleanups.push(() => ops.stop())
    cleanups.push(() => backup.stop())
    ops.answer(400)
    const { signals } = await openNode('d', ops.url, backup.url)
    signals.raise({ ...trouble, subject: 'maps' })
    await until(() => backup.received.length > 0, { timeoutMs: 20_000 })
    expect([ops.told(), backup.told()]).toEqual([[], ['firing maps']])
  })
})
