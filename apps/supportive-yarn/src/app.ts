/** The yarn over HTTP: `POST /chat`, `GET /history/:sessionId` for those who hold its token, and `GET /health`. */
import { timingSafeEqual } from 'node:crypto'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { createLimiter } from 'tidemark/limiter'
import { z } from 'zod'
import { type ChatStore, createChat } from './chat.js'
import * as repository from './repository.js'
import type { Wording } from './wording.js'

export interface AppOptions {
  readonly store: ChatStore
  readonly wording: Wording
  readonly respond?: (history: readonly repository.Message[]) => Promise<string>
  /** Opens `GET /history/:sessionId`; without one there is no such route. */
  readonly historyToken?: string
  /** Adds what was decided to each answer; never in production. */
  readonly debug?: boolean
  readonly chatPerMinute?: number
  readonly perHour?: number
  readonly perDay?: number
  /** Hears of failures, never of words. */
  readonly onError?: (error: unknown) => void
}

const chatBody = z.object({
  session_id: z.string().trim().min(1).max(128).optional(),
  message: z.string().trim().min(1).max(1000),
})

const historyQuery = z.object({ limit: z.coerce.number().int().min(1).max(200).default(50) })

const healthBudgetMs = 1000

const minute = 60_000

/** Every limit that a request counts against; the first that is used up answers. */
const createLimits = ({ chatPerMinute = 30, perHour = 50, perDay = 200 }: AppOptions) => {
  const chat = createLimiter({ name: 'yarn:chat', limit: chatPerMinute, windowMs: minute })
  const general = [
    createLimiter({ name: 'yarn:hour', limit: perHour, windowMs: 60 * minute }),
    createLimiter({ name: 'yarn:day', limit: perDay, windowMs: 24 * 60 * minute }),
  ]
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const limits = request.routeOptions.url === '/chat' ? [chat] : general
    for (const limit of limits) {
      const decision = await limit.take(request.ip)
      if (decision.allowed) continue
      reply.header('retry-after', String(Math.max(1, Math.ceil(decision.retryAfterMs / 1000))))
      return reply.status(429).send({ error: 'Too many messages. Take a breath, and try again in a moment.' })
    }
    return undefined
  }
}

const holds = (request: FastifyRequest, token: string): boolean => {
  const [given, wanted] = [request.headers.authorization ?? '', `Bearer ${token}`].map((text) => Buffer.from(text))
  return given!.length === wanted!.length && timingSafeEqual(given!, wanted!)
}

const answerError =
  (onError: (error: unknown) => void) =>
  (error: FastifyError, _request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const status = error.statusCode ?? 500
    if (status < 500) return reply.status(status).send({ error: error.message })
    onError(error)
    return reply.status(500).send({ error: 'Something went wrong here. Try again in a moment.' })
  }

const connected = async (store: ChatStore): Promise<boolean> => {
  const answered = store.read(repository.ping).then(
    () => true,
    () => false,
  )
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), healthBudgetMs)
  })
  return Promise.race([answered, late]).finally(() => clearTimeout(timer))
}

const addHistory = (app: FastifyInstance, { store }: AppOptions, token: string): void => {
  app.get('/history/:sessionId', async (request, reply) => {
    if (!holds(request, token))
      return reply.status(401).header('www-authenticate', 'Bearer').send({ error: 'A token is needed.' })
    const query = historyQuery.safeParse(request.query)
    if (!query.success) return reply.status(400).send({ error: 'limit is a whole number from 1 to 200.' })
    const { sessionId } = request.params as { readonly sessionId: string }
    const [session, messages] = await store.read(async (db) => [
      await repository.getSessionData(db, sessionId),
      await repository.getHistory(db, sessionId, query.data.limit),
    ])
    if (!session) return reply.status(404).send({ error: 'There is no such session.' })
    return { session_id: sessionId, state: session.fsmState, messages }
  })
}

/** Makes the app; the caller listens and closes. */
export const createApp = (options: AppOptions): FastifyInstance => {
  const { store, wording, respond, historyToken, debug = false, onError = () => {} } = options
  const app = Fastify({ logger: false, bodyLimit: 16 * 1024 })
  // JSON alone is read; anything else is answered with 415.
  app.removeContentTypeParser('text/plain')
  const limits = createLimits(options)
  const chat = createChat({ store, wording, onStoreError: onError, ...(respond && { respond }) })
  app.setErrorHandler(answerError(onError))

  app.post('/chat', async (request, reply) => {
    if (await limits(request, reply)) return reply
    const body = chatBody.safeParse(request.body)
    if (!body.success)
      return reply.status(400).send({ error: 'A message has 1 to 1000 characters, and a session_id at most 128.' })
    const { message, session_id } = body.data
    const answer = await chat.answer(message, session_id)
    const shown = { reply: answer.reply, session_id: answer.sessionId, state: answer.state }
    return debug ? { ...shown, debug: { risk: answer.risk?.severity ?? null, degraded: answer.degraded } } : shown
  })

  app.get('/health', async (_request, reply) =>
    (await connected(store))
      ? { status: 'ok', database: 'connected' }
      : reply.status(503).send({ status: 'error', database: 'disconnected' }),
  )

  if (historyToken) addHistory(app, options, historyToken)
  return app
}
