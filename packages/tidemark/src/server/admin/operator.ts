import type { FastifyRequest } from 'fastify'
import { TidemarkError } from '../../errors.js'

/** What an operator may do: look, run what can be undone or goes on, or everything. */
export const operatorRoles = ['viewer', 'operator', 'admin'] as const

export type OperatorRole = (typeof operatorRoles)[number]

/** Who uses /admin/v1. */
export interface Operator {
  /** An address of a user, or `admin token`. */
  readonly name: string
  readonly role: OperatorRole
  /** How it is known: by the token with each request, or by the cookie of a session that the token or a user began. */
  readonly via: 'bearer' | 'session'
  /** When the session is over, in milliseconds since 1970. A token stays. */
  readonly untilMs?: number
}

type Claims = Readonly<Record<string, unknown>>

const isRole = (value: unknown): value is OperatorRole => operatorRoles.some((role) => role === value)

/**
 * The role of a user, from `app_metadata`, which only the server writes: `tidemark_role`, or `role` where it is `admin`. Other words in
 * `role` are an application's own. Never from `user_metadata`, which users write themselves.
 */
export const roleOfClaims = (claims: Claims): OperatorRole | undefined => {
  const { app_metadata: metadata } = claims
  if (typeof metadata !== 'object' || metadata === null) return undefined
  const { tidemark_role: own, role } = metadata as Claims
  if (isRole(own)) return own
  return role === 'admin' ? 'admin' : undefined
}

const operators = new WeakMap<FastifyRequest, Operator>()

export const keepOperator = (request: FastifyRequest, operator: Operator): void => void operators.set(request, operator)

/** Who sent a request that was let in. */
export const operatorOf = (request: FastifyRequest): Operator => {
  const operator = operators.get(request)
  if (!operator) throw new TidemarkError('TM_SERVER_UNAUTHORIZED', {})
  return operator
}

const fix = 'Ask an admin to do it, or to change the role: app_metadata.tidemark_role of the user.'

/** Raises TM_SERVER_FORBIDDEN. */
export const requireRole = (operator: Operator, needed: OperatorRole): void => {
  if (operatorRoles.indexOf(operator.role) >= operatorRoles.indexOf(needed)) return
  throw new TidemarkError('TM_SERVER_FORBIDDEN', { needed, operator: operator.name, role: operator.role, fix })
}
