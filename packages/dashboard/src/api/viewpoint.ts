import type { CallerRole } from 'tidemark/admin'

export const roles = ['anon', 'authenticated', 'service_role'] as const satisfies readonly CallerRole[]

/** Whose eyes an operator looks through, as a form holds it. */
export interface Viewpoint {
  readonly role: CallerRole
  /** The user's id that policies see. */
  readonly user: string | undefined
  /** JSON, as the server takes it. */
  readonly claims: string | undefined
}

/** As it is asked for: only who is signed in is somebody. */
export const viewpointOf = ({ role, user, claims }: Viewpoint) => ({
  role,
  ...(role === 'authenticated' && user !== undefined && { user }),
  ...(role === 'authenticated' && claims !== undefined && { claims }),
})
