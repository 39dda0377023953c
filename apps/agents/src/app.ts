/** The agents over HTTP. Every route but those of health wants a token. */
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { isTidemarkError, type Relay } from 'tidemark'
import { type Caller, createAuthenticate } from './access.js'
import { addAgentRoutes } from './agent-routes.js'
import { AgentsError, type AgentsErrorCode, agentsErrors } from './agents-error.js'
import type { Alerts } from './alerts.js'
import { addMetricRoutes } from './metric-routes.js'
import type { Backoff } from './queue.js'
import type { AgentReads } from './reads.js'
import type { Db } from './rows.js'
import type { Secondary } from './secondary.js'
import type { SupabaseHealth } from './supabase-health.js'
import { addTaskRoutes } from './task-routes.js'
import type { Writes } from './writes.js'

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

export interface Failure {
  readonly error: unknown
  readonly code: AgentsErrorCode
  /** The route's pattern, not its address. */
  readonly route: string
  readonly requestId: string
}

/** What routes work with. */
export interface RouteContext {
  readonly db: Db
  readonly reads: AgentReads
  readonly writes: Writes
  readonly clock: { now(): number }
  readonly backoff: Backoff
  readonly alerts: Alerts
  /** Undefined where realtime is switched off. */
  readonly realtime: Pick<Relay, 'getStatus'> | undefined
}

export interface AppOptions extends RouteContext {
  /** HS256; at least 32 bytes. */
  readonly jwtSecret: string
  readonly secondary: Pick<Secondary, 'status'> | undefined
  readonly supabaseHealth: SupabaseHealth
  /** Hears of what failed here; of refusals it does not. */
  readonly onFailure?: (failure: Failure) => void
}

const bodyLimit = 5 * 1024 * 1024
const healthBudgetMs = 1000

const asRefusal = (error: unknown): { readonly status: number; readonly code: AgentsErrorCode; readonly message: string } => {
  if (error instanceof AgentsError) return error
  if (isTidemarkError(error)) {
    const code = error.retryable || error.httpStatus === 503 ? 'AGENTS_UNAVAILABLE' : 'AGENTS_FAILED'
    return { code, ...agentsErrors[code] }
  }
  const status = (error as FastifyError).statusCode ?? 500
  if (status >= 500) return { code: 'AGENTS_FAILED', ...agentsErrors.AGENTS_FAILED }
  return {
    status,
    code: 'AGENTS_MALFORMED',
    message: status === 413 ? 'The request is too large.' : agentsErrors.AGENTS_MALFORMED.message,
  }
}

const answerError =
  (onFailure: (failure: Failure) => void) =>
  (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { status, code, message } = asRefusal(error)
    if (status >= 500) onFailure({ error, code, route: request.routeOptions.url ?? '', requestId: request.id })
    if (status === 401) reply.header('www-authenticate', 'Bearer')
    if (status === 503) reply.header('retry-after', '1')
    return reply.status(status).send({ error: message, code })
  }

const isConnected = async (db: AppOptions['db']): Promise<boolean> =>
  db.query('select 1', [], { signal: AbortSignal.timeout(healthBudgetMs) }).then(
    () => true,
    () => false,
  )

/** Makes the app; the caller listens and closes. */
export const createApp = (options: AppOptions): FastifyInstance => {
  const { db, realtime, secondary, alerts, supabaseHealth, jwtSecret, onFailure = () => {} } = options
  const authenticate = createAuthenticate(jwtSecret)
  const app = Fastify({ logger: false, bodyLimit, routerOptions: { maxParamLength: 256 } })
  // JSON alone is read; a body that is empty is none.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined)
    try {
      done(null, JSON.parse(String(body)))
    } catch {
      done(new AgentsError('AGENTS_MALFORMED', 'The body is no JSON.'))
    }
  })
  app.setErrorHandler(answerError(onFailure))
  app.setNotFoundHandler((_request, reply) =>
    reply.status(404).send({ error: 'There is no such address.', code: 'AGENTS_NOT_FOUND' }),
  )

  app.get('/health', async (_request, reply) => {
    if (!(await isConnected(db))) return reply.status(503).send({ status: 'error', database: 'disconnected' })
    const relay = await realtime?.getStatus().catch(() => undefined)
    return {
      status: 'ok',
      database: 'connected',
      realtime: relay
        ? { state: relay.state, queued: relay.queued, dropped: relay.dropped, lag_ms: relay.lagMs }
        : { state: 'disabled' },
      secondary: secondary ? await secondary.status() : { configured: false },
      active_alerts: alerts.list('active').length,
    }
  })

  app.get('/api/v1/health/supabase', async (_request, reply) => {
    const { httpStatus, body } = await supabaseHealth()
    return reply.status(httpStatus).header('cache-control', 'no-store').send(body)
  })

  app.register(
    async (routes) => {
      routes.decorateRequest('caller')
      // Before the body is read.
      routes.addHook('onRequest', async (request, reply) => {
        reply.header('cache-control', 'no-store')
        request.caller = await authenticate(request.headers.authorization)
      })
      addAgentRoutes(routes, options)
      addTaskRoutes(routes, options)
      addMetricRoutes(routes, options)
    },
    { prefix: '/api/v1' },
  )
  return app
}
