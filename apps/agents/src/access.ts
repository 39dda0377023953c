/** Who calls: the subject and the role of a signed token, and nothing else that a request brings along. */
import { claimsAdmin, createBearer } from 'tidemark/app'
import { AgentsError } from './agents-error.js'

export interface Caller {
  readonly role: 'anon' | 'authenticated' | 'service_role'
  /** Null for whoever has not signed in. */
  readonly userId: string | null
  readonly isAdmin: boolean
}

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** Tokens name a role of the API; who has signed in is a uuid. */
export const createAuthenticate = (secret: string) =>
  createBearer<Caller>({
    errors: AgentsError,
    secret,
    callerOf: ({ role, claims }) => {
      const { sub } = claims
      if (role === 'anon' || role === 'service_role') return { role, userId: null, isAdmin: false }
      if (role !== 'authenticated' || typeof sub !== 'string' || !uuid.test(sub)) return null
      return { role, userId: sub.toLowerCase(), isAdmin: claimsAdmin(claims) }
    },
  })

/** Raises AGENTS_FORBIDDEN for anybody but the service. */
export const requireService = ({ role }: Caller): void => {
  if (role !== 'service_role') throw new AgentsError('AGENTS_FORBIDDEN')
}

/** Raises AGENTS_FORBIDDEN for whoever has not signed in. */
export const requireUser = ({ role }: Caller): void => {
  if (role === 'anon') throw new AgentsError('AGENTS_FORBIDDEN', 'Whoever asks for this has signed in.')
}

export const seesAll = ({ role, isAdmin }: Caller): boolean => role === 'service_role' || isAdmin
