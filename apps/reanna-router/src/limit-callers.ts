/** Nobody gets more than their share. */
import type { FastifyInstance } from 'fastify'
import type { createLimiter } from 'tidemark'
import { ReannaError } from './reanna-error.js'

const seconds = (ms: number): string => String(Math.ceil(ms / 1000))

/** Counts each request for its caller, before anything is read of it. The app's own service is not counted. */
export const limitCallers = (app: FastifyInstance, limiter: ReturnType<typeof createLimiter>): void => {
  app.addHook('onRequest', async ({ caller }, reply) => {
    if (caller.role === 'service_role') return
    const { allowed, limit, remaining, resetMs, retryAfterMs } = await limiter.take(caller.sub)
    reply.header('ratelimit-limit', String(limit)).header('ratelimit-remaining', String(remaining))
    reply.header('ratelimit-reset', seconds(resetMs))
    if (allowed) return
    reply.header('retry-after', seconds(Math.max(1, retryAfterMs)))
    throw new ReannaError('REANNA_RATE_LIMITED')
  })
}
