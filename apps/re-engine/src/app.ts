/** Leads, approvals and agents over HTTP. Every route but `/health`, `/metrics` and `/openapi.json` wants a token; what is not the caller's own is not there. */
import type { FastifyInstance } from 'fastify'
import { createAppServer, type Failure } from 'tidemark/app'
import { createAuthenticate } from './access.js'
import { EngineError } from './engine-error.js'
import { type AdminContext, addAdminRoutes } from './routes/admin-routes.js'
import { addAgentRoutes } from './routes/agent-routes.js'
import { addApprovalRoutes } from './routes/approval-routes.js'
import { addLeadRoutes } from './routes/lead-routes.js'
import { addLeadUpdatesRoute } from './routes/lead-updates-route.js'
import type { Db } from './rows.js'

export interface AppOptions extends AdminContext {
  /** As the server; `/health` asks it. */
  readonly db: Db
  /** HS256; at least 32 bytes. */
  readonly jwtSecret: string
  /** Sees the server before its routes are added. */
  readonly watch?: (app: FastifyInstance) => void
  /** Hears of what failed here; of refusals it does not. */
  readonly onFailure?: (failure: Failure) => void
}

/** Makes the app; the caller listens and closes. */
export const createApp = (options: AppOptions): FastifyInstance => {
  const { db, jwtSecret, ops, watch, onFailure } = options
  return createAppServer({
    errors: EngineError,
    authenticate: createAuthenticate(jwtSecret),
    db,
    bodyLimit: 128 * 1024,
    api: { title: 'RE Engine', version: '1' },
    onFailure,
    openRoutes: (app) => {
      watch?.(app)
      app.get('/metrics', async (_request, reply) => {
        const { contentType, text } = await ops.metrics()
        return reply.header('content-type', contentType).header('cache-control', 'no-store').send(text)
      })
    },
    routes: (app) => {
      addLeadUpdatesRoute(app, options)
      addLeadRoutes(app, options)
      addAgentRoutes(app, options)
      addApprovalRoutes(app, options)
      addAdminRoutes(app, options)
    },
  })
}
