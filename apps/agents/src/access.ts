/** Who calls: the subject and the role of a signed token, and nothing else that a request brings along. */
import { jwtVerify } from 'jose'
import { AgentsError } from './agents-error.js'

export interface Caller {
  readonly role: 'anon' | 'authenticated' | 'service_role'
  /** Null for whoever has not signed in. */
  readonly userId: string | null
  readonly isAdmin: boolean
}

export type Authenticate = (authorization: string | undefined) => Promise<Caller>

/** Of HS256, whose key is to be no shorter than its hash. */
export const smallestSecretBytes = 32

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** Checks `Bearer` tokens that are signed with the secret by HS256 and not expired. */
export const createAuthenticate = (secret: string): Authenticate => {
  const key = new TextEncoder().encode(secret)
  if (key.length < smallestSecretBytes) throw new Error(`the secret of tokens has at least ${smallestSecretBytes} bytes`)
  return async (authorization) => {
    const [, token] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? []
    if (token === undefined) throw new AgentsError('AGENTS_UNAUTHENTICATED')
    const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'], requiredClaims: ['exp'], clockTolerance: 5 }).catch(
      (error: unknown) => {
        throw new AgentsError('AGENTS_UNAUTHENTICATED', undefined, { cause: error })
      },
    )
    const { role, sub, app_metadata: metadata } = payload
    if (role !== 'anon' && role !== 'authenticated' && role !== 'service_role') throw new AgentsError('AGENTS_UNAUTHENTICATED')
    const userId = role === 'authenticated' && typeof sub === 'string' && uuid.test(sub) ? sub.toLowerCase() : null
    if (role === 'authenticated' && userId === null) throw new AgentsError('AGENTS_UNAUTHENTICATED')
    const isAdmin = role === 'authenticated' && (metadata as { role?: unknown } | undefined)?.role === 'admin'
    return { role, userId, isAdmin }
  }
}

/** Raises AGENTS_FORBIDDEN for anybody but the service. */
export const requireService = ({ role }: Caller): void => {
  if (role !== 'service_role') throw new AgentsError('AGENTS_FORBIDDEN')
}

/** Raises AGENTS_FORBIDDEN for whoever has not signed in. */
export const requireUser = ({ role }: Caller): void => {
  if (role === 'anon') throw new AgentsError('AGENTS_FORBIDDEN', 'Whoever asks for this has signed in.')
}

export const seesAll = ({ role, isAdmin }: Caller): boolean => role === 'service_role' || isAdmin
