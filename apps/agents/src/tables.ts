/** The tables as Kysely knows them, and how its statements are run. What counts, claims and sums up is SQL of its own. */
import { type CompiledQuery, type SqlBool, sql } from 'kysely'
import { createStatements, runStatement, type TableOf } from 'tidemark/app'
import { refusing } from './agents-error.js'
import { type AgentInstance, type Db, type Execution, shown } from './rows.js'

type Written = 'id' | 'status' | 'status_version' | 'version' | 'created_at' | 'updated_at'

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
}

/** Makes statements, and runs none. */
export const tables = createStatements<Tables>()

/** The first row, as the API shows it. Raises what of the app's errors Postgres' refusal is. */
export const firstOf = async <T>(db: Db, statement: { compile(): CompiledQuery<T> }): Promise<T | null> => {
  const [row] = (await refusing(runStatement(db, statement))).rows
  return row === undefined ? null : shown<T>(row as object)
}

/** What comes after a place in a list that begins with the newest. */
export const after = (time: string, id: string) => sql<SqlBool>`(created_at, id) < (${time}::timestamptz, ${id}::uuid)`

/** JSON as it is sent, for a column that holds it. */
export const json = <T>(value: T) => sql<T>`${JSON.stringify(value)}`
