/** Metrics and health over HTTP. */
import type { FastifyInstance } from 'fastify'
import { fromRead } from 'tidemark/app'
import { requireService } from './access.js'
import type { RouteContext } from './app.js'
import { listHealth } from './health.js'
import { alertsQuery, hoursQuery, metricsQuery, newMetric, parse } from './input.js'
import { listMetrics } from './metrics.js'

export const addMetricRoutes = (app: FastifyInstance, { db, reads, service, clock, alerts, realtime }: RouteContext): void => {
  const now = (): Date => new Date(clock.now())

  app.get('/metrics', { config: { summary: 'Windows of metrics, the newest first.', query: metricsQuery } }, async (request) => {
    const query = parse(metricsQuery, request.query)
    return request.caller.role === 'anon' ? { metrics: [], next: null } : listMetrics(db, query, now())
  })

  app.post(
    '/metrics',
    { config: { summary: 'Keeps a window; stored twice it is one.', body: newMetric } },
    async (request, reply) => {
      requireService(request.caller)
      const stored = await service.storeAgentMetrics(parse(newMetric, request.body), request)
      return reply.status(stored.version === 1 ? 201 : 200).send(stored)
    },
  )

  app.get('/health', { config: { summary: 'Readings of health, the newest first.', query: hoursQuery } }, async (request) => {
    const query = parse(hoursQuery, request.query)
    return request.caller.role === 'anon' ? { health: [], next: null } : listHealth(db, query, now())
  })

  app.get('/health/summary', { config: { summary: 'The agents summed up.' } }, async (request, reply) => {
    requireService(request.caller)
    return fromRead(reply, await reads.summary())
  })

  app.get('/realtime/status', { config: { summary: 'How the telling of frontends is.' } }, async (request) => {
    requireService(request.caller)
    return realtime ? realtime.getStatus() : { state: 'disabled' }
  })

  app.get(
    '/alerts',
    { config: { summary: 'What is wrong, and what was, the newest first.', query: alertsQuery } },
    async (request) => {
      requireService(request.caller)
      return alerts.page(parse(alertsQuery, request.query))
    },
  )
}
