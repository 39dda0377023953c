import type { FastifyInstance } from 'fastify'
import type { Health, Metrics } from '../../observability/observability.js'
import type { Runtime } from '../runtime.js'
import type { SupabaseHealthAnswer } from '../supabase-health/supabase-health.js'
import { allowCrossOrigin } from './cors.js'

export interface SystemRoutesOptions {
  readonly health: Health
  readonly metrics: Metrics
  readonly version: string
  /** Undefined while the server starts. */
  runtime(): Runtime | undefined
  uptimeSeconds(): number
  /** Brings the gauges up to date before a scrape. */
  refreshGauges(): void
  supabaseHealth(): Promise<SupabaseHealthAnswer>
}

/** Paths that a server answers in every phase of its life. */
export const systemPaths: ReadonlySet<string> = new Set(['/health', '/livez', '/readyz', '/metrics', '/api/v1/health/supabase'])

/** `/health` for people and load balancers, `/api/v1/health/supabase` for the tables behind the API, `/livez` and `/readyz` for orchestrators, `/metrics` for Prometheus. */
export const addSystemRoutes = (app: FastifyInstance, options: SystemRoutesOptions): void => {
  const { health, metrics, version } = options
  void app.register(async (scope) => {
    // Pages of any origin show how the server is: `useHealth` of the client sends its key along, so browsers ask first.
    allowCrossOrigin(scope, { methods: ['GET', 'HEAD', 'OPTIONS'], exposedHeaders: ['Retry-After'], ownOptions: true })
    scope.options('/health', async (_request, reply) => reply.status(204).send())
    scope.get('/health', async (_request, reply) => {
      const { httpStatus, body } = await health.report()
      const { status, database, ...rest } = body
      return reply
        .status(httpStatus)
        .header('cache-control', 'no-store')
        .send({
          status,
          database,
          redis: options.runtime()?.redis.redis.state ?? 'absent',
          version,
          uptimeSeconds: options.uptimeSeconds(),
          ...rest,
        })
    })
  })
  app.get('/api/v1/health/supabase', async (_request, reply) => {
    const { httpStatus, body } = await options.supabaseHealth()
    return reply.status(httpStatus).header('cache-control', 'no-store').send(body)
  })
  app.get('/livez', async (_request, reply) => {
    const { httpStatus, body } = health.live()
    return reply.status(httpStatus).send(body)
  })
  app.get('/readyz', async (_request, reply) => {
    const { httpStatus, body } = await health.ready()
    return reply.status(httpStatus).send(body)
  })
  app.get('/metrics', async (_request, reply) => {
    options.refreshGauges()
    return reply.type(metrics.contentType).send(await metrics.render())
  })
}
