/** The fields of an error of the Postgres protocol that this floor reads. */
export interface PostgresError extends Error {
  /** SQLSTATE, five characters. */
  readonly code: string
  readonly detail?: string
  readonly hint?: string
  /** Offset of the fault in the statement, in characters from 1. */
  readonly position?: string
}

/** What the server raised, itself or as the cause of another error; undefined where the server raised nothing. */
export const postgresErrorOf = (error: unknown): PostgresError | undefined => {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (/^[0-9A-Z]{5}$/.test(String((at as Partial<PostgresError>).code ?? '')) && 'severity' in at)
      return at as unknown as PostgresError
  }
  return undefined
}

export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`

export const quoteLiteral = (text: string): string => {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}
