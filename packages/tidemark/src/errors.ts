import { errorTable, exitCodes } from './error-table.js'
import { maskSecrets } from './secrets.js'

export { type ExitName, errorTable, exitCodes } from './error-table.js'

export type ErrorCode = keyof typeof errorTable

type Placeholders<T extends string> = T extends `${string}{${infer Name}}${infer Rest}` ? Name | Placeholders<Rest> : never

type EntryText<C extends ErrorCode> = `${(typeof errorTable)[C]['message']}${(typeof errorTable)[C]['fix']}`

/** The parameters that the texts of one error name. */
export type ErrorParameters<C extends ErrorCode> = {
  readonly [K in Placeholders<EntryText<C>>]: string | number
}

const fill = (template: string, parameters: Readonly<Record<string, string | number>>): string =>
  template.replace(/\{(\w+)\}/g, (whole, name: string) => maskSecrets(String(parameters[name] ?? whole)))

/** The one error class. `code` names an entry of {@link errorTable}, which gives the rest. */
export class TidemarkError<C extends ErrorCode = ErrorCode> extends Error {
  readonly code: C
  /** What the reader can do about it, as one or two sentences. */
  readonly fix: string
  readonly parameters: Readonly<Record<string, string | number>>

  constructor(code: C, parameters: ErrorParameters<C>, options?: { readonly cause?: unknown }) {
    const { message, fix } = errorTable[code]
    super(fill(message, parameters), options)
    this.name = 'TidemarkError'
    this.code = code
    this.fix = fill(fix, parameters)
    this.parameters = parameters
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable
  }

  get httpStatus(): number {
    return errorTable[this.code].httpStatus
  }

  get exitCode(): number {
    return exitCodes[errorTable[this.code].exit]
  }

  /** The form in which the error leaves the process: HTTP bodies and `--json`. Never the cause, never a secret. */
  toJSON(): { code: C; message: string; fix: string; retryable: boolean } {
    return { code: this.code, message: this.message, fix: this.fix, retryable: this.retryable }
  }
}

/** One that another process told of, whose texts are filled in already. */
class ToldError extends TidemarkError {
  override readonly fix: string

  constructor(code: ErrorCode, message: string, fix: string) {
    super(code, {} as never)
    this.message = maskSecrets(message)
    this.fix = maskSecrets(fix)
  }
}

/** The error that another process told of, by what {@link TidemarkError.toJSON} gave; undefined for what is none of ours. */
export const errorOfJson = (told: unknown): TidemarkError | undefined => {
  if (typeof told !== 'object' || told === null) return undefined
  const { code, message, fix } = told as Readonly<Record<string, unknown>>
  if (typeof code !== 'string' || !Object.hasOwn(errorTable, code)) return undefined
  return new ToldError(code as ErrorCode, String(message), String(fix))
}

/** True for a {@link TidemarkError}, of the given code where one is given. */
export const isTidemarkError = <C extends ErrorCode = ErrorCode>(error: unknown, code?: C): error is TidemarkError<C> =>
  error instanceof TidemarkError && (code === undefined || error.code === code)

/** The message of anything that was thrown, with secrets masked. */
export const reasonOf = (error: unknown): string =>
  maskSecrets(error instanceof Error ? error.message || error.name : String(error))

/** Any thrown value as a {@link TidemarkError}; what is none becomes `TM_INTERNAL` with its cause kept. */
export const toTidemarkError = (error: unknown): TidemarkError =>
  isTidemarkError(error) ? error : new TidemarkError('TM_INTERNAL', { reason: reasonOf(error) }, { cause: error })
