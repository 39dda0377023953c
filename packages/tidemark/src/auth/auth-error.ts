/** What goes into the answer besides code and message. */
export interface AuthErrorExtras {
  readonly retryAfterSeconds?: number
  /** What a password lacks. */
  readonly reasons?: readonly string[]
  readonly cause?: unknown
}

/** A refusal of `/auth/v1`, with the status and code that GoTrue gives it. Everything but the cause may be shown to the caller. */
export class AuthError extends Error {
  readonly status: number
  readonly code: string
  readonly retryAfterSeconds: number | undefined
  readonly reasons: readonly string[] | undefined

  constructor(status: number, code: string, message: string, { retryAfterSeconds, reasons, cause }: AuthErrorExtras = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'AuthError'
    this.status = status
    this.code = code
    this.retryAfterSeconds = retryAfterSeconds
    this.reasons = reasons
  }
}

export const isAuthError = (error: unknown, code?: string): error is AuthError =>
  error instanceof AuthError && (code === undefined || error.code === code)

const firstNewForm = '2024-01-01'

/** The form of errors that a client asks for by `X-Supabase-Api-Version`; undefined for the oldest. */
export const errorFormOf = (version: string | undefined): string | undefined =>
  version !== undefined && /^\d{4}-\d{2}-\d{2}$/.test(version) && version >= firstNewForm ? firstNewForm : undefined

/** The body of an error in that form. */
export const errorBody = ({ status, code, message, reasons }: AuthError, form: string | undefined): object => ({
  ...(form === undefined ? { code: status, error_code: code, msg: message } : { code, message }),
  ...(reasons && { weak_password: { reasons } }),
})
