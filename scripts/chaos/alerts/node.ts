/** One node of alerts under chaos: folds, sends, and watches Postgres, until it is killed. */

import { openAlerts } from '../../../packages/tidemark/dist/alerts/open-alerts.js'
import { defineRule } from '../../../packages/tidemark/dist/alerts/rules/rule.js'
import { createHealth } from '../../../packages/tidemark/dist/observability/health.js'
import { createMetrics } from '../../../packages/tidemark/dist/observability/metrics.js'
import { silentLogger } from '../../../packages/tidemark/dist/observability/observability.js'
import { createSignals } from '../../../packages/tidemark/dist/observability/signals.js'
import { createNamedPool } from '../../../packages/tidemark/dist/postgres/postgres.js'
import type { AlertsNodeOptions } from './words.ts'

const { url, folder, ops, backup, secret } = JSON.parse(process.argv[2] ?? '{}') as AlertsNodeOptions

const pool = createNamedPool('primary', { url, pools: { primary: { minConnections: 0, maxConnections: 4 } } })
const health = createHealth()
health.register({
  name: 'postgres',
  critical: true,
  check: async (signal) => {
    await pool.query('select 1', [], { signal })
    return { status: 'up' }
  },
})
const webhook = { type: 'webhook', secret, timeoutMs: 1000 } as const
const alerts = await openAlerts({
  pool,
  folder,
  health,
  rules: [
    defineRule({
      name: 'database-away',
      severity: 'critical',
      entityType: 'database',
      keepFiringFor: '1s',
      when: { health: 'postgres', is: ['down'] },
      says: 'Postgres does not answer.',
    }),
  ],
  channels: { ops: { ...webhook, url: ops, fallback: 'backup' }, backup: { ...webhook, url: backup } },
  routes: [
    { match: ['severity=critical'], channels: ['ops'] },
    { channels: ['ops'], groupWaitMs: 200, groupIntervalMs: 500 },
  ],
  allowed: ['127.0.0.1'],
  metrics: createMetrics(),
  signals: createSignals(),
  lookEveryMs: 500,
  resolveTimeoutMs: 5000,
  log: silentLogger,
})
alerts.start()
console.log('ready')
