/** Who calls: what a signed token says, and nothing else that a request brings along. */
import type { Caller } from '../auth/caller.js'
import { createVerifier } from '../auth/verifier.js'
import type { Refusals } from './define-errors.js'

/** Of the header `Authorization`. Raises the application's `UNAUTHENTICATED`. */
export type Authenticate<C> = (authorization: string | undefined) => Promise<C>

/** Of HS256, whose key is to be no shorter than its hash. */
export const smallestSecretBytes = 32

export interface BearerOptions<C> {
  readonly errors: Refusals
  /** HS256; at least 32 bytes. */
  readonly secret: string
  /** Who that is to the application; null for nobody it knows. The role is empty where the token names none. */
  readonly callerOf: (caller: Caller) => C | null
}

/** Checks `Bearer` tokens that are signed with the secret by HS256 and have not expired; one that never expires is refused. */
export const createBearer = <C>({ errors, secret, callerOf }: BearerOptions<C>): Authenticate<C> => {
  if (Buffer.byteLength(secret) < smallestSecretBytes)
    throw new Error(`the secret of tokens has at least ${smallestSecretBytes} bytes`)
  const verifier = createVerifier({ keys: { secrets: [secret], publicKeys: [] }, leewaySeconds: 5, anonymousRole: '' })
  return async (authorization) => {
    const [, token] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? []
    if (token === undefined) throw errors.named('UNAUTHENTICATED')
    const verified = await verifier.verify(token).catch((error: unknown) => {
      throw errors.named('UNAUTHENTICATED', undefined, { cause: error })
    })
    const caller = typeof verified.claims['exp'] === 'number' ? callerOf(verified) : null
    if (caller === null) throw errors.named('UNAUTHENTICATED')
    return caller
  }
}
