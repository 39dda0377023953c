/** Metrics and health over HTTP. */
import type { FastifyInstance } from 'fastify'
import { answering, fromRead } from 'tidemark/app'
import { requireService } from '../access.js'
import type { RouteContext } from '../app.js'
import { listHealth } from '../repository/health.js'
import { listMetrics } from '../repository/metrics.js'
import * as answers from './answers.js'
import { alertsQuery, hoursQuery, metricsQuery, newMetric, parse } from './input.js'

export const addMetricRoutes = (app: FastifyInstance, { db, reads, service, clock, alerts, realtime }: RouteContext): void => {
  const now = (): Date => new Date(clock.now())

  app.get(
    '/metrics',
    answering(answers.metricPage, { summary: 'Windows of metrics, the newest first.', query: metricsQuery }, async (request) => {
      const query = parse(metricsQuery, request.query)
      return request.caller.role === 'anon' ? { metrics: [], next: null } : listMetrics(db, query, now())
    }),
  )

  app.post(
    '/metrics',
    answering(
      answers.storedMetric,
      { summary: 'Keeps a window; stored twice it is one.', body: newMetric },
      async (request, reply) => {
        requireService(request.caller)
        const stored = await service.storeAgentMetrics(parse(newMetric, request.body), request)
        reply.status(stored.version === 1 ? 201 : 200)
        return stored
      },
    ),
  )

  app.get(
    '/health',
    answering(answers.healthPage, { summary: 'Readings of health, the newest first.', query: hoursQuery }, async (request) => {
      const query = parse(hoursQuery, request.query)
      return request.caller.role === 'anon' ? { health: [], next: null } : listHealth(db, query, now())
    }),
  )

  app.get(
    '/health/summary',
    answering(answers.healthSummary, { summary: 'The agents summed up.' }, async (request, reply) => {
      requireService(request.caller)
      return fromRead(reply, await reads.summary())
    }),
  )

  app.get(
    '/realtime/status',
    answering(answers.realtimeStatus, { summary: 'How the telling of frontends is.' }, async (request) => {
      requireService(request.caller)
      return realtime ? realtime.getStatus() : { state: 'disabled' as const }
    }),
  )

  app.get(
    '/alerts',
    answering(
      answers.alertPage,
      { summary: 'What is wrong, and what was, the newest first.', query: alertsQuery },
      async (request) => {
        requireService(request.caller)
        return alerts.page(parse(alertsQuery, request.query))
      },
    ),
  )
}
