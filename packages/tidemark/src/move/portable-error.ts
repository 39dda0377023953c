/** Errors on their way between threads, which carry plain data only. */
import { type ErrorCode, errorTable, isTidemarkError, TidemarkError } from '../errors.js'
import { toSqliteError } from '../sqlite/sqlite-error.js'

export interface PortableError {
  /** Undefined for what is no error of Tidemark's. */
  readonly code: string | undefined
  readonly parameters: Readonly<Record<string, string | number>>
  readonly reason: string
}

/** An error of reading the file as the error that says so; anything else as it is. */
export const explainSqlite = (error: unknown, path: string): unknown => {
  const isSqlite = String((error as { code?: unknown } | null)?.code ?? '').startsWith('SQLITE_')
  return isSqlite && !isTidemarkError(error) ? toSqliteError(error, path) : error
}

/** The error as plain data. */
export const packError = (error: unknown): PortableError => {
  if (isTidemarkError(error)) return { code: error.code, parameters: error.parameters, reason: error.message }
  return { code: undefined, parameters: {}, reason: error instanceof Error ? error.message : String(error) }
}

/** The error again. */
export const unpackError = ({ code, parameters, reason }: PortableError): TidemarkError => {
  if (code === undefined || !(code in errorTable)) return new TidemarkError('TM_MOVE_WORKER', { reason })
  return new TidemarkError(code as ErrorCode, parameters as never)
}
