import * as prom from 'prom-client'
import { describe, expect, it } from 'vitest'
import { createMetrics } from './metrics.js'

describe('the metrics', () => {
  it('counts, measures and renders in the Prometheus text format, apart from the global registry', async () => {
    const metrics = createMetrics()
    const calls = metrics.counter('tidemark_redis_commands_total', 'Commands sent.', ['outcome'])
    calls.increment({ outcome: 'ok' })
    calls.add(4, { outcome: 'ok' })
    metrics.counter('tidemark_starts_total', 'Starts.').increment()
    const connections = metrics.gauge('tidemark_pool_connections', 'In use.', ['pool'])
    connections.set(7, { pool: 'primary' })
    connections.add(-2, { pool: 'primary' })
    metrics.gauge('tidemark_cache_bytes', 'Bytes.').set(12)
    const seconds = metrics.histogram('tidemark_http_request_seconds', 'Time.', ['route'], [0.1, 1])
    seconds.observe(0.05, { route: '/' })
    seconds.observe(0.5, { route: '/' })
    metrics.histogram('tidemark_batch_rows', 'Rows.').observe(3)
    const text = await metrics.render()
    expect(metrics.contentType).toContain('text/plain')
    for (const line of [
      'tidemark_redis_commands_total{outcome="ok"} 5',
      'tidemark_starts_total 1',
      'tidemark_pool_connections{pool="primary"} 5',
      'tidemark_cache_bytes 12',
      'tidemark_http_request_seconds_bucket{le="0.1",route="/"} 1',
      'tidemark_http_request_seconds_count{route="/"} 2',
      'tidemark_batch_rows_sum 3',
    ]) {
      expect(text).toContain(line)
    }
    expect(await prom.register.metrics()).not.toContain('tidemark')
    expect(await createMetrics().render()).not.toContain('tidemark_starts_total')
  })

  it('gives the same metric again for the same definition, and refuses another one under its name', async () => {
    const metrics = createMetrics()
    metrics.counter('tidemark_a_total', 'A.').increment()
    metrics.counter('tidemark_a_total', 'A.').increment()
    expect(await metrics.render()).toContain('tidemark_a_total 2')
    expect(() => metrics.counter('tidemark_a_total', 'A.', ['x'])).toThrow(/already defined otherwise/)
  })

  it('refuses names without prefix, unit or snake case, and labels that are not names', () => {
    const metrics = createMetrics()
    for (const name of [
      'requests_total',
      'tidemark_requests',
      'tidemark_Requests_total',
      'tidemark__x_total',
      'tidemark_total_',
    ]) {
      expect(() => metrics.counter(name, 'x')).toThrow(expect.objectContaining({ code: 'TM_OBSERVABILITY_METRIC' }))
    }
    expect(() => metrics.gauge('tidemark_lag', 'x')).toThrow(/ends in none of the units/)
    expect(() => metrics.histogram('tidemark_lag_ms', 'x')).toThrow(/ends in none of the units/)
    expect(() => metrics.counter('tidemark_x_total', 'x', ['Bad-Label'])).toThrow(/Bad-Label/)
    expect(() => metrics.histogram('tidemark_x_seconds', 'x', ['le'])).toThrow(/le/)
  })

  it('SEC-2: masks secrets in the values of labels', async () => {
    const metrics = createMetrics()
    metrics.counter('tidemark_x_total', 'X.', ['target']).increment({ target: 'redis://u:hunter2@h' })
    expect(await metrics.render()).toContain('target="redis://u:***@h"')
  })

  it('measures the process where asked', async () => {
    expect(await createMetrics({ process: true }).render()).toContain('tidemark_process_process_cpu_seconds_total')
  })
})
