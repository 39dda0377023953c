import type { CompactVerifyGetKey, JSONWebKeySet } from 'jose'
import { reasonOf, TidemarkError } from '../errors.js'
import type { Clock } from '../time/clock.js'

/** Public keys by the `kid` of a token's header. Raises jose's errors for a key that does not fit. */
export type PublicKeys = CompactVerifyGetKey

/** How long fetched keys count, how long an unknown `kid` is not asked for again, and what bounds a fetch. */
const maxAgeMs = 600_000
const cooldownMs = 30_000
const timeoutMs = 5_000
const maxBytes = 256 * 1024
/** Keys that cannot be fetched anew are used for so long: an outage over there should not lock everybody out here. */
const maxStaleMs = 3_600_000

/** The answer, unless it is larger than a set of keys has reason to be. */
const boundedFetch = async (url: string, init: RequestInit): Promise<Response> => {
  const response = await fetch(url, init)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    if (size > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return new Response(chunks.length === 0 ? null : Buffer.concat(chunks), { status: response.status })
}

/** Keys that are at hand. */
export const localKeys = async (jwks: JSONWebKeySet): Promise<PublicKeys> => {
  const { createLocalJWKSet } = await import('jose')
  return createLocalJWKSet(jwks)
}

/**
 * Keys from a JWKS address, fetched when they are first needed, every ten minutes, and for a new `kid` at most twice a minute.
 * Raises TM_AUTH_JWKS where none can be had.
 */
export const remoteKeys = async (url: string, clock: Clock): Promise<PublicKeys> => {
  const jose = await import('jose')
  const remote = jose.createRemoteJWKSet(new URL(url), {
    timeoutDuration: timeoutMs,
    cooldownDuration: cooldownMs,
    cacheMaxAge: maxAgeMs,
    [jose.customFetch]: boundedFetch as (url: string, options: object) => Promise<Response>,
  })
  let fetchedAtMs: number | undefined
  let failure: { readonly error: TidemarkError; readonly untilMs: number } | undefined

  /** jose asks again with every token while it has no fresh keys; one that failed is left alone for a while. */
  const refresh = async (): Promise<void> => {
    if (remote.fresh) return
    if (failure && clock.monotonicMs() < failure.untilMs) throw failure.error
    try {
      await remote.reload()
      fetchedAtMs = clock.monotonicMs()
      failure = undefined
    } catch (cause) {
      const error = new TidemarkError('TM_AUTH_JWKS', { url, reason: reasonOf(cause) }, { cause })
      failure = { error, untilMs: clock.monotonicMs() + cooldownMs }
      throw error
    }
  }

  const stale = (error: unknown): PublicKeys => {
    const known = remote.jwks()
    if (known === undefined || fetchedAtMs === undefined || clock.monotonicMs() - fetchedAtMs > maxStaleMs) throw error
    return jose.createLocalJWKSet(known)
  }

  return async (header, token) => {
    try {
      await refresh()
    } catch (error) {
      return stale(error)(header, token)
    }
    try {
      return await remote(header, token)
    } catch (error) {
      // A fetch for a new kid that failed: the keys at hand have already said that they do not know it.
      if (error instanceof jose.errors.JOSEError && error.code !== 'ERR_JOSE_GENERIC' && error.code !== 'ERR_JWKS_TIMEOUT')
        throw error
      throw new jose.errors.JWKSNoMatchingKey(undefined, { cause: error })
    }
  }
}
