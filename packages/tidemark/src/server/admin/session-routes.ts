import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { TidemarkConfig } from '../../config/config.js'
import { TidemarkError } from '../../errors.js'
import { networkOf } from '../../resilience/limiter/network-of.js'
import { createLimiter } from '../../resilience/limiter.js'
import { reachesDashboard } from '../dashboard/dashboard-routes.js'
import { senderOf } from '../http/sender-of.js'
import { validate } from '../http/validate.js'
import { readVersion } from '../version.js'
import { type Audit, findOperator, type GateOptions, isSecure } from './gate.js'
import type { Operator } from './operator.js'
import { keepOperator } from './operator.js'
import type { Session } from './session.js'
import { type SignInOptions, signIn, signInRequest } from './sign-in.js'

export interface SessionRoutesOptions extends GateOptions, SignInOptions {
  readonly config: TidemarkConfig
  readonly audit: Audit
}

export interface SessionAnswer {
  readonly operator: Pick<Operator, 'name' | 'role'>
  /** To be sent as `x-tidemark-csrf` with each write. */
  readonly csrf: string
  readonly endsAt: string
  readonly environment: string
  readonly version: string
}

/** Of one address: enough for fingers, too few for guessing. */
const attempts = { limit: 10, windowMs: 60_000 } as const

/** `/session`: signing in, who one is, signing out. In front of the gate, for who has no cookie yet. */
export const addSessionRoutes = async (app: FastifyInstance, options: SessionRoutesOptions): Promise<void> => {
  const { sessions, config, audit } = options
  const limiter = createLimiter({ name: 'dashboard:sign-in', ...attempts })
  const answer = ({ name, role, csrf, endsAtMs }: Session): SessionAnswer => ({
    operator: { name, role },
    csrf,
    endsAt: new Date(endsAtMs).toISOString(),
    environment: config.environment,
    version: readVersion(),
  })
  const checkSite = ({ headers }: FastifyRequest): void => {
    const site = headers['sec-fetch-site']
    if (site !== undefined && site !== 'same-origin') throw new TidemarkError('TM_SERVER_CSRF', {})
  }
  await app.register(
    async (admin) => {
      admin.addHook('onRequest', async (request, reply) => {
        reply.header('cache-control', 'no-store')
        if (reachesDashboard(config, request)) return
        throw new TidemarkError('TM_SERVER_NOT_FOUND', { method: request.method, path: '/admin/v1/session' })
      })
      admin.post('/session', async (request, reply) => {
        checkSite(request)
        const ip = senderOf(request, config.auth.ipHeader)
        const { allowed, retryAfterMs } = await limiter.take(networkOf(ip), 1)
        if (!allowed)
          throw new TidemarkError('TM_RESILIENCE_RATE_LIMITED', {
            ...attempts,
            name: 'signing in',
            retryAfterMs: Math.ceil(retryAfterMs),
          })
        const wanted = validate(signInRequest, request.body)
        const sender = { ip, userAgent: request.headers['user-agent'] }
        const session = sessions.begin(await signIn(wanted, sender, options))
        const operator = { name: session.name, role: session.role, via: 'session' } as const
        keepOperator(request, operator)
        request.body = undefined
        await audit.begun(request, operator)
        return reply.header('set-cookie', await sessions.cookie(session, isSecure(request))).send(answer(session))
      })
      admin.get('/session', async (request, reply) => {
        const { session } = await findOperator(request, reply, options)
        if (!session) throw new TidemarkError('TM_SERVER_UNAUTHORIZED', {})
        return answer(session)
      })
      admin.delete('/session', async (request, reply) => {
        const { operator } = await findOperator(request, reply, options)
        await audit.begun(request, operator)
        return reply.header('set-cookie', await sessions.cookie(undefined, isSecure(request))).send({ signedOut: true })
      })
    },
    { prefix: '/admin/v1' },
  )
}
