import { isTidemarkError } from '../errors.js'
import { sqlstateOf } from '../postgres/postgres.js'

interface ErrorEntry {
  readonly status: number
  /** What the caller is told. Never quotes what was sent. */
  readonly message: string
}

/** What every application refuses; a table may say it in other words. */
const common = {
  UNAUTHENTICATED: { status: 401, message: 'A valid bearer token is needed.' },
  FORBIDDEN: { status: 403, message: 'This is not for whoever asks.' },
  NOT_FOUND: { status: 404, message: 'There is no such thing.' },
  /** The request could be read, and cannot be done. */
  INVALID: { status: 400, message: 'The request is not valid.' },
  UNAVAILABLE: { status: 503, message: 'This cannot be reached for the moment. Try again.' },
  FAILED: { status: 500, message: 'Something went wrong here. Try again in a moment.' },
} as const satisfies Readonly<Record<string, ErrorEntry>>

type CommonName = keyof typeof common

/** Codes without their prefix. `MALFORMED` is a request that cannot even be read; a table without it takes `INVALID` for it. */
export type AppErrorTable = Readonly<Record<string, ErrorEntry>>

type CodeOf<P extends string, T> = `${P}_${(keyof T & string) | CommonName}`

/** What is answered. */
export interface Refusal<C extends string = string> {
  readonly status: number
  readonly code: C
  readonly message: string
  /** Answered besides. */
  readonly details?: AppErrorOptions['details']
}

/** What an error is made with besides its code. */
export interface AppErrorOptions {
  readonly cause?: unknown
  /** Answered beside `error` and `code`, such as the fields that are wrong. Never quotes what was sent. */
  readonly details?: Readonly<Record<string, unknown>> | undefined
}

export interface AppError<C extends string = string> extends Error {
  readonly code: C
  readonly status: number
  readonly details?: AppErrorOptions['details']
}

/** A refusal that somebody below raised, as the application says it. */
type Translation<C extends string> = C | { readonly code: C; readonly message?: string; readonly status?: number }

/** The errors of an application, whatever their codes are. */
export interface Refusals {
  /** Of the application's codes, the one with this name. */
  named(name: CommonName | 'MALFORMED', message?: string, options?: AppErrorOptions): AppError
  /** Anything that was thrown, as what is answered. */
  refusalOf(error: unknown): Refusal
  /** Gives what Postgres or Tidemark refuse its name, by `translations`; other errors pass. */
  refusing<T>(work: Promise<T>): Promise<T>
}

export interface AppErrors<C extends string> extends Refusals {
  /** `message` stands in for the code's own; it never quotes what was sent. */
  new (code: C, message?: string, options?: AppErrorOptions): AppError<C>
}

/** Keys: SQLSTATEs, and codes of Tidemark. */
export type Translations<C extends string> = Readonly<Record<string, Translation<C>>>

const tooLarge = 'The request is too large.'

/**
 * The error class of an application. `new E('SHOP_NOT_FOUND')` has the status and the message of its code; what Postgres refuses becomes one of
 * the codes by `translations`.
 */
export const defineErrors = <const P extends string, const T extends AppErrorTable>(
  prefix: P,
  table: T,
  translations: Translations<CodeOf<P, T>> = {},
): AppErrors<CodeOf<P, T>> => {
  type Code = CodeOf<P, T>
  const all: AppErrorTable = { ...common, ...table }
  const codeOf = (name: string): Code => `${prefix}_${name}` as Code
  const entries = new Map(Object.entries(all).map(([name, entry]) => [codeOf(name), entry]))
  const malformed = 'MALFORMED' in table ? 'MALFORMED' : 'INVALID'

  const translated = (error: unknown): Refusal<Code> | undefined => {
    const key = isTidemarkError(error) && error.code in translations ? error.code : sqlstateOf(error)
    const found = key === undefined ? undefined : translations[key]
    if (found === undefined) return undefined
    const { code, ...rest } = typeof found === 'string' ? { code: found } : found
    return { ...entries.get(code)!, code, ...rest }
  }

  return class Errors extends Error implements AppError<Code> {
    readonly code: Code
    readonly status: number
    readonly details?: AppErrorOptions['details']

    constructor(code: Code, message: string = entries.get(code)!.message, options?: AppErrorOptions) {
      super(message, options)
      this.name = 'AppError'
      this.code = code
      this.status = entries.get(code)!.status
      if (options?.details) this.details = options.details
    }

    static named(name: CommonName | 'MALFORMED', message?: string, options?: AppErrorOptions): Errors {
      return new Errors(codeOf(name === 'MALFORMED' ? malformed : name), message, options)
    }

    static refusalOf(error: unknown): Refusal<Code> {
      if (error instanceof Errors) return error
      const known = translated(error)
      if (known) return known
      if (isTidemarkError(error)) return Errors.named(error.retryable || error.httpStatus === 503 ? 'UNAVAILABLE' : 'FAILED')
      // What Fastify refuses keeps its status.
      const status = (error as { readonly statusCode?: unknown } | undefined)?.statusCode
      if (typeof status !== 'number' || status < 400 || status >= 500) return Errors.named('FAILED')
      const { code, message } = Errors.named('MALFORMED', status === 413 ? tooLarge : undefined)
      return { status, code, message }
    }

    static async refusing<R>(work: Promise<R>): Promise<R> {
      try {
        return await work
      } catch (error) {
        const known = error instanceof Errors ? undefined : translated(error)
        throw known ? new Errors(known.code, known.message, { cause: error }) : error
      }
    }
  }
}
