/** Why a token is refused. */
export type TokenReason =
  | 'empty'
  | 'oversized'
  | 'malformed'
  | 'algorithm'
  | 'key'
  | 'signature'
  | 'claims'
  | 'expired'
  | 'notYetValid'
  | 'issuedInFuture'
  | 'audience'
  | 'issuer'
  | 'role'

/** `unreadable`: nobody vouches for it. `claims`: it is genuine, and what it says does not hold (any more). */
export type TokenFailure = 'unreadable' | 'claims'

const unreadable: ReadonlySet<TokenReason> = new Set(['empty', 'oversized', 'malformed', 'algorithm', 'key', 'signature'])

/**
 * A token that is refused. `/rest/v1` answers it as PGRST301 (`unreadable`) or PGRST303 (`claims`), `/auth/v1` as `bad_jwt`.
 * The message never holds a part of the token.
 */
export class TokenError extends Error {
  readonly reason: TokenReason

  constructor(reason: TokenReason, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = 'TokenError'
    this.reason = reason
  }

  get failure(): TokenFailure {
    return unreadable.has(this.reason) ? 'unreadable' : 'claims'
  }
}

/** Whether it is why a token was refused; with `reason`, for that one. */
export const isTokenError = (error: unknown, reason?: TokenReason): error is TokenError =>
  error instanceof TokenError && (reason === undefined || error.reason === reason)
