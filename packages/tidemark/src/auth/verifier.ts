import { createHmac, timingSafeEqual } from 'node:crypto'
import type { JWK } from 'jose'
import { isTidemarkError } from '../errors.js'
import { type Clock, systemClock } from '../time/clock.js'
import type { Caller } from './caller.js'
import { localKeys, type PublicKeys, remoteKeys } from './jwks.js'
import { createTokenCache } from './token-cache.js'
import { readClaims } from './token-claims.js'
import { TokenError } from './token-error.js'

/** What a token may be signed with. Another object means other keys: what was verified under the last one is asked anew. */
export interface VerificationKeys {
  /** HS256, any of them: the current one, and those that were rotated out a while ago. */
  readonly secrets: readonly string[]
  /** ES256, RS256 or EdDSA, each with its `kid`. */
  readonly publicKeys: readonly JWK[]
}

export interface VerifierOptions {
  readonly keys: VerificationKeys | (() => VerificationKeys | Promise<VerificationKeys>)
  /** Where more public keys are read, such as a cloud project's `/auth/v1/.well-known/jwks.json`. */
  readonly jwksUrl?: string
  /** A token that names an audience must name one of these. Default: any. */
  readonly audience?: readonly string[]
  /** Default: any. A signature says more than a name. */
  readonly issuer?: string
  /** How far the clocks of two machines may be apart. Default 30, as in PostgREST. */
  readonly leewaySeconds?: number
  /** The role of a token that names none. Default `anon`. */
  readonly anonymousRole?: string
  /** Verified tokens that are remembered. Default 5,000. */
  readonly maxCached?: number
  readonly clock?: Clock
}

/** Tells whose a token is. */
export interface Verifier {
  /** Raises {@link TokenError}, and TM_AUTH_JWKS where public keys are needed and cannot be had. */
  verify(token: string): Promise<Caller>
}

/** Node reads no larger header, and a socket should not accept what no header could carry. */
const maxTokenBytes = 16_384
/** After so long a verified token is held against the keys again. */
const maxCachedMs = 300_000

const asymmetric: readonly string[] = ['ES256', 'RS256', 'EdDSA']

interface Header {
  readonly alg: string
  readonly kid: string | undefined
}

interface Parts {
  readonly header: Header
  readonly signed: string
  readonly payload: string
  readonly signature: string
}

const readHeader = (encoded: string): Header => {
  let header: unknown
  try {
    header = JSON.parse(Buffer.from(encoded, 'base64url').toString())
  } catch {
    throw new TokenError('malformed', "JWT couldn't be decoded")
  }
  if (typeof header !== 'object' || header === null) throw new TokenError('malformed', "JWT couldn't be decoded")
  const { alg, kid, crit } = header as Readonly<Record<string, unknown>>
  // Extensions that must be understood: none is.
  if (typeof alg !== 'string' || crit !== undefined) throw new TokenError('algorithm', 'Wrong or unsupported encoding algorithm')
  if (kid !== undefined && typeof kid !== 'string') throw new TokenError('key', 'No suitable key or wrong key type')
  return { alg, kid }
}

const takeApart = (token: string): Parts => {
  if (token === '') throw new TokenError('empty', 'Empty JWT is sent in Authorization header')
  if (token.length > maxTokenBytes) throw new TokenError('oversized', `JWT is larger than ${maxTokenBytes} bytes`)
  const parts = token.split('.')
  if (parts.length !== 3) throw new TokenError('malformed', `Expected 3 parts in JWT; got ${parts.length}`)
  const [head, payload, signature] = parts as [string, string, string]
  if (!parts.every((part) => /^[\w-]*$/.test(part)) || head === '' || payload === '')
    throw new TokenError('malformed', "JWT couldn't be decoded")
  return { header: readHeader(head), signed: `${head}.${payload}`, payload, signature }
}

const wrongSignature = (): TokenError => new TokenError('signature', 'JWT cryptographic operation failed')

/** Every secret is tried, whichever fits: the time tells nothing about which. */
const verifySecret = ({ signed, signature }: Parts, secrets: readonly string[]): void => {
  const given = Buffer.from(signature, 'base64url')
  let fits = false
  for (const secret of secrets) {
    const expected = createHmac('sha256', secret).update(signed).digest()
    fits = (given.length === expected.length && timingSafeEqual(given, expected)) || fits
  }
  if (!fits) throw secrets.length === 0 ? new TokenError('key', 'No suitable key or wrong key type') : wrongSignature()
}

