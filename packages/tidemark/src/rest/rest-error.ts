/** What PostgREST puts under `details`: a sentence, or for an ambiguous relationship the list of candidates. */
export type RestErrorDetails = string | readonly Readonly<Record<string, string>>[] | null

export interface RestErrorParts {
  /** `PGRST…`, or the SQLSTATE that Postgres gave. */
  readonly code: string
  readonly status: number
  readonly message: string
  readonly details?: RestErrorDetails | undefined
  readonly hint?: string | null | undefined
  /** Besides `Proxy-Status`. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The reason phrase, where a function of the database chose one. */
  readonly statusText?: string | undefined
  readonly cause?: unknown
}

/** The body of an error, in the order in which PostgREST writes it. */
export interface RestErrorBody {
  readonly code: string
  readonly details: RestErrorDetails
  readonly hint: string | null
  readonly message: string
}

/** Header values end where a line would: anything outside printable ASCII is a `?`. */
const headerSafe = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?')

/** A refusal of `/rest/v1`, in the form that PostgREST gives it. Everything in it may be shown to the caller. */
export class RestError extends Error {
  readonly code: string
  readonly status: number
  readonly details: RestErrorDetails
  readonly hint: string | null
  readonly headers: Readonly<Record<string, string>>
  readonly statusText: string | undefined

  constructor(parts: RestErrorParts) {
    super(parts.message, parts.cause === undefined ? undefined : { cause: parts.cause })
    this.name = 'RestError'
    this.code = parts.code
    this.status = parts.status
    this.details = parts.details ?? null
    this.hint = parts.hint ?? null
    this.headers = { 'proxy-status': `PostgREST; error=${headerSafe(parts.code)}`, ...parts.headers }
    this.statusText = parts.statusText === undefined ? undefined : headerSafe(parts.statusText)
  }

  /** The body. Never the cause. */
  toJSON(): RestErrorBody {
    return { code: this.code, details: this.details, hint: this.hint, message: this.message }
  }
}

export const isRestError = (error: unknown, code?: string): error is RestError =>
  error instanceof RestError && (code === undefined || error.code === code)
