/**
 * The queue: who takes which task, and what becomes of it. One task is taken once, by an agent of its type, the most urgent and then the oldest
 * first; what fails comes back after a while, until its attempts are used up.
 */
import { sql } from 'kysely'
import { AgentsError } from '../agents-error.js'
import type { QueueState } from '../routes/answers.js'
import type { AgentInstance, Db, Execution, TaskStatus } from './rows.js'
import { firstOf, json, rowsOf, tables } from './tables.js'

export interface Backoff {
  readonly baseMs: number
  readonly maxMs: number
}

export const defaultBackoff: Backoff = { baseMs: 1_000, maxMs: 300_000 }

/** Twice as long after each attempt. */
export const retryDelayMs = (attempts: number, { baseMs, maxMs }: Backoff): number =>
  Math.min(maxMs, baseMs * 2 ** Math.min(attempts, 40))

/** As the index of the queue has them: by other words it would not be found, and all that waits would be sorted for each task. */
const waiting = ['pending', 'queued', 'retrying'] as const

/** What another agent is just taking is passed over. */
const claimed = ({ id, agent_type }: AgentInstance, now: Date) =>
  tables
    .with('next', (db) =>
      db
        .selectFrom('agent_executions')
        .select('id')
        .where('agent_type', '=', agent_type)
        .where('status', 'in', waiting)
        .where((eb) => eb.or([eb('status', '<>', 'retrying'), eb('next_retry_at', '<=', now.toISOString())]))
        .where((eb) => eb.or([eb('agent_instance_id', 'is', null), eb('agent_instance_id', '=', id)]))
        .orderBy('priority', 'desc')
        .orderBy('created_at')
        .orderBy('id')
        .limit(1)
        .forUpdate()
        .skipLocked(),
    )
    .updateTable('agent_executions as e')
    .from('next')
    .set({ status: 'running', agent_instance_id: id })
    .whereRef('e.id', '=', 'next.id')
    .returningAll('e')

/** The next task for this agent, which is its own from now on; null where there is none. Raises AGENTS_NOT_READY, AGENTS_NOT_FOUND. */
export const claimTask = async (db: Db, agentId: string, now: Date): Promise<Execution | null> => {
  const locked = tables.selectFrom('agent_instances').selectAll().where('agent_id', '=', agentId).forUpdate()
  const agent = await firstOf<AgentInstance>(db, locked)
  if (agent === null) throw new AgentsError('AGENTS_NOT_FOUND')
  if (agent.status !== 'idle' && !(agent.status === 'busy' && agent.current_task_id === null))
    throw new AgentsError('AGENTS_NOT_READY')
  return firstOf(db, claimed(agent, now))
}

export interface TaskChange {
  readonly status?: TaskStatus | undefined
  readonly output_data?: unknown
  readonly quality_score?: number | undefined
  readonly execution_time_seconds?: number | undefined
  readonly error_message?: string | undefined
  readonly retryable: boolean
  /** Who tells it; left out, whoever it is may. */
  readonly agent_id?: string | undefined
}

/** Where a failure leads: back into the queue while attempts are left, unless nobody wants it any more. */
const afterFailure = (task: Execution, { status, retryable }: TaskChange): TaskStatus | undefined => {
  if (status !== 'failed' || task.status !== 'running' || !retryable) return status
  if (task.retry_count >= task.max_retries) return 'failed'
  return task.cancel_requested ? 'cancelled' : 'retrying'
}

/** Raises AGENTS_ILLEGAL_MOVE where the task has been given to another meanwhile, or back into the queue. */
const requireIts = async (db: Db, { status, agent_instance_id: id }: Execution, agentId: string | undefined): Promise<void> => {
  if (agentId === undefined) return
  const its = tables.selectFrom('agent_instances').select('id').where('agent_id', '=', agentId).where('id', '=', id)
  if (status !== 'running' || (await firstOf(db, its)) === null)
    throw new AgentsError('AGENTS_ILLEGAL_MOVE', 'The task is not with this agent any more.')
}

