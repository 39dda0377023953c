import { randomUUID } from 'node:crypto'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Client } from '../postgres/postgres.js'
import type { Told } from './answering.js'
import type { Authenticate } from './bearer.js'
import type { Refusals } from './define-errors.js'
import type { Failure } from './failures.js'
import { type ApiInfo, createApiNotes } from './openapi.js'
import { isStorable } from './storable.js'

/** What an application tells of itself at `/health`. */
export interface HealthDetails<S extends z.ZodObject> {
  /** What `read` gives. */
  readonly answer: S
  readonly read: () => Promise<Told<S>>
}

export interface AppServerOptions<C, S extends z.ZodObject = z.ZodObject> {
  readonly errors: Refusals
  /** Gives every request of `routes` its `caller`. */
  readonly authenticate: Authenticate<C>
  /** `/health` asks it. */
  readonly db: Pick<Client, 'query'>
  /** What wants a token. */
  readonly routes: (app: FastifyInstance) => void
  /** Before every route that wants a token. */
  readonly prefix?: string
  /** What wants none. */
  readonly openRoutes?: (app: FastifyInstance) => void
  /** What `/health` tells besides, while Postgres answers. */
  readonly health?: HealthDetails<S>
  /** Bytes; routes may allow more. Default 1 MiB. */
  readonly bodyLimit?: number
  /**
   * Tells at `/openapi.json` what routes take, as far as their `config` names `summary`, `body` and `query`, and what those made by `answering`
   * answer; of open ones, those that it calls `open`.
   */
  readonly api?: ApiInfo
  /** Hears of what failed here; of refusals it does not. */
  readonly onFailure?: ((failure: Failure) => void) | undefined
}

const healthBudgetMs = 1000

const connected = z.strictObject({ status: z.literal('ok'), database: z.literal('connected') })
const alive = z.strictObject({ status: z.literal('ok') })

const answerError =
  (errors: Refusals, onFailure: (failure: Failure) => void) =>
  (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { status, code, message, details } = errors.refusalOf(error)
    if (status >= 500) onFailure({ error, code, status, route: request.routeOptions.url ?? '', requestId: request.id })
    if (status === 401) reply.header('www-authenticate', 'Bearer')
    if (status === 503) reply.header('retry-after', '1')
    return reply.status(status).send({ error: message, code, ...details })
  }

/** JSON alone is read, anything else is answered with 415; a body that is empty is none. */
const readJsonAlone = (app: FastifyInstance): void => {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined)
    else parse(request, String(body), done)
  })
}

/** A connection whose last answer comes while the server closes would be kept for the next request, and the server with it. */
const letGoOnClose = (app: FastifyInstance): void => {
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
  })
  app.addHook('onSend', async (_request, reply) => {
    if (isClosing) reply.header('connection', 'close')
  })
}

const isConnected = (db: Pick<Client, 'query'>): Promise<boolean> =>
  db.query('select 1', [], { signal: AbortSignal.timeout(healthBudgetMs) }).then(
    () => true,
    () => false,
  )

/**
 * An application's HTTP server; the caller listens and closes. Errors are answered as `{error, code}`, `GET /health` tells whether Postgres
 * answers, `GET /livez` that the process does, and every other route wants a token and is kept by nobody on the way.
 */
export const createAppServer = <C, S extends z.ZodObject = z.ZodObject>(options: AppServerOptions<C, S>): FastifyInstance => {
  const {
    errors,
    authenticate,
    db,
    routes,
    openRoutes,
    prefix = '',
    health,
    api,
    bodyLimit = 1024 ** 2,
    onFailure = () => {},
  } = options
  // Logs and audits of many processes hold them.
  const app = fastify({
    logger: false,
    bodyLimit,
    routerOptions: { maxParamLength: 256 },
    genReqId: () => randomUUID(),
    // An address that cannot be read at all.
    frameworkErrors: answerError(errors, onFailure),
  })
  app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id))
  readJsonAlone(app)
  letGoOnClose(app)
  app.setErrorHandler(answerError(errors, onFailure))
  app.setNotFoundHandler(() => {
    throw errors.named('NOT_FOUND', 'There is no such address.')
  })

  const notes = api && createApiNotes(api)
  notes?.note(app, { openAlone: true })
  const answer = health ? connected.extend(health.answer.shape) : connected
  app.get('/health', { config: { summary: 'Whether Postgres answers.', answer, open: true } }, async (_request, reply) =>
    (await isConnected(db))
      ? { status: 'ok', database: 'connected', ...(await health?.read()) }
      : reply.status(503).send({ status: 'error', database: 'disconnected' }),
  )
  app.get('/livez', { config: { summary: 'That the process answers.', answer: alive, open: true } }, async () => ({
    status: 'ok',
  }))
  openRoutes?.(app)
  notes?.serve(app)

  app.register(
    async (inner) => {
      notes?.note(inner)
      inner.decorateRequest('caller')
      // Before the body is read.
      inner.addHook('onRequest', async (request, reply) => {
        reply.header('cache-control', 'no-store')
        Object.assign(request, { caller: await authenticate(request.headers.authorization) })
        if (!isStorable(request.params)) throw errors.named('NOT_FOUND')
      })
      routes(inner)
    },
    { prefix },
  )
  return app
}
