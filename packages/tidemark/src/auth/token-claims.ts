import type { Caller } from './caller.js'
import { TokenError } from './token-error.js'

/** What the claims of a genuine token are held against. */
export interface ClaimRules {
  /** A token that names an audience must name one of these. */
  readonly audience?: readonly string[]
  /** A token must come from there, where it is given. */
  readonly issuer?: string
  /** How far the clocks of two machines may be apart. */
  readonly leewaySeconds: number
  /** The role of a token that names none. */
  readonly anonymousRole: string
}

type Claims = Readonly<Record<string, unknown>>

const isClaims = (value: unknown): value is Claims => typeof value === 'object' && value !== null && !Array.isArray(value)

const parse = (payload: Uint8Array): Claims => {
  try {
    const claims: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
    if (isClaims(claims)) return claims
  } catch {
    // Not JSON: answered below, and without the parser's message, which quotes the content.
  }
  throw new TokenError('claims', 'Parsing claims failed')
}

/** Absent and null are the same. */
const secondsOf = (claims: Claims, name: 'exp' | 'nbf' | 'iat'): number | undefined => {
  const value = claims[name] ?? undefined
  if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value
  throw new TokenError('claims', `The JWT '${name}' claim must be a number`)
}

const checkTimes = (claims: Claims, nowSeconds: number, leewaySeconds: number): void => {
  const [exp, nbf, iat] = [secondsOf(claims, 'exp'), secondsOf(claims, 'nbf'), secondsOf(claims, 'iat')]
  if (exp !== undefined && exp < nowSeconds - leewaySeconds) throw new TokenError('expired', 'JWT expired')
  if (nbf !== undefined && nbf > nowSeconds + leewaySeconds) throw new TokenError('notYetValid', 'JWT not yet valid')
  if (iat !== undefined && iat > nowSeconds + leewaySeconds) throw new TokenError('issuedInFuture', 'JWT issued at future')
}

const audienceOf = ({ aud }: Claims): readonly string[] => {
  const list = aud === undefined || aud === null ? [] : Array.isArray(aud) ? aud : [aud]
  if (list.every((name) => typeof name === 'string')) return list
  throw new TokenError('claims', "The JWT 'aud' claim must be a string or an array of strings")
}

const checkAudience = (claims: Claims, expected: readonly string[] | undefined): void => {
  const named = audienceOf(claims)
  if (expected === undefined || named.length === 0 || named.some((name) => expected.includes(name))) return
  throw new TokenError('audience', 'JWT not in audience')
}

const roleOf = ({ role }: Claims, anonymousRole: string): string => {
  if (role === undefined || role === null) return anonymousRole
  // For Postgres `none` is no role but the way back to the login's own.
  if (typeof role === 'string' && /^[^\0]{1,63}$/u.test(role) && role.toLowerCase() !== 'none') return role
  throw new TokenError('role', "The JWT 'role' claim must be the name of a role")
}

/** A genuine token's claims as a caller, and until when they hold (Infinity without an `exp`). Raises {@link TokenError}. */
export const readClaims = (
  payload: Uint8Array,
  nowSeconds: number,
  rules: ClaimRules,
): { readonly caller: Caller; readonly validUntilSeconds: number } => {
  const claims = parse(payload)
  checkTimes(claims, nowSeconds, rules.leewaySeconds)
  checkAudience(claims, rules.audience)
  if (rules.issuer !== undefined && claims['iss'] !== rules.issuer) throw new TokenError('issuer', 'JWT not from this issuer')
  const role = roleOf(claims, rules.anonymousRole)
  const exp = secondsOf(claims, 'exp')
  return {
    caller: Object.freeze({ role, claims: Object.freeze({ ...claims, role }) }),
    validUntilSeconds: exp === undefined ? Number.POSITIVE_INFINITY : exp + rules.leewaySeconds,
  }
}
