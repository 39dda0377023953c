/** Limits of an app's own routes. */
import type { FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { TidemarkError } from '../../errors.js'
import type { LimitDecision, Limiter } from '../../resilience/limiter/limits.js'
import { networkOf } from '../../resilience/limiter/network-of.js'

export interface RateLimitOptions {
  readonly limiter: Limiter
  /** Whose calls are counted together. Default: those of an address, of IPv6 those of its network. */
  readonly key?: (request: FastifyRequest) => string
  /** How many calls a request counts as. Default 1. */
  readonly cost?: (request: FastifyRequest) => number
  /** Answers a request that does not fit. Default: 429 and TM_RESILIENCE_RATE_LIMITED as JSON. */
  readonly answer?: (decision: LimitDecision, request: FastifyRequest, reply: FastifyReply) => unknown
}

const seconds = (ms: number): number => Math.max(0, Math.ceil(ms / 1000))

/** `RateLimit-Limit`, `-Remaining`, `-Reset` and `-Policy`, and `Retry-After` for one that does not fit; whole seconds. */
export const rateLimitHeaders = ({
  allowed,
  limit,
  remaining,
  resetMs,
  retryAfterMs,
  windowMs,
}: LimitDecision): Readonly<Record<string, string>> => ({
  'ratelimit-limit': String(limit),
  'ratelimit-remaining': String(Math.max(0, remaining)),
  'ratelimit-reset': String(seconds(allowed ? resetMs : retryAfterMs)),
  'ratelimit-policy': `${limit};w=${seconds(windowMs)}`,
  ...(!allowed && { 'retry-after': String(Math.max(1, seconds(retryAfterMs))) }),
})

/**
 * A hook for `onRequest`: `app.addHook('onRequest', rateLimit({ limiter }))` for all routes, or `{ onRequest: rateLimit({ … }) }` for one.
 * Behind a proxy, tell Fastify to trust it: else all requests come from one address.
 */
export const rateLimit = ({
  limiter,
  key = ({ ip }) => networkOf(ip),
  cost = () => 1,
  answer,
}: RateLimitOptions): onRequestAsyncHookHandler =>
  async function limitRate(request, reply) {
    const decision = await limiter.take(key(request), cost(request))
    reply.headers(rateLimitHeaders(decision))
    if (decision.allowed) return
    reply.status(429)
    if (answer) {
      await answer(decision, request, reply)
      return reply
    }
    const { limit, windowMs, retryAfterMs } = decision
    const error = new TidemarkError('TM_RESILIENCE_RATE_LIMITED', {
      limit,
      windowMs,
      name: limiter.name,
      retryAfterMs: Math.ceil(retryAfterMs),
    })
    return reply.send({ error: error.toJSON() })
  }
