import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { TidemarkError } from '../../errors.js'
import { checkFields, isNeverUnnoted, isRead, neededRole, signBody } from './access.js'
import { createLooks, isLook } from './looks.js'
import { keepOperator, type Operator, operatorOf, requireRole } from './operator.js'
import { isSame, type Session, type Sessions } from './session.js'

export interface GateOptions {
  readonly isAuthorized: (authorization: string | undefined) => boolean
  readonly sessions: Sessions
}

/** A proxy in front that speaks TLS says so. Who lies about it only loses its own cookie. */
export const isSecure = ({ protocol, headers }: FastifyRequest): boolean =>
  protocol === 'https' || headers['x-forwarded-proto'] === 'https'

/** A browser says where a request comes from; and only a page of this origin can have read the token of a write. Raises TM_SERVER_CSRF. */
const checkOrigin = (request: FastifyRequest, { csrf }: Session): void => {
  const { headers } = request
  const site = headers['sec-fetch-site']
  const isForeign = site !== undefined && site !== 'same-origin'
  if (isForeign || (!isRead(request) && !isSame(headers['x-tidemark-csrf'], csrf))) throw new TidemarkError('TM_SERVER_CSRF', {})
}

/** Who sends it: by the token, or by the cookie of a session. Raises TM_SERVER_UNAUTHORIZED and TM_SERVER_CSRF. */
export const findOperator = async (
  request: FastifyRequest,
  reply: FastifyReply,
  { isAuthorized, sessions }: GateOptions,
): Promise<{ readonly operator: Operator; readonly session: Session | undefined }> => {
  if (isAuthorized(request.headers.authorization))
    return { operator: { name: 'admin token', role: 'admin', via: 'bearer' }, session: undefined }
  // A wrong token is an answer of its own: no cookie stands in for it.
  const session = request.headers.authorization === undefined ? await sessions.read(request.headers.cookie) : undefined
  if (!session) throw new TidemarkError('TM_SERVER_UNAUTHORIZED', {})
  checkOrigin(request, session)
  const renewed = sessions.renewed(session)
  if (renewed) reply.header('set-cookie', await sessions.cookie(renewed, isSecure(request)))
  const { name, role, endsAtMs } = renewed ?? session
  return { operator: { name, role, via: 'session', untilMs: endsAtMs }, session: renewed ?? session }
}

export interface Audit {
  /** Before it is done: an action that ends the server is noted, too. False where the audit log did not take it. */
  begun(request: FastifyRequest, operator: Operator): Promise<boolean>
  /** What was refused, or failed. */
  failed(request: FastifyRequest, operator: Operator, status: number): Promise<void>
}

/** Lets in who may, and notes what they do. */
export const addGate = (admin: FastifyInstance, options: GateOptions, audit: Audit): void => {
  const looks = createLooks()
  admin.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    const { operator } = await findOperator(request, reply, options)
    keepOperator(request, operator)
    requireRole(operator, neededRole(request))
  })
  admin.addHook('preHandler', async (request) => {
    checkFields(request)
    signBody(request)
    const operator = operatorOf(request)
    if (isRead(request) && !looks.begins(request, operator)) return
    const isNoted = await audit.begun(request, operator)
    if (!isNoted && isNeverUnnoted(request)) throw new TidemarkError('TM_SERVER_AUDIT', {})
  })
  admin.addHook('onSend', async (request, reply) => {
    if (reply.statusCode < 400 || (isRead(request) && !isLook(request))) return
    // One that was not let in has no name that could be trusted.
    if (reply.statusCode === 401) return
    await audit.failed(request, operatorOf(request), reply.statusCode)
  })
}
