/** The chat over HTTP. Every route but `/health` wants a token; what is not the caller's own is not there. */
import type { FastifyInstance } from 'fastify'
import { createAppServer, type Failure } from 'tidemark/app'
import { type Caller, createAuthenticate } from './access.js'
import { ChatError } from './chat-error.js'
import { addMessageRoutes } from './message-routes.js'
import { type ChatReads, createRepositoryReads } from './reads.js'
import type { Db } from './rows.js'
import { addSessionRoutes } from './session-routes.js'
import type { ChatWrites } from './writes.js'

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

export interface AppOptions {
  /** The primary; for pages that no cache keeps. */
  readonly db: Db
  readonly writes: ChatWrites
  /** Default: straight from `db`. */
  readonly reads?: ChatReads
  /** HS256; at least 32 bytes. */
  readonly jwtSecret: string
  /** How long a deleted chat can be taken back. Default 30 days. */
  readonly undoMs?: number
  /** Hears of what failed here; of refusals it does not. */
  readonly onFailure?: (failure: Failure) => void
}

/** What routes work with. */
export interface RouteContext extends Required<Pick<AppOptions, 'db' | 'writes' | 'reads'>> {
  readonly undoMs: number | undefined
}

/** Makes the app; the caller listens and closes. */
export const createApp = (options: AppOptions): FastifyInstance => {
  const { db, writes, jwtSecret, undoMs, reads = createRepositoryReads(db), onFailure } = options
  return createAppServer({
    errors: ChatError,
    authenticate: createAuthenticate(jwtSecret),
    db,
    bodyLimit: 32 * 1024,
    api: { title: 'Chat', version: '1' },
    onFailure,
    routes: (app) => {
      const context: RouteContext = { db, writes, reads, undoMs }
      addSessionRoutes(app, context)
      addMessageRoutes(app, context)
    },
  })
}
