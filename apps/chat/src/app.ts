/** The chat over HTTP. Every route but `/health` wants a token; what is not the caller's own is not there. */
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { isTidemarkError } from 'tidemark'
import { type Caller, createAuthenticate } from './access.js'
import { ChatError, type ChatErrorCode, chatErrors } from './chat-error.js'
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

export interface Failure {
  readonly error: unknown
  readonly code: ChatErrorCode
  /** The route's pattern, not its address. */
  readonly route: string
  readonly requestId: string
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

const bodyLimit = 32 * 1024
const healthBudgetMs = 1000

/** What was raised, as what is answered. A refusal of Fastify's own keeps its status. */
const asRefusal = (error: unknown): { readonly status: number; readonly code: ChatErrorCode; readonly message: string } => {
  if (error instanceof ChatError) return error
  if (isTidemarkError(error, 'TM_FEED_POSITION') || isTidemarkError(error, 'TM_FEED_EPOCH'))
    return { status: error.httpStatus, code: 'CHAT_INVALID', message: 'Tidemark-Position is no position of this chat.' }
  if (isTidemarkError(error)) {
    const code = error.retryable || error.httpStatus === 503 ? 'CHAT_UNAVAILABLE' : 'CHAT_FAILED'
    return { code, ...chatErrors[code] }
  }
  const status = (error as FastifyError).statusCode ?? 500
  if (status >= 500) return { code: 'CHAT_FAILED', ...chatErrors.CHAT_FAILED }
  return { status, code: 'CHAT_INVALID', message: status === 413 ? 'The request is too large.' : chatErrors.CHAT_INVALID.message }
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

const isConnected = async (db: Db): Promise<boolean> => {
  try {
    await db.query('select 1', [], { signal: AbortSignal.timeout(healthBudgetMs) })
    return true
  } catch {
    return false
  }
}

/** Makes the app; the caller listens and closes. */
export const createApp = (options: AppOptions): FastifyInstance => {
  const { db, writes, jwtSecret, undoMs, reads = createRepositoryReads(db), onFailure = () => {} } = options
  const authenticate = createAuthenticate(jwtSecret)
  const app = Fastify({ logger: false, bodyLimit, routerOptions: { maxParamLength: 256 } })
  // JSON alone is read; anything else is answered with 415.
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler(answerError(onFailure))
  app.setNotFoundHandler((_request, reply) =>
    reply.status(404).send({ error: 'There is no such address.', code: 'CHAT_NOT_FOUND' }),
  )

  app.get('/health', async (_request, reply) =>
    (await isConnected(db))
      ? { status: 'ok', database: 'connected' }
      : reply.status(503).send({ status: 'error', database: 'disconnected' }),
  )

  app.register(async (chats) => {
    chats.decorateRequest('caller')
    // Before the body is read.
    chats.addHook('onRequest', async (request, reply) => {
      reply.header('cache-control', 'no-store')
      request.caller = await authenticate(request.headers.authorization)
    })
    const context: RouteContext = { db, writes, reads, undoMs }
    addSessionRoutes(chats, context)
    addMessageRoutes(chats, context)
  })
  return app
}
