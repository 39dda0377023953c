import type { FastifyRequest } from 'fastify'
import { type OperatorRole, operatorOf, requireRole } from './operator.js'

const prefix = '/admin/v1'

/**
 * What changes something, and which role it takes. A path that is not here takes the role admin, unless it only reads; so a route that
 * somebody adds is closed until it is opened.
 */
const writes: Readonly<Record<string, OperatorRole>> = {
  'POST /doctor': 'operator',
  'POST /move/plan': 'operator',
  'POST /move/copy': 'operator',
  'POST /move/verify': 'operator',
  'POST /move/follow': 'operator',
  'POST /move/reads': 'operator',
  'POST /move/cutover': 'operator',
  'POST /move/rollback': 'operator',
  'POST /cache/evict': 'operator',
  'POST /breakers': 'operator',
  'POST /alerts/ack': 'operator',
  'POST /alerts/resolve': 'operator',
  'POST /alerts/silence': 'operator',
  'POST /alerts/unsilence': 'operator',
  'POST /alerts/test': 'operator',
  'POST /hooks/replay': 'operator',
  'POST /realtime/connections/close': 'operator',
  'POST /systems/act': 'operator',
  'POST /systems/chat/say': 'operator',
  'DELETE /jobs/:id': 'operator',
}

/** Questions whose filters do not fit into an address. */
const readingPosts: ReadonlySet<string> = new Set([
  'POST /hooks/list',
  'POST /schema/status',
  'POST /schema/diff',
  'POST /schema/check',
  'POST /schema/types',
  'POST /queries/explain',
])

/** Reads that are more than looking: the files of the server's machine, rows of people wherever they stand, and what sessions of Postgres do. */
const guardedReads: Readonly<Record<string, OperatorRole>> = {
  'GET /feed/tail': 'operator',
  'GET /hooks/show': 'operator',
  'GET /cache/key': 'operator',
  'GET /move/rejects': 'operator',
  'GET /move/files': 'operator',
  'GET /data/tables': 'operator',
  'GET /data/rows': 'operator',
  'GET /data/count': 'operator',
  'GET /systems/tours': 'operator',
  'GET /systems/leads': 'operator',
  'GET /systems/yarn': 'operator',
  'GET /systems/yarn/course': 'operator',
  'GET /systems/chat': 'operator',
  'GET /systems/chat/own': 'operator',
  'GET /systems/agents': 'operator',
  'GET /systems/approval': 'operator',
  'GET /systems/changes': 'operator',
  'GET /realtime/connections': 'operator',
  'GET /realtime/channels': 'operator',
  'GET /realtime/inspect': 'operator',
  'GET /queries': 'operator',
  'POST /queries/explain': 'operator',
}

/** What nobody sees of whose look the audit log does not have. Everything else goes on without it: it may be what brings Postgres back. */
const neverUnnoted: ReadonlySet<string> = new Set(['POST /systems/yarn/words'])

/** As a line of the tables here. */
export const nameOf = ({ method, routeOptions }: FastifyRequest): string =>
  `${method === 'HEAD' ? 'GET' : method} ${(routeOptions.url ?? '').replace(prefix, '')}`

export const isNeverUnnoted = (request: FastifyRequest): boolean => neverUnnoted.has(nameOf(request))

/** True for what changes nothing, so that no proof of its origin is asked for. */
export const isRead = (request: FastifyRequest): boolean =>
  request.method === 'GET' || request.method === 'HEAD' || readingPosts.has(nameOf(request))

export const neededRole = (request: FastifyRequest): OperatorRole => {
  const name = nameOf(request)
  return guardedReads[name] ?? (isRead(request) ? 'viewer' : (writes[name] ?? 'admin'))
}

/** Fields of a body that reach beyond the project: another database, and a command on the server's machine. */
const adminFields = ['to', 'onSwitch'] as const

/** Raises TM_SERVER_FORBIDDEN where the role does not reach for what the query or the body asks. */
export const checkFields = (request: FastifyRequest): void => {
  const operator = operatorOf(request)
  const given = [request.query, request.body].filter((part) => typeof part === 'object' && part !== null)
  const reaches = given.some((part) => adminFields.some((field) => Object.hasOwn(part as object, field)))
  const showsKeys = (request.query as { readonly showKeys?: unknown } | null)?.showKeys !== undefined
  if (reaches || showsKeys) requireRole(operator, 'admin')
}

/** Who did it, where a route asks for a name: of a session it is known, and nobody signs for another. The admin token may sign for whom it acts. */
const actorFields: Readonly<Record<string, 'actor' | 'author'>> = {
  'POST /alerts/ack': 'actor',
  'POST /alerts/resolve': 'actor',
  'POST /alerts/unsilence': 'actor',
  'POST /alerts/silence': 'author',
  'POST /hooks/replay': 'actor',
}

export const signBody = (request: FastifyRequest): void => {
  const operator = operatorOf(request)
  const field = actorFields[nameOf(request)]
  const { body } = request
  if (field === undefined || typeof body !== 'object' || body === null) return
  if (operator.via === 'bearer' && Object.hasOwn(body, field)) return
  request.body = { ...body, [field]: operator.name }
}
