/** Tasks in Postgres: what was asked, by whom, and what came of it. Raises {@link AgentsError} and TM_POSTGRES_*. */
import { randomUUID } from 'node:crypto'
import { placeOf } from 'tidemark/app'
import { type Caller, seesAll } from '../access.js'
import { AgentsError } from '../agents-error.js'
import type { ExecutionPage } from '../routes/answers.js'
import { parsePlace } from '../routes/input.js'
import type { AgentType, Db, Execution, TaskPriority, TaskStatus } from './rows.js'
import { after, firstOf, json, rowsOf, tables } from './tables.js'

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
  const { task_id = randomUUID(), agent_instance_id = null, session_id = null, input_data } = task
  const { agent_type, task_type, priority, max_retries, user_id } = task
  const values = {
    ...{ task_id, agent_type, agent_instance_id, task_type, input_data: json(input_data ?? {}) },
    ...{ priority, max_retries, session_id, user_id, status: 'queued' as const },
  }
  return (await firstOf<Execution>(db, tables.insertInto('agent_executions').values(values).returningAll()))!
}

/** Those that a caller sees: a user's own; anybody's for the service and admins. */
const seenBy = (caller: Caller) => {
  const all = tables.selectFrom('agent_executions').selectAll()
  return seesAll(caller) ? all : all.where('user_id', '=', caller.userId)
}

/** What belongs to another is not there. Raises AGENTS_NOT_FOUND. */
export const findTask = async (db: Db, taskId: string, caller: Caller): Promise<Execution> => {
  const task = await firstOf<Execution>(db, seenBy(caller).where('task_id', '=', taskId))
  if (task === null) throw new AgentsError('AGENTS_NOT_FOUND')
  return task
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
  const [time, id] = parsePlace(cursor)
  const ofAgent = tables
    .selectFrom('agent_instances')
    .select('id')
    .where('agent_id', '=', agent_id ?? '')
  const newest = seenBy(caller)
    .$if(agent_id !== undefined, (given) => given.where('agent_instance_id', '=', ofAgent))
    .$if(status !== undefined, (given) => given.where('status', '=', status!))
    .$if(time !== null, (given) => given.where(after(time!, id!)))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
  const rows = await rowsOf<Execution>(db, newest)
  const executions = rows.slice(0, limit)
  const last = rows.length > limit ? executions.at(-1) : undefined
  return { executions, next: last ? placeOf(last.created_at, last.id) : null }
}
