import { reasonOf, TidemarkError } from '../../errors.js'
import type { BatchResult, BatchStatement } from '../../postgres/pool/batch.js'
import type { Pool } from '../../postgres/postgres.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'

/** The roles that callers have, from the one that sees least. */
export const callerRoles = ['anon', 'authenticated', 'service_role'] as const

export type CallerRole = (typeof callerRoles)[number]

/** Whose eyes an operator looks through. */
export interface Viewpoint {
  readonly role: CallerRole
  /** The subject of the token: a user's id. */
  readonly user?: string | undefined
  /** Further claims that policies read, such as `{"app_metadata": {"role": "admin"}}`. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined
}

/** Reads as a role of callers, so that row security decides what is seen. Nothing can be written that way. */
export interface RoleReads {
  /** All in one snapshot. Raises TM_SERVER_BAD_REQUEST for what Postgres refuses, and for what takes too long. */
  read(as: Viewpoint, statements: readonly BatchStatement[]): Promise<readonly BatchResult[]>
  /** What one statement gives as one value of JSON. */
  json<T>(as: Viewpoint, text: string, values?: BatchStatement['values']): Promise<T>
  /** For what is asked of the login itself. */
  pool(): Promise<Pool>
  stop(): Promise<void>
}

/** Writes as a role of callers, in one transaction. Raises as {@link RoleReads.read} does. */
export type RoleWrites = (as: Viewpoint, statements: readonly BatchStatement[]) => Promise<readonly BatchResult[]>

const statementTimeoutMs = 5_000
const lockTimeoutMs = 1_000

/** Of what is asked, not of the database: a value that does not fit its column, a right that is missing, a statement that is none, a rule. */
const isRefusal = (sqlstate: string): boolean => /^(0A|22|23|25006|2F|38|42|54|57014|P0|PT4)/.test(sqlstate)

const refusalOf = (error: unknown): unknown => {
  const sqlstate = sqlstateOf(error)
  if (sqlstate === undefined || !isRefusal(sqlstate)) return error
  const reason =
    sqlstate === '57014' ? `it takes longer than ${statementTimeoutMs / 1_000} seconds` : reasonOf(rootOf(error)).slice(0, 500)
  return new TidemarkError('TM_SERVER_BAD_REQUEST', { reason: `Postgres refuses it: ${reason}` }, { cause: error })
}

const rootOf = (error: unknown): unknown => (error instanceof Error && error.cause !== undefined ? rootOf(error.cause) : error)

const settingsOf = ({ role, user, claims }: Viewpoint): readonly (readonly [string, string])[] => [
  ['role', role],
  ['request.jwt.claims', JSON.stringify({ ...claims, role, ...(user !== undefined && { sub: user }) })],
  ['statement_timeout', String(statementTimeoutMs)],
  ['lock_timeout', String(lockTimeoutMs)],
]

/** Through the connections of `reads`. */
export const createRoleWrites =
  (reads: Pick<RoleReads, 'pool'>): RoleWrites =>
  async (as, statements) => {
    try {
      return await (await reads.pool()).batch(statements, { end: 'commit', settings: settingsOf(as) })
    } catch (error) {
      throw refusalOf(error)
    }
  }

/** `open` gives a pool of the login that may become those roles; it is called when somebody looks for the first time. */
export const createRoleReads = (open: () => Promise<Pool>): RoleReads => {
  let opened: Promise<Pool> | undefined
  const pool = (): Promise<Pool> => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined
      throw error
    })
    return opened
  }
  const read: RoleReads['read'] = async (as, statements) => {
    const options = { isolation: 'repeatable read', readOnly: true, end: 'rollback', settings: settingsOf(as) } as const
    try {
      return await (await pool()).batch(statements, options)
    } catch (error) {
      throw refusalOf(error)
    }
  }
  return {
    read,
    json: async <T>(as: Viewpoint, text: string, values: BatchStatement['values'] = []) => {
      const [result] = await read(as, [{ text, values }])
      return JSON.parse(result?.rows[0]?.[0] ?? 'null') as T
    },
    pool,
    stop: async () => {
      await (await opened?.catch(() => undefined))?.stop()
    },
  }
}
