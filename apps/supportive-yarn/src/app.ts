/** The yarn over HTTP: `POST /chat`, `GET /health`, `GET /livez` and `GET /openapi.json`, and for those who hold a token `GET /history/:sessionId` and `GET /analytics`. */
import { createHash, timingSafeEqual } from 'node:crypto'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { answering, createApiNotes } from 'tidemark/app'
import { createLimiter } from 'tidemark/limiter'
import { z } from 'zod'
import * as answers from './answers.js'
import { type ChatOptions, type ChatStore, createChat } from './chat.js'
import { riskReply } from './conversation/take-turn.js'
import * as repository from './repository.js'
import { detectRisk, type Risk } from './risk/detect.js'
import type { Wording } from './wording.js'

export interface AppOptions extends Pick<ChatOptions, 'respond' | 'budgetMs' | 'idleMs'> {
  readonly store: ChatStore
  readonly wording: Wording
  /** Opens `GET /history/:sessionId` and `GET /analytics`; without one there are no such routes. */
  readonly historyToken?: string
  /** Adds what was decided to each answer; never in production. */
  readonly debug?: boolean
  readonly chatPerMinute?: number
  readonly perHour?: number
  readonly perDay?: number
  /** Proxies in front, whose word for the address of a sender counts. Default 0. */
  readonly trustedProxies?: number
  /** Hears of failures. What they raise may quote words: `failureOf` says what may be written down. */
  readonly onFailure?: (error: unknown) => void
}

/** Text as both stores can hold it: without NUL, and whole where half of a surrogate pair is missing. */
const text = (max: number) =>
  z
    .string()
    .transform((given) =>
      given
        .replaceAll('\0', '')
        .replace(/\p{Surrogate}/gu, '\ufffd')
        .trim(),
    )
    .pipe(z.string().min(1).max(max))

const sessionName = text(128)
const chatBody = z.object({ session_id: sessionName.optional(), message: text(1000) })

/** Of a body as it came, also of one that is refused. */
const riskIn = (body: unknown): Risk | null => {
  const { message } = (body ?? {}) as { readonly message?: unknown }
  return typeof message === 'string' ? detectRisk(message) : null
}

const historyQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  /** `next` of the page before. */
  cursor: z
    .string()
    .regex(/^\d{1,18}$/)
    .optional(),
})
const analyticsQuery = z.object({ days: z.coerce.number().int().min(1).max(366).default(30) })

/** What is wrong with a message is not told field by field: it has two. */
const refusal = {
  type: 'object',
  required: ['error'],
  properties: {
    error: { type: 'string' },
    reply: { type: 'string', description: 'The helplines, where a refused message asks for them.' },
  },
}

const healthBudgetMs = 1000

const minute = 60_000

/** Every limit that a request counts against; the first that is used up refuses it and says when to come back. */
const createLimits = ({ chatPerMinute = 30, perHour = 50, perDay = 200 }: AppOptions) => {
  const chat = [createLimiter({ name: 'yarn:chat', limit: chatPerMinute, windowMs: minute })]
  const general = [
    createLimiter({ name: 'yarn:hour', limit: perHour, windowMs: 60 * minute }),
    createLimiter({ name: 'yarn:day', limit: perDay, windowMs: 24 * 60 * minute }),
  ]
  return async (request: FastifyRequest, reply: FastifyReply): Promise<boolean> => {
    for (const limit of request.routeOptions.url === '/chat' ? chat : general) {
      const decision = await limit.take(request.ip)
      if (decision.allowed) continue
      reply.status(429).header('retry-after', String(Math.max(1, Math.ceil(decision.retryAfterMs / 1000))))
      return true
    }
    return false
  }
}

const digest = (value: string): Buffer => createHash('sha256').update(value).digest()

const holds = (request: FastifyRequest, token: string): boolean =>
  timingSafeEqual(digest(request.headers.authorization ?? ''), digest(`Bearer ${token}`))

/** What a handler answers with where it does not succeed. */
class Refused extends Error {
  readonly status: number
  readonly body: object

  constructor(status: number, body: object) {
    super('refused')
    this.status = status
    this.body = body
  }
}

