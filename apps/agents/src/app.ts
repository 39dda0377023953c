/** The agents over HTTP. Every route but those of health wants a token. */
import type { FastifyInstance } from 'fastify'
import type { Relay } from 'tidemark'
import { answering, createAppServer, type Failure } from 'tidemark/app'
import { type Caller, createAuthenticate } from './access.js'
import { AgentsError } from './agents-error.js'
import type { Alerts } from './alerts.js'
import type { AgentReads } from './reads.js'
import type { Db } from './repository/rows.js'
import { addAgentRoutes } from './routes/agent-routes.js'
import * as answers from './routes/answers.js'
import { addMetricRoutes } from './routes/metric-routes.js'
import { addTaskRoutes } from './routes/task-routes.js'
import type { Secondary } from './second-database/secondary.js'
import type { Writes } from './second-database/writes.js'
import type { SupabaseHealth } from './supabase-health.js'
import type { SupabaseService } from './supabase-service.js'

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

/** What routes work with. */
export interface RouteContext {
  readonly db: Db
  readonly reads: AgentReads
  readonly writes: Writes
  readonly service: SupabaseService
  readonly clock: { now(): number }
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

/** Makes the app; the caller listens and closes. */
export const createApp = (options: AppOptions): FastifyInstance => {
  const { db, realtime, secondary, alerts, supabaseHealth, jwtSecret, onFailure } = options
  return createAppServer({
    errors: AgentsError,
    authenticate: createAuthenticate(jwtSecret),
    db,
    bodyLimit: 5 * 1024 * 1024,
    api: { title: 'Agents', version: '1' },
    onFailure,
    health: {
      answer: answers.health,
      read: async () => {
        const relay = await realtime?.getStatus().catch(() => undefined)
        return {
          realtime: relay
            ? { state: relay.state, queued: relay.queued, dropped: relay.dropped, lag_ms: relay.lagMs }
            : { state: 'disabled' as const },
          secondary: secondary ? await secondary.status() : { configured: false as const },
          active_alerts: alerts.active().length,
        }
      },
    },
    openRoutes: (app) => {
      const notes = { summary: 'Whether the second database answers, and for which tables.', open: true }
      const look = answering(answers.supabaseHealth, notes, async (_request, reply) => {
        const { httpStatus, body } = await supabaseHealth()
        reply.status(httpStatus).header('cache-control', 'no-store')
        return body
      })
      app.get('/api/v1/health/supabase', look)
    },
    prefix: '/api/v1',
    routes: (app) => {
      addAgentRoutes(app, options)
      addTaskRoutes(app, options)
      addMetricRoutes(app, options)
    },
  })
}
