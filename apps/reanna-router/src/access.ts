/** Who calls: what a signed token says, and nothing else that a request brings along. */
import { createBearer } from 'tidemark/app'
import { ReannaError } from './reanna-error.js'

export interface Caller {
  readonly role: 'authenticated' | 'service_role'
  /** The agent; its id need not be a uuid (C1). Empty for the service. */
  readonly sub: string
  /** Sees every tour. */
  readonly isAdmin: boolean
  /** As Postgres' policies read them. */
  readonly claims: Readonly<Record<string, unknown>>
}

export const createAuthenticate = (secret: string) =>
  createBearer<Caller>({
    errors: ReannaError,
    secret,
    callerOf: ({ role, claims }) => {
      if (role === 'service_role') return { role, sub: '', isAdmin: true, claims }
      const { sub, app_metadata: metadata } = claims
      if (role !== 'authenticated' || typeof sub !== 'string' || sub === '' || sub.length > 256) return null
      // C2: what users write about themselves makes nobody an admin.
      return { role, sub, isAdmin: (metadata as { role?: unknown } | undefined)?.role === 'admin', claims }
    },
  })

/** Whether a tour of that agent is the caller's to see. */
export const sees = ({ sub, isAdmin }: Caller, agentId: unknown): boolean => isAdmin || agentId === sub

/** Raises REANNA_FORBIDDEN. */
export const requireAdmin = ({ isAdmin }: Caller): void => {
  if (!isAdmin) throw new ReannaError('REANNA_FORBIDDEN', 'Only an admin may do this.')
}
