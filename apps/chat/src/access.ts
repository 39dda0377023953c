/** Who calls: the subject of a signed token, and nothing else a request brings along. */
import { jwtVerify } from 'jose'
import { ChatError } from './chat-error.js'
import { userIdOf } from './legacy-ids.js'

export interface Caller {
  readonly userId: string
  /** True for a token of the app's own server, which answers in the chats of its subject: only it writes assistant turns. */
  readonly isService: boolean
}

export type Authenticate = (authorization: string | undefined) => Promise<Caller>

/** Of HS256, whose key is to be no shorter than its hash. */
export const smallestSecretBytes = 32

/** Old apps gave this name to everybody who had not signed in: chats that were imported for it belong to nobody in particular. */
export const anonymousUser = 'anonymous'

/** Checks `Bearer` tokens that are signed with the secret by HS256, not expired, and name a user. */
export const createAuthenticate = (secret: string): Authenticate => {
  const key = new TextEncoder().encode(secret)
  if (key.length < smallestSecretBytes) throw new Error(`the secret of tokens has at least ${smallestSecretBytes} bytes`)
  return async (authorization) => {
    const [, token] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? []
    if (token === undefined) throw new ChatError('CHAT_UNAUTHENTICATED')
    const { payload } = await jwtVerify(token, key, {
      algorithms: ['HS256'],
      requiredClaims: ['sub', 'exp'],
      clockTolerance: 5,
    }).catch((error: unknown) => {
      throw new ChatError('CHAT_UNAUTHENTICATED', undefined, { cause: error })
    })
    const { sub, role } = payload
    if (typeof sub !== 'string' || sub === '' || sub.length > 256 || sub === anonymousUser)
      throw new ChatError('CHAT_UNAUTHENTICATED')
    if (role !== 'authenticated' && role !== 'service_role') throw new ChatError('CHAT_UNAUTHENTICATED')
    return { userId: userIdOf(sub), isService: role === 'service_role' }
  }
}
