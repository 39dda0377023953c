/** The router over HTTP. Every route but `/health` and the webhooks wants a token; what is not the caller's own is not there. */
import type { FastifyInstance } from 'fastify'
import type { Limiter } from 'tidemark'
import { createAppServer, type Failure } from 'tidemark/app'
import { createAuthenticate } from './access.js'
import { limitCallers } from './limit-callers.js'
import { ReannaError } from './reanna-error.js'
import { addFeedbackRoutes } from './routes/feedback-routes.js'
import { addOpsRoutes } from './routes/ops-routes.js'
import type { RouteContext } from './routes/route-context.js'
import { addTaskRoutes } from './routes/task-routes.js'
import { addTourRoutes } from './routes/tour-routes.js'
import { addVisitRoutes } from './routes/visit-routes.js'
import type { Db } from './rows.js'

export interface AppOptions extends RouteContext {
  /** As the server; `/health` asks it. */
  readonly db: Db
  /** HS256; at least 32 bytes. */
  readonly jwtSecret: string
  /** Of each caller. */
  readonly limiter: Limiter
  /** Sees the server before its routes are added. */
  readonly watch?: (app: FastifyInstance) => void
  /** Hears of what failed here; of refusals it does not. */
  readonly onFailure?: (failure: Failure) => void
}

/** Makes the app; the caller listens and closes. */
export const createApp = (options: AppOptions): FastifyInstance => {
  const { db, jwtSecret, limiter, watch, onFailure } = options
  return createAppServer({
    errors: ReannaError,
    authenticate: createAuthenticate(jwtSecret),
    db,
    api: { title: 'REanna Router', version: '1' },
    onFailure,
    ...(watch && { openRoutes: watch }),
    routes: (app) => {
      limitCallers(app, limiter)
      addTourRoutes(app, options)
      addVisitRoutes(app, options)
      addTaskRoutes(app, options)
      addFeedbackRoutes(app, options)
      addOpsRoutes(app, options)
    },
  })
}
