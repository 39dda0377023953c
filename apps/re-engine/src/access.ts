/** Who calls: what a signed token says, and nothing else that a request brings along. */
import { createBearer } from 'tidemark/app'
import { EngineError } from './engine-error.js'

export interface Caller {
  readonly role: 'authenticated' | 'service_role'
  /** `external_id` of the agent, which need not be a uuid (C72). Empty for the service. */
  readonly sub: string
  /** Sees every lead. */
  readonly isAdmin: boolean
  /** As Postgres' policies read them. */
  readonly claims: Readonly<Record<string, unknown>>
}

export const createAuthenticate = (secret: string) =>
  createBearer<Caller>({
    errors: EngineError,
    secret,
    callerOf: ({ role, claims }) => {
      if (role === 'service_role') return { role, sub: '', isAdmin: true, claims }
      const { sub, app_metadata: metadata } = claims
      if (role !== 'authenticated' || typeof sub !== 'string' || sub === '' || sub.length > 256) return null
      // What users write about themselves makes nobody an admin.
      return { role, sub, isAdmin: (metadata as { role?: unknown } | undefined)?.role === 'admin', claims }
    },
  })

/** Raises ENGINE_FORBIDDEN. */
export const requireAdmin = ({ isAdmin }: Caller): void => {
  if (!isAdmin) throw new EngineError('ENGINE_FORBIDDEN', 'Only an admin may do this.')
}
