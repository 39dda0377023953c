/**
 * The tables as Kysely knows them, and how its statements are run. What copies rows by the names that the catalogue has for their columns is SQL of
 * its own (`secondary.ts`).
 */
import { type CompiledQuery, type SqlBool, sql } from 'kysely'
import { createStatements, runStatement, type TableOf } from 'tidemark/app'
import { refusing } from '../agents-error.js'
import { type AgentInstance, type Db, type Execution, type Metric, type SystemHealth, shown } from './rows.js'

type Written = 'id' | 'status' | 'status_version' | 'version' | 'created_at' | 'updated_at'

/** A row that the second database has still to get, as it is, or as null where it is gone. */
export interface SpoolEntry {
  readonly seq: string
  readonly table_name: string
  readonly row_id: string
  readonly row_data: unknown
}

export interface Tables {
  readonly agent_instances: TableOf<
    AgentInstance,
    | Written
    | 'configuration'
    | 'resource_limits'
    | 'performance_thresholds'
    | 'last_activity'
    | 'last_heartbeat'
    | 'total_tasks_completed'
    | 'total_tasks_failed'
  >
  readonly agent_executions: TableOf<
    Execution,
    Written | 'priority' | 'input_data' | 'output_data' | 'retry_count' | 'max_retries' | 'cancel_requested'
  >
  readonly agent_metrics: TableOf<Metric, 'id' | 'version' | 'created_at'>
  /** All of it has a default. */
  readonly system_health: TableOf<SystemHealth, keyof SystemHealth>
  readonly 'agents_spool.entries': SpoolEntry & { readonly spooled_at: string }
}

/** Makes statements, and runs none. */
export const tables = createStatements<Tables>()

interface Statement<T> {
  compile(): CompiledQuery<T>
}

/** As the API shows them. Raises what of the app's errors Postgres' refusal is. */
export const rowsOf = async <T>(db: Db, statement: Statement<T>): Promise<readonly T[]> =>
  (await refusing(runStatement(db, statement))).rows.map((row) => shown<T>(row as object))

export const firstOf = async <T>(db: Db, statement: Statement<T>): Promise<T | null> => (await rowsOf(db, statement))[0] ?? null

/** What comes after a place in a list that begins with the newest. */
export const after = (time: string, id: string) => sql<SqlBool>`(created_at, id) < (${time}::timestamptz, ${id}::uuid)`

/** The same in a list whose rows of one moment go up by their id: as two conditions, which an index of that order can be walked by. */
export const afterMoment = (moment: 'period_start' | 'timestamp', time: string, id: string) =>
  sql<SqlBool>`${sql.ref(moment)} <= ${time}::timestamptz and (${sql.ref(moment)} < ${time}::timestamptz or id > ${id}::uuid)`

/** A row's place in such a list for `pageOf`: a moment in UTC, to the microsecond. */
export const placeAt = (moment: 'period_start' | 'timestamp') =>
  sql<string>`to_char(${sql.ref(moment)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`.as('place')

/** JSON as it is sent, for a column that holds it. */
export const json = <T>(value: T) => sql<T>`${JSON.stringify(value)}`

/** So long before a moment. */
export const momentBefore = (moment: Date, ms: number): string => new Date(moment.getTime() - ms).toISOString()
