/** Metrics and health over HTTP. */
import type { FastifyInstance } from 'fastify'
import { requireService } from './access.js'
import type { RouteContext } from './app.js'
import { eventsOf } from './events.js'
import { healthSummary, listHealth } from './health.js'
import { hoursQuery, metricsQuery, newMetric, parse } from './input.js'
import { requireAgent } from './instances.js'
import { listMetrics, storeMetric } from './metrics.js'

export const addMetricRoutes = (app: FastifyInstance, { db, writes, clock, alerts, realtime }: RouteContext): void => {
  const now = (): Date => new Date(clock.now())

  app.get('/metrics', async (request) => {
    const query = parse(metricsQuery, request.query)
    return { metrics: request.caller.role === 'anon' ? [] : await listMetrics(db, query, now()) }
  })

  app.post('/metrics', async (request, reply) => {
    requireService(request.caller)
    const { agent_id, ...metric } = parse(newMetric, request.body)
    const { result, degraded } = await writes.write(async (tx, announce) => {
      const stored = await storeMetric(tx, await requireAgent(tx, agent_id), metric)
      await announce(eventsOf.metric(stored))
      return stored
    })
    return reply.status(result.version === 1 ? 201 : 200).send({ ...result, degraded })
  })

  app.get('/health', async (request) => {
    const query = parse(hoursQuery, request.query)
    return { health: request.caller.role === 'anon' ? [] : await listHealth(db, query, now()) }
  })

  app.get('/health/summary', async (request) => {
    requireService(request.caller)
    return healthSummary(db)
  })

  app.get('/realtime/status', async (request) => {
    requireService(request.caller)
    return realtime ? realtime.getStatus() : { state: 'disabled' }
  })

  app.get('/alerts', async (request) => {
    requireService(request.caller)
    return { alerts: alerts.list() }
  })
}
