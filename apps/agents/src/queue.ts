/**
 * The queue: who takes which task, and what becomes of it. One task is taken once, by an agent of its type, the most urgent and then the oldest
 * first; what fails comes back after a while, until its attempts are used up.
 */
import { AgentsError, refusing } from './agents-error.js'
import { type AgentInstance, type Db, type Execution, rowOf, shown, type TaskStatus } from './rows.js'

export interface Backoff {
  readonly baseMs: number
  readonly maxMs: number
}

export const defaultBackoff: Backoff = { baseMs: 1_000, maxMs: 300_000 }

/** Twice as long after each attempt. */
export const retryDelayMs = (attempts: number, { baseMs, maxMs }: Backoff): number =>
  Math.min(maxMs, baseMs * 2 ** Math.min(attempts, 40))

const claimSql = `
  with next as (
    select e.id from agent_executions e
     where e.agent_type = $2 and (e.status in ('pending', 'queued') or (e.status = 'retrying' and e.next_retry_at <= $3))
       and (e.agent_instance_id is null or e.agent_instance_id = $1)
     order by e.priority desc, e.created_at, e.id
       for update skip locked limit 1)
  update agent_executions e set status = 'running', agent_instance_id = $1 from next where e.id = next.id
  returning e.*`

/** The next task for this agent, which is its own from now on; null where there is none. Raises AGENTS_NOT_READY, AGENTS_NOT_FOUND. */
export const claimTask = async (db: Db, agentId: string, now: Date): Promise<Execution | null> => {
  const { rows } = await db.query<object>('select * from agent_instances where agent_id = $1 for update', [agentId])
  const agent = rowOf<AgentInstance>(rows)
  if (agent === null) throw new AgentsError('AGENTS_NOT_FOUND')
  if (agent.status !== 'idle' && !(agent.status === 'busy' && agent.current_task_id === null))
    throw new AgentsError('AGENTS_NOT_READY')
  return rowOf((await refusing(db.query<object>(claimSql, [agent.id, agent.agent_type, now]))).rows)
}

export interface TaskChange {
  readonly status?: TaskStatus | undefined
  readonly output_data?: unknown
  readonly quality_score?: number | undefined
  readonly execution_time_seconds?: number | undefined
  readonly error_message?: string | undefined
  readonly retryable: boolean
}

/** Where a failure leads: back into the queue while attempts are left. */
const afterFailure = (task: Execution, { status, retryable }: TaskChange): TaskStatus | undefined => {
  if (status !== 'failed' || task.status !== 'running' || !retryable) return status
  return task.retry_count < task.max_retries ? 'retrying' : 'failed'
}

/** Raises AGENTS_NOT_FOUND. Whoever has it decides alone until the transaction ends. */
const lockTask = async (db: Db, taskId: string): Promise<Execution> => {
  const { rows } = await db.query<object>('select * from agent_executions where task_id = $1 for update', [taskId])
  const task = rowOf<Execution>(rows)
  if (task === null) throw new AgentsError('AGENTS_NOT_FOUND')
  return task
}

/** What whoever runs the task tells of it. Raises AGENTS_ILLEGAL_MOVE. */
export const changeTask = async (
  db: Db,
  taskId: string,
  change: TaskChange,
  { now, backoff }: { readonly now: Date; readonly backoff: Backoff },
): Promise<Execution> => {
  const task = await lockTask(db, taskId)
  const status = afterFailure(task, change) ?? task.status
  // A task that is not changed but named again has ended as it is: told twice is told once.
  if (status === task.status && task.completed_at !== null) throw new AgentsError('AGENTS_ILLEGAL_MOVE')
  const retryAt = status === 'retrying' ? new Date(now.getTime() + retryDelayMs(task.retry_count, backoff)) : null
  const { rows } = await refusing(
    db.query<object>(
      `update agent_executions
          set status = $2::public.task_status, output_data = coalesce($3, output_data), quality_score = coalesce($4, quality_score),
              execution_time_seconds = coalesce($5, execution_time_seconds), error_message = coalesce($6, error_message),
              next_retry_at = coalesce($7, next_retry_at),
              agent_instance_id = case when $2::public.task_status = 'retrying' then null else agent_instance_id end
        where id = $1 returning *`,
      [
        task.id,
        status,
        change.output_data === undefined ? null : JSON.stringify(change.output_data),
        change.quality_score ?? null,
        change.execution_time_seconds ?? null,
        change.error_message ?? null,
        retryAt,
      ],
    ),
  )
  return shown<Execution>(rows[0]!)
}

/**
 * Cancels at once what nobody runs; whoever runs it is asked to leave off, hears of it with the next heartbeat, and says when it has. Raises
 * AGENTS_ILLEGAL_MOVE where the task has ended.
 */
export const cancelTask = async (db: Db, taskId: string): Promise<Execution> => {
  const task = await lockTask(db, taskId)
  if (task.completed_at !== null) throw new AgentsError('AGENTS_ILLEGAL_MOVE', 'The task has ended.')
  const { rows } = await refusing(
    db.query<object>(
      `update agent_executions
          set cancel_requested = true, status = case when status = 'running' then status else 'cancelled' end::public.task_status
        where id = $1 returning *`,
      [task.id],
    ),
  )
  return shown<Execution>(rows[0]!)
}

/** Tasks that this agent runs and is to leave off. */
export const cancellationsOf = async (db: Db, agentInstanceId: string): Promise<readonly string[]> => {
  const { rows } = await db.query<{ task_id: string }>(
    `select task_id from agent_executions where agent_instance_id = $1 and status = 'running' and cancel_requested`,
    [agentInstanceId],
  )
  return rows.map(({ task_id }) => task_id)
}

export interface QueueState {
  readonly by_status: Readonly<Record<string, number>>
  readonly waiting: readonly {
    readonly agent_type: string
    readonly priority: string
    readonly tasks: number
    readonly oldest_seconds: number
  }[]
}

export const queueState = async (db: Db, now: Date): Promise<QueueState> => {
  const counts = await db.query<{ status: string; n: string }>(
    `select status::text, count(*) as n from agent_executions where status in ('pending', 'queued', 'running', 'retrying') group by status`,
  )
  const waiting = await db.query<{ agent_type: string; priority: string; tasks: string; oldest: number }>(
    `select agent_type::text, priority::text, count(*) as tasks,
            greatest(0, extract(epoch from $1::timestamptz - min(created_at)))::double precision as oldest
       from agent_executions where status in ('pending', 'queued', 'retrying')
      group by agent_type, priority order by agent_executions.priority desc, 1`,
    [now],
  )
  return {
    by_status: Object.fromEntries(counts.rows.map(({ status, n }) => [status, Number(n)])),
    waiting: waiting.rows.map(({ agent_type, priority, tasks, oldest }) => ({
      agent_type,
      priority,
      tasks: Number(tasks),
      oldest_seconds: oldest,
    })),
  }
}