const toTokenError = (error: unknown): unknown => {
  if (isTidemarkError(error) || error instanceof TokenError) return error
  const { code } = error as { readonly code?: string }
  if (code === 'ERR_JWKS_NO_MATCHING_KEY' || code === 'ERR_JWKS_MULTIPLE_MATCHING_KEYS')
    return new TokenError('key', 'No suitable key or wrong key type', { cause: error })
  if (code === 'ERR_JOSE_ALG_NOT_ALLOWED' || code === 'ERR_JOSE_NOT_SUPPORTED')
    return new TokenError('algorithm', 'Wrong or unsupported encoding algorithm', { cause: error })
  return new TokenError('signature', 'JWT cryptographic operation failed', { cause: error })
}

class TokenVerifier implements Verifier {
  readonly #options: VerifierOptions
  readonly #clock: Clock
  readonly #cache
  #keys: VerificationKeys | undefined
  #local: Promise<PublicKeys> | undefined
  #remote: Promise<PublicKeys> | undefined

  constructor(options: VerifierOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#cache = createTokenCache(options.maxCached ?? 5_000, maxCachedMs, this.#clock)
  }

  async verify(token: string): Promise<Caller> {
    const { keys, leewaySeconds = 30, anonymousRole = 'anon' } = this.#options
    const current = typeof keys === 'function' ? await keys() : keys
    if (current !== this.#keys) this.#forget(current)
    const known = token.length > maxTokenBytes ? undefined : this.#cache.get(token)
    if (known) return known
    const parts = takeApart(token)
    await this.#checkSignature(token, parts, current)
    const rules = { ...this.#options, leewaySeconds, anonymousRole }
    const payload = Buffer.from(parts.payload, 'base64url')
    const { caller, validUntilSeconds } = readClaims(payload, this.#clock.now() / 1000, rules)
    // While the signature was checked the keys may have changed; what they said then is not kept.
    if (current === this.#keys) this.#cache.set(token, caller, validUntilSeconds)
    return caller
  }

  #forget(keys: VerificationKeys): void {
    this.#keys = keys
    this.#local = undefined
    this.#cache.clear()
  }

  /** Which kind of key comes into question follows from the keys that there are; the token only chooses among them. */
  async #checkSignature(token: string, parts: Parts, keys: VerificationKeys): Promise<void> {
    const { alg, kid } = parts.header
    const named = kid === undefined ? undefined : keys.publicKeys.find((key) => key.kid === kid)
    if (alg === 'HS256') {
      if (named) throw new TokenError('algorithm', 'Wrong or unsupported encoding algorithm')
      // A secret has no name of its own, so whatever `kid` says of one is not looked at.
      return verifySecret(parts, keys.secrets)
    }
    if (!asymmetric.includes(alg)) throw new TokenError('algorithm', 'Wrong or unsupported encoding algorithm')
    if (kid === undefined) throw new TokenError('key', 'No suitable key or wrong key type')
    await this.#checkPublic(token, named ? await this.#localKeys(keys) : await this.#remoteKeys())
  }

  async #checkPublic(token: string, keys: PublicKeys | undefined): Promise<void> {
    if (!keys) throw new TokenError('key', 'No suitable key or wrong key type')
    const { compactVerify } = await import('jose')
    try {
      await compactVerify(token, keys, { algorithms: [...asymmetric] })
    } catch (error) {
      throw toTokenError(error)
    }
  }

  #localKeys({ publicKeys }: VerificationKeys): Promise<PublicKeys> {
    this.#local ??= localKeys({ keys: [...publicKeys] })
    return this.#local
  }

  async #remoteKeys(): Promise<PublicKeys | undefined> {
    const { jwksUrl } = this.#options
    if (jwksUrl === undefined) return undefined
    this.#remote ??= remoteKeys(jwksUrl, this.#clock)
    return this.#remote
  }
}

/** Makes a verifier of JWTs: HS256 with the project's secrets, ES256, RS256 and EdDSA with public keys by their `kid`. */
export const createVerifier = (options: VerifierOptions): Verifier => new TokenVerifier(options)
