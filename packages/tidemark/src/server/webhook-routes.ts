import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Answer, answerOf } from '../webhooks/intake/answers.js'
import type { Intake } from '../webhooks/intake/intake.js'
import type { Provider } from '../webhooks/providers/providers.js'

export interface WebhookRoutesOptions {
  /** Undefined while the server starts. */
  intake(): Intake | undefined
  readonly providers: readonly Provider[]
  /** In lower case. */
  readonly ipHeader: string | undefined
}

interface Path {
  readonly Params: { readonly provider: string; readonly secret?: string }
}

/** Fastify refuses what is none before anybody looks at it; to us it is only something that is kept. */
const mediaType = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(?:;|$)/

const withAnyType = ({ raw }: FastifyRequest, _reply: FastifyReply, done: () => void): void => {
  const type = raw.headers['content-type']
  if (type !== undefined && !mediaType.test(type)) raw.headers['content-type'] = 'application/octet-stream'
  done()
}

/** No browser reads these answers, so there is nothing to tell one about frames, scripts and the like. */
const routeOptions = { onRequest: withAnyType, helmet: false } as const

/** The address that the proxy in front saw: of several, the one that was added last. */
const senderOf = (request: FastifyRequest, ipHeader: string | undefined): string => {
  const value = ipHeader === undefined ? undefined : request.headers[ipHeader]
  const last = typeof value === 'string' ? value.split(',').at(-1)?.trim() : undefined
  return last === undefined || last === '' ? request.ip : last
}

const send = (reply: FastifyReply, { status, body, retryAfterSeconds, close }: Answer): FastifyReply => {
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
  if (close) reply.header('connection', 'close')
  return reply.code(status).send(body)
}

/** `POST /webhooks/{provider}`, and with a secret behind it for those who do not sign. Bodies are not read before it is known whose. */
export const addWebhookRoutes = async (app: FastifyInstance, options: WebhookRoutesOptions): Promise<void> => {
  const { providers, ipHeader } = options
  const facts = new Map(providers.map((provider) => [provider.name, provider]))

  const receive = async (request: FastifyRequest<Path>, reply: FastifyReply): Promise<FastifyReply> => {
    const { provider, secret } = request.params
    const intake = options.intake()
    if (!intake) return send(reply, answerOf('unstored', facts.get(provider)))
    const { headers, rawHeaders } = request.raw
    const ip = senderOf(request, ipHeader)
    return send(reply, await intake.receive({ provider, pathSecret: secret, ip, headers, rawHeaders, body: request.raw }))
  }

  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
    scope.post<Path>('/webhooks/:provider', routeOptions, receive)
    scope.post<Path>('/webhooks/:provider/:secret', routeOptions, receive)
  })
}