/** Raises AGENTS_NOT_FOUND. Whoever has it decides alone until the transaction ends. */
const lockTask = async (db: Db, taskId: string): Promise<Execution> => {
  const locked = tables.selectFrom('agent_executions').selectAll().where('task_id', '=', taskId).forUpdate()
  const task = await firstOf<Execution>(db, locked)
  if (task === null) throw new AgentsError('AGENTS_NOT_FOUND')
  return task
}

/** Back into the queue for whoever is free, and not before its time. */
export const givenBack = (attempts: number, now: Date, backoff: Backoff) => ({
  status: 'retrying' as const,
  next_retry_at: new Date(now.getTime() + retryDelayMs(attempts, backoff)).toISOString(),
  agent_instance_id: null,
})

/** What whoever runs the task tells of it. Raises AGENTS_ILLEGAL_MOVE. */
export const changeTask = async (
  db: Db,
  taskId: string,
  change: TaskChange,
  { now, backoff }: { readonly now: Date; readonly backoff: Backoff },
): Promise<Execution> => {
  const task = await lockTask(db, taskId)
  await requireIts(db, task, change.agent_id)
  const status = afterFailure(task, change) ?? task.status
  // A task that is not changed but named again has ended as it is: told twice is told once.
  if (status === task.status && task.completed_at !== null) throw new AgentsError('AGENTS_ILLEGAL_MOVE')
  const { output_data: output, quality_score: quality, execution_time_seconds: seconds, error_message: message } = change
  const changed = tables
    .updateTable('agent_executions')
    .set({
      ...(status === 'retrying' ? givenBack(task.retry_count, now, backoff) : { status }),
      ...(output !== undefined && { output_data: json(output) }),
      ...(quality !== undefined && { quality_score: quality }),
      ...(seconds !== undefined && { execution_time_seconds: seconds }),
      ...(message !== undefined && { error_message: message }),
    })
    .where('id', '=', task.id)
    .returningAll()
  return (await firstOf<Execution>(db, changed))!
}

/**
 * Cancels at once what nobody runs; whoever runs it is asked to leave off, hears of it with the next heartbeat, and says when it has. Raises
 * AGENTS_ILLEGAL_MOVE where the task has ended.
 */
export const cancelTask = async (db: Db, taskId: string): Promise<Execution> => {
  const task = await lockTask(db, taskId)
  if (task.completed_at !== null) throw new AgentsError('AGENTS_ILLEGAL_MOVE', 'The task has ended.')
  const cancelled = tables
    .updateTable('agent_executions')
    .set({ cancel_requested: true, status: task.status === 'running' ? 'running' : 'cancelled' })
    .where('id', '=', task.id)
    .returningAll()
  return (await firstOf<Execution>(db, cancelled))!
}

/** Tasks that this agent runs and is to leave off. */
export const cancellationsOf = async (db: Db, agentInstanceId: string): Promise<readonly string[]> => {
  const asked = tables
    .selectFrom('agent_executions')
    .select('task_id')
    .where('agent_instance_id', '=', agentInstanceId)
    .where('status', '=', 'running')
    .where('cancel_requested', '=', true)
  return (await rowsOf(db, asked)).map(({ task_id }) => task_id)
}

export const queueState = async (db: Db, now: Date): Promise<QueueState> => {
  const counted = tables
    .selectFrom('agent_executions')
    .select((eb) => ['status', eb.fn.countAll<string>().as('n')])
    .where('status', 'in', [...waiting, 'running'])
    .groupBy('status')
  const waited = sql<number>`extract(epoch from ${now}::timestamptz - min(created_at))`
  const groups = tables
    .selectFrom('agent_executions')
    .select((eb) => [
      'agent_type',
      'priority',
      eb.fn.countAll<string>().as('tasks'),
      eb.cast<number>(eb.fn('greatest', [eb.lit(0), waited]), 'double precision').as('oldest_seconds'),
    ])
    .where('status', 'in', waiting)
    .groupBy(['agent_type', 'priority'])
    .orderBy('priority', 'desc')
    .orderBy((eb) => eb.cast('agent_type', 'text'))
  const byStatus = await rowsOf(db, counted)
  const waits = await rowsOf(db, groups)
  return {
    by_status: Object.fromEntries(byStatus.map(({ status, n }) => [status, Number(n)])),
    waiting: waits.map((group) => ({ ...group, tasks: Number(group.tasks) })),
  }
}
