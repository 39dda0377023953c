import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Answer, answerOf } from '../../webhooks/intake/answers.js'
import type { Intake } from '../../webhooks/intake/intake.js'
import type { Provider } from '../../webhooks/providers/providers.js'
import { senderOf } from '../http/sender-of.js'

export interface WebhookRoutesOptions {
  /** Undefined while the server starts. */
  intake(): Intake | undefined
  readonly providers: readonly Provider[]
  readonly ipHeader: string | undefined
}

interface Path {
  readonly Params: { readonly provider: string; readonly secret?: string }
}

const send = (reply: FastifyReply, { status, body, retryAfterSeconds, close }: Answer): FastifyReply => {
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
  if (close) reply.header('connection', 'close')
  return reply.code(status).send(body)
}

/** What Fastify would do with a body, it is not asked for. */
const neverReached = (): never => {
  throw new Error('a webhook went past its intake')
}

/**
 * `POST /webhooks/{provider}`, and with a secret behind it for those who do not sign. A request is taken as soon as it is known whose it is:
 * bodies are read by the intake, whatever type they say they have.
 */
export const addWebhookRoutes = async (app: FastifyInstance, options: WebhookRoutesOptions): Promise<void> => {
  const { providers, ipHeader } = options
  const facts = new Map(providers.map((provider) => [provider.name, provider]))

  // It never says that it is done, which would lead on to Fastify's parsers: the answer is sent from here.
  const receive = (request: FastifyRequest, reply: FastifyReply, _done: unknown): void => {
    const { provider, secret } = request.params as Path['Params']
    const intake = options.intake()
    if (!intake) {
      send(reply, answerOf('unstored', facts.get(provider)))
      return
    }
    const { headers, rawHeaders } = request.raw
    const ip = senderOf(request, ipHeader)
    void intake.receive({ provider, pathSecret: secret, ip, headers, rawHeaders, body: request.raw }).then(
      (answer) => send(reply, answer),
      (error: unknown) => reply.send(error),
    )
  }

  for (const path of ['/webhooks/:provider', '/webhooks/:provider/:secret']) {
    app.post<Path>(path, { onRequest: receive }, neverReached)
  }
}
