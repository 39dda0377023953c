/** Tasks in Postgres: what was asked, by whom, and what came of it. Raises {@link AgentsError} and TM_POSTGRES_*. */
import { randomUUID } from 'node:crypto'
import { placeOf } from 'tidemark/app'
import { type Caller, seesAll } from './access.js'
import { AgentsError, refusing } from './agents-error.js'
import { parsePlace } from './input.js'
import { type AgentType, type Db, type Execution, rowOf, shown, type TaskPriority, type TaskStatus } from './rows.js'

export interface NewTask {
  readonly task_id?: string | undefined
  readonly agent_type: AgentType
  /** Given to this one alone. */
  readonly agent_instance_id?: string | undefined
  readonly task_type: string
  readonly input_data: unknown
  readonly priority: TaskPriority
  readonly max_retries: number
  readonly session_id?: string | undefined
  readonly user_id: string | null
}

export const createTask = async (db: Db, task: NewTask): Promise<Execution> => {
  const { rows } = await refusing(
    db.query<object>(
      `insert into agent_executions
         (task_id, agent_type, agent_instance_id, task_type, input_data, priority, max_retries, session_id, user_id, status)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued') returning *`,
      [
        task.task_id ?? randomUUID(),
        task.agent_type,
        task.agent_instance_id ?? null,
        task.task_type,
        JSON.stringify(task.input_data ?? {}),
        task.priority,
        task.max_retries,
        task.session_id ?? null,
        task.user_id,
      ],
    ),
  )
  return shown<Execution>(rows[0]!)
}

/** A user's own; anybody's for the service and admins. What belongs to another is not there. */
export const findTask = async (db: Db, taskId: string, caller: Caller): Promise<Execution> => {
  const { rows } = await db.query<object>('select * from agent_executions where task_id = $1 and ($2 or user_id = $3)', [
    taskId,
    seesAll(caller),
    caller.userId,
  ])
  const task = rowOf<Execution>(rows)
  if (task === null) throw new AgentsError('AGENTS_NOT_FOUND')
  return task
}

export interface ExecutionPage {
  readonly executions: readonly Execution[]
  readonly next: string | null
}

export interface ExecutionsQuery {
  /** One that is not known has none (C66). */
  readonly agent_id?: string | undefined
  readonly status?: TaskStatus | undefined
  readonly limit: number
  readonly cursor?: string | undefined
}

/** Newest first. */
export const listTasks = async (db: Db, query: ExecutionsQuery, caller: Caller): Promise<ExecutionPage> => {
  const { agent_id, status, limit, cursor } = query
  const { rows } = await db.query<object>(
    `select e.* from agent_executions e
      where ($1 or e.user_id = $2)
        and ($3::text is null or e.agent_instance_id = (select a.id from agent_instances a where a.agent_id = $3))
        and ($4::public.task_status is null or e.status = $4)
        and ($5::timestamptz is null or (e.created_at, e.id) < ($5, $6::uuid))
      order by e.created_at desc, e.id desc limit $7`,
    [seesAll(caller), caller.userId, agent_id ?? null, status ?? null, ...parsePlace(cursor), limit + 1],
  )
  const executions = rows.slice(0, limit).map((row) => shown<Execution>(row))
  const last = rows.length > limit ? executions.at(-1) : undefined
  return { executions, next: last ? placeOf(last.created_at, last.id) : null }
}
