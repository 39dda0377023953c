import { createHmac, hkdfSync, randomInt, timingSafeEqual } from 'node:crypto'
import type { OneTimeToken, OneTimeTokenType } from '../tables/one-time-tokens.js'
import { hashOf } from '../tokens/opaque-token.js'

const digits = 6

/** Six digits, each number as likely as any other. */
export const drawCode = (): string => String(randomInt(0, 10 ** digits)).padStart(digits, '0')

/** Whose code it is, and what for. */
export interface CodeFor {
  readonly userId: string
  readonly type: OneTimeTokenType
  /** The address that it goes to. */
  readonly relatesTo: string
}

/** Marks links that end in a code exchange (PKCE). */
export const pkcePrefix = 'pkce_'

/**
 * The token that a link carries in place of a code. Six digits are few: without the project's secret nobody gets from one to the
 * other, also with the database at hand, which holds the hash of this token only.
 */
export const linkTokenOf = (secret: string, code: string, { userId, type, relatesTo }: CodeFor, pkce = false): string => {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'tidemark one-time codes', 32))
  const token = createHmac('sha256', key).update([userId, type, relatesTo, code].join('\0')).digest('hex')
  return pkce ? `${pkcePrefix}${token}` : token
}

const equal = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))

/** Whether a code is the one of a kept token. Codes that were sent before a rotation of the secret still count. */
export const isCodeOf = (secrets: readonly string[], code: string, token: OneTimeToken): boolean => {
  const meant = { userId: token.user_id, type: token.token_type, relatesTo: token.relates_to }
  let fits = false
  for (const secret of secrets)
    for (const pkce of [false, true]) fits = equal(hashOf(linkTokenOf(secret, code, meant, pkce)), token.token_hash) || fits
  return fits
}
