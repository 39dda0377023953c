import type { Caller } from '../auth/caller.js'

/** Somebody whom a text names: of a signed token its `sub`, which need not be a uuid; or the application's own server. */
export interface SubjectCaller {
  readonly role: 'authenticated' | 'service_role'
  /** Empty for the service. */
  readonly sub: string
  /** Sees everything. The service does, too. */
  readonly isAdmin: boolean
  /** As Postgres' policies read them. */
  readonly claims: Readonly<Record<string, unknown>>
}

const longestSubject = 256

/** Whether claims make somebody an admin: what users write about themselves (`user_metadata`) makes nobody one. */
export const claimsAdmin = ({ app_metadata: metadata }: Readonly<Record<string, unknown>>): boolean =>
  (metadata as { role?: unknown } | null | undefined)?.role === 'admin'

/** `callerOf` for {@link createBearer}: null for a token without a subject, or with a role that is neither a user's nor the service's. */
export const subjectCallerOf = ({ role, claims }: Caller): SubjectCaller | null => {
  if (role === 'service_role') return { role, sub: '', isAdmin: true, claims }
  const { sub } = claims
  if (role !== 'authenticated' || typeof sub !== 'string' || sub === '' || sub.length > longestSubject) return null
  return { role, sub, isAdmin: claimsAdmin(claims), claims }
}
