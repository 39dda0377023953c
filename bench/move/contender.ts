import type pg from 'pg'
import type { MemoryPeak } from '../measuring/process-memory.ts'

/** What one contender needed to bring the file into Postgres. */
export interface Timing {
  /** Everything, as somebody waits for it. */
  readonly totalMs: number
  /** Rows alone, where it can be told. */
  readonly copyMs?: number
  /** From the start of the process to the first row: its own start, and a look at the file. */
  readonly beforeMs?: number
  /** From the last row on: keys, indexes, foreign keys. */
  readonly afterMs?: number
  readonly memory?: MemoryPeak
  /** A comparison of every row afterwards, where it was asked for. */
  readonly verifyMs?: number
}

/** What every contender is given. */
export interface Arena {
  /** The SQLite file. */
  readonly file: string
  /** Of the target; holds a password. */
  readonly url: string
  readonly client: pg.Client
  /** A folder to work in. */
  readonly folder: string
  readonly signal: AbortSignal
}

export interface Contender {
  readonly name: string
  /** Its values must be exactly those of the file, in the types of the raw pipe. */
  readonly exact: boolean
  /** Brings the file into the schema, which is not there yet. Raises where that fails. */
  copy(schema: string): Promise<Timing>
}

/** How libpq's programs find the target, without a password on a command line. */
export const libpqEnvironment = (url: string): NodeJS.ProcessEnv => {
  const { hostname, port, username, password, pathname, searchParams } = new URL(url)
  return {
    ...process.env,
    PGHOST: searchParams.get('host') ?? (decodeURIComponent(hostname) || 'localhost'),
    PGPORT: port || '5432',
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
    ...(searchParams.has('sslmode') && { PGSSLMODE: searchParams.get('sslmode')! }),
  }
}
