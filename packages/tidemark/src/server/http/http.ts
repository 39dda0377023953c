import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import type Helmet from 'helmet'
import { isTidemarkError, reasonOf, TidemarkError, toTidemarkError } from '../../errors.js'
import type { Logger, Metrics } from '../../observability/observability.js'
import { maskSecrets } from '../../secrets.js'
import { isWebhookRoute } from '../webhooks/serves-webhooks.js'
import { systemPaths } from './system-routes.js'

export interface HttpOptions {
  readonly log: Logger
  readonly metrics: Metrics
}

const maxBodyBytes = 1024 * 1024
/** To receive a request: who sends a byte at a time holds a connection no longer. */
const requestTimeoutMs = 300_000
const latencyBuckets = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60]

/** What stands behind the name of a provider of webhooks is a secret. */
const webhookSecret = /^(\/+webhooks\/+[^/]*\/+).+/i

/** A query may hold a key; the path alone says enough. */
const pathOf = ({ url }: FastifyRequest): string => maskSecrets((url.split('?')[0] ?? '/').replace(webhookSecret, '$1***'))

const statusOf = (error: unknown): number | undefined => {
  const status = (error as FastifyError | undefined)?.statusCode
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined
}

/** What Fastify refuses by itself (too large, no JSON, wrong type) keeps its status and gets our form. */
const toHttpError = (error: unknown): { readonly status: number; readonly error: TidemarkError } => {
  const status = isTidemarkError(error) ? undefined : statusOf(error)
  if (status !== undefined)
    return { status, error: new TidemarkError('TM_SERVER_BAD_REQUEST', { reason: reasonOf(error) }, { cause: error }) }
  const known = toTidemarkError(error)
  return { status: known.httpStatus, error: known }
}

const answerError = (thrown: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): void => {
  const { status, error } = toHttpError(thrown)
  if (status >= 500) {
    const fields = { requestId: request.id, method: request.method, path: pathOf(request), err: error }
    // What passes by itself, such as a write during a switch, is no fault of anybody's.
    if (error.retryable) log.warn('a request has to be made again', fields)
    else log.error('a request failed', fields)
  }
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  if (status === 503) reply.header('retry-after', '1')
  reply.status(status).send({ error: error.toJSON() })
}

/** From here on a request is slow, whatever it asks for. */
const slowMs = 1000

/** Other programs send these many times a second, and each is like the one before: Pusher's HTTP API, broadcasts without a socket. */
const isRoutine = (route: string): boolean => route.startsWith('/apps/') || route.startsWith('/realtime/v1/api/')

/** Probes and scrapes come every few seconds and say nothing new; of what programs send, only what failed or was slow does. */
export const levelOf = (route: string, status: number, ms: number): 'debug' | 'info' =>
  systemPaths.has(route) || (isRoutine(route) && status < 400 && ms < slowMs) ? 'debug' : 'info'

const measure = (app: FastifyInstance, { log, metrics }: HttpOptions): void => {
  const durations = metrics.histogram(
    'tidemark_http_request_duration_seconds',
    'Time from the head of a request to the end of its answer.',
    ['method', 'route', 'status'],
    latencyBuckets,
  )
  const inFlight = metrics.gauge('tidemark_http_in_flight_entries', 'Requests that are being answered.')
  let count = 0
  // With a callback each: a promise for every request costs more than what they do.
  app.addHook('onRequest', (_request, _reply, done) => {
    count += 1
    inFlight.set(count)
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    done()
    count -= 1
    inFlight.set(count)
    const route = request.routeOptions.url ?? 'none'
    durations.observe(reply.elapsedTime / 1000, { method: request.method, route, status: reply.statusCode })
    // Thousands a second may come, and each that was accepted has a row.
    if (reply.statusCode === 202 && route.startsWith('/webhooks/')) return
    const durationMs = Math.round(reply.elapsedTime * 10) / 10
    const fields = {
      requestId: request.id,
      method: request.method,
      path: pathOf(request),
      status: reply.statusCode,
      durationMs,
      ip: request.ip,
    }
    log[levelOf(route, reply.statusCode, reply.elapsedTime)]('request', fields)
  })
}

/** Clients that always send `content-type: application/json` also send it with no body at all. */
const acceptEmptyJson = (app: FastifyInstance): void => {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, {})
    else parse(request, String(body), done)
  })
}

/** Made once: what is made for each request takes longer than the headers. */
const secure = (app: FastifyInstance, setHeaders: ReturnType<typeof Helmet>): void => {
  app.addHook('onRequest', (request, reply, done) => {
    // No browser reads what senders of webhooks are told, so there is nothing to tell one about frames, scripts and the like.
    if (isWebhookRoute(request.raw.url ?? '')) done()
    else setHeaders(request.raw, reply.raw, done as (error?: unknown) => void)
  })
}

type SchemaController = NonNullable<FastifyServerOptions['schemaController']>

/**
 * Requests are checked by zod and answers are plain JSON, so Fastify's own compilers would only take time to load.
 * The declared type asks for Ajv's functions, with their schemas attached; nothing calls them while no route has a schema.
 */
const withoutSchemas = {
  compilersFactory: {
    buildValidator: () => () => () => true,
    buildSerializer: () => () => (data: unknown) => JSON.stringify(data),
  },
} as unknown as SchemaController

/** The HTTP server without its routes: security headers, one form of error, a log line and a measurement per request. */
export const createHttp = async (options: HttpOptions): Promise<FastifyInstance> => {
  const [{ default: fastify }, { default: helmet }] = await Promise.all([import('fastify'), import('helmet')])
  const app = fastify({
    logger: false,
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    requestIdHeader: false,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    routerOptions: { ignoreTrailingSlash: true },
    schemaController: withoutSchemas,
  })
  measure(app, options)
  acceptEmptyJson(app)
  secure(app, helmet())
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, options.log))
  app.setNotFoundHandler((request, reply) => {
    answerError(
      new TidemarkError('TM_SERVER_NOT_FOUND', { method: request.method, path: pathOf(request) }),
      request,
      reply,
      options.log,
    )
  })
  return app
}