/** Refusals in our own words: those of a parser may quote what was sent. */
const answerError =
  ({ refusals }: Wording, onFailure: (error: unknown) => void) =>
  (error: FastifyError | Refused, _request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (error instanceof Refused) return reply.status(error.status).send(error.body)
    const status = error.statusCode ?? 500
    if (status >= 500) onFailure(error)
    if (status === 413) return reply.status(413).send({ error: refusals.tooLarge })
    return reply.status(status).send({ error: status < 500 ? refusals.form : refusals.failed })
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

const addOperatorRoutes = (app: FastifyInstance, options: AppOptions, token: string): void => {
  const { store, wording } = options
  const limits = createLimits(options)
  app.register(async (inner) => {
    inner.addHook('onRequest', async (request, reply) => {
      if (await limits(request, reply)) return reply.send({ error: wording.refusals.tooMany })
      if (holds(request, token)) return undefined
      return reply.status(401).header('www-authenticate', 'Bearer').send({ error: wording.refusals.token })
    })

    const parsed = <T>(query: z.ZodType<T>, { query: given }: FastifyRequest): T => {
      const { data, success } = query.safeParse(given)
      if (!success) throw new Refused(400, { error: wording.refusals.limit })
      return data
    }

    inner.get(
      '/history/:sessionId',
      answering(
        answers.history,
        { summary: 'A session and its newest messages, oldest first; older ones by the cursor.', query: historyQuery },
        async (request) => {
          const { limit, cursor } = parsed(historyQuery, request)
          const { data: sessionId = '' } = sessionName.safeParse((request.params as { readonly sessionId: string }).sessionId)
          const [session, page] = await store.read(async (db) => [
            await repository.getSessionData(db, sessionId),
            await repository.getHistoryPage(db, sessionId, limit, cursor),
          ])
          if (!session) throw new Refused(404, { error: wording.refusals.notFound })
          return { session_id: sessionId, state: session.fsmState, ...page }
        },
      ),
    )

    inner.get(
      '/analytics',
      answering(
        answers.analytics,
        { summary: 'How often each thing happened; it names no session.', query: analyticsQuery },
        async (request) => {
          const { days } = parsed(analyticsQuery, request)
          const events = await store.read((db) => repository.getAnalytics(db, new Date(Date.now() - days * 24 * 60 * minute)))
          const started = events.session_started ?? 0
          return { days, events, completion_rate: started === 0 ? null : (events.session_completed ?? 0) / started }
        },
      ),
    )
  })
}

/** Makes the app; the caller listens and closes. */
export const createApp = (options: AppOptions): FastifyInstance => {
  const { wording, store, historyToken, debug = false, trustedProxies = 0, onFailure = () => {} } = options
  const trustProxy = (_address: string, hop: number): boolean => hop < trustedProxies
  const nothing = (_request: FastifyRequest, reply: FastifyReply) => reply.status(404).send({ error: wording.refusals.notFound })
  const app: FastifyInstance = Fastify({
    logger: false,
    bodyLimit: 16 * 1024,
    trustProxy,
    // A session's name has 128 characters at most.
    routerOptions: { maxParamLength: 128 },
    // An address that cannot be read at all.
    frameworkErrors: (_error, request, reply) => void nothing(request, reply),
  })
  // JSON alone is read; anything else is answered with 415.
  app.removeContentTypeParser('text/plain')
  const limits = createLimits(options)
  const chat = createChat(options)
  const notes = createApiNotes({ title: 'Supportive Yarn', version: '1' }, refusal)
  notes.note(app)
  notes.serve(app)
  app.setErrorHandler(answerError(wording, onFailure))
  app.setNotFoundHandler(nothing)
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })

  app.post(
    '/chat',
    answering(
      answers.chatReply,
      { summary: 'A message, and its answer.', body: chatBody, open: true },
      async (request, reply) => {
        const body = chatBody.safeParse(request.body)
        // Whoever is in danger writes fast, and at length: the numbers come with the refusal.
        const refuse = (status: number, error: string): never => {
          const risk = riskIn(request.body)
          throw new Refused(status, { error, ...(risk && { reply: riskReply(wording, risk) }) })
        }
        if (await limits(request, reply)) return refuse(429, wording.refusals.tooMany)
        if (!body.success) return refuse(400, wording.refusals.message)
        const { message, session_id } = body.data
        const answer = await chat.answer(message, session_id)
        const shown = { reply: answer.reply, session_id: answer.sessionId, state: answer.state }
        return debug ? { ...shown, debug: { risk: answer.risk?.severity ?? null, degraded: answer.degraded } } : shown
      },
    ),
  )

  app.get(
    '/health',
    answering(answers.health, { summary: 'Whether the store answers.', open: true }, async () => {
      if (!(await connected(store))) throw new Refused(503, { status: 'error', database: 'disconnected' })
      return { status: 'ok', database: 'connected' } as const
    }),
  )

  app.get(
    '/livez',
    answering(answers.alive, { summary: 'That the process answers.', open: true }, async () => ({ status: 'ok' }) as const),
  )

  if (historyToken) addOperatorRoutes(app, options, historyToken)
  return app
}
