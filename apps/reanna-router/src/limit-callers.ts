/** Nobody gets more than their share. */
import type { FastifyInstance } from 'fastify'
import { type Limiter, rateLimit } from 'tidemark'
import { ReannaError } from './reanna-error.js'

/** Counts each request for its caller, before anything is read of it. The app's own service is not counted. */
export const limitCallers = (app: FastifyInstance, limiter: Limiter): void => {
  const limit = rateLimit({
    limiter,
    key: ({ caller }) => caller.sub,
    answer: (_decision, _request, reply) => {
      const { code, message } = new ReannaError('REANNA_RATE_LIMITED')
      return reply.send({ error: message, code })
    },
  })
  app.addHook('onRequest', async function limitCaller(request, reply) {
    return request.caller.role === 'service_role' ? undefined : limit.call(this, request, reply)
  })
}
