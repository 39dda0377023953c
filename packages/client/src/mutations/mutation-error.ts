/** A mutation that the server refused, or of which nobody knows what came. */
export class MutationError extends Error {
  /** Of PostgREST or Postgres: `23505`, `42501`, `PGRST116`; `KEY_MISSING` where nothing was asked; empty where nobody answered. */
  readonly code: string
  /** Of HTTP; 0 where nobody answered: it may have taken place all the same. */
  readonly status: number

  constructor(
    message: string,
    { code, status, cause }: { readonly code: string; readonly status: number; readonly cause?: unknown },
  ) {
    super(message, { cause })
    this.name = 'MutationError'
    this.code = code
    this.status = status
  }
}
