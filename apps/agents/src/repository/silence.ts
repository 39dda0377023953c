/** Who has not been heard of for too long is offline, and what it ran goes back into the queue (three beats of 30 s are missed). */
import { type SqlBool, sql } from 'kysely'
import { resolveAlert } from 'tidemark/app'
import { type Backoff, givenBack } from './queue.js'
import type { AgentInstance, Db, Execution } from './rows.js'
import { momentBefore, rowsOf, tables } from './tables.js'

const silentAfterMs = 90_000

const heartbeatMissed = { type: 'heartbeat.missed', entityType: 'agent' } as const

const fellSilent = 'The agent that ran it fell silent.'

export interface Silenced {
  readonly agents: readonly AgentInstance[]
  readonly tasks: readonly Execution[]
}

// Tasks before agents, as everybody else takes them: a task that ends just now waits for nobody who waits for it.
const lockedTasks = (since: string) =>
  tables
    .selectFrom('agent_executions as e')
    .leftJoin('agent_instances as a', 'a.id', 'e.agent_instance_id')
    .selectAll('e')
    // Whoever ran it is offline already, by another's word, or is no more.
    .select(sql<boolean>`coalesce(a.status = 'offline', true)`.as('is_left'))
    .where('e.status', '=', 'running')
    .where((eb) => eb.or([eb('a.id', 'is', null), eb('a.status', '=', 'offline'), eb('a.last_heartbeat', '<', since)]))
    .orderBy('e.id')
    .forUpdate('e')
    .skipLocked()

const runningOf = (agentId: string) =>
  tables
    .selectFrom('agent_executions as e')
    .innerJoin('agent_instances as a', 'a.id', 'e.agent_instance_id')
    .selectAll('e')
    .where('e.status', '=', 'running')
    .where('a.agent_id', '=', agentId)
    .orderBy('e.id')
    .forUpdate('e')

/** But for those who run a task that is not among `taken`. */
const silenced = (since: string, taken: readonly string[]) =>
  tables
    .updateTable('agent_instances')
    .set({ status: 'offline', status_reason: 'no heartbeat', current_task_id: null })
    .where('id', 'in', (of) =>
      of
        .selectFrom('agent_instances as a')
        .select('a.id')
        .where('a.status', '<>', 'offline')
        .where('a.last_heartbeat', '<', since)
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('agent_executions as e')
                .select('e.id')
                .whereRef('e.agent_instance_id', '=', 'a.id')
                .where('e.status', '=', 'running')
                .where(sql<SqlBool>`e.id <> all (${taken}::uuid[])`),
            ),
          ),
        )
        .orderBy('a.id')
        .forUpdate()
        .skipLocked(),
    )
    .returningAll()

/** Those that have attempts left, each not before its time. */
const givenBackAll = (tasks: readonly Execution[], now: Date, backoff: Backoff) => {
  const times = tasks.map(({ retry_count }) => givenBack(retry_count, now, backoff).next_retry_at)
  const ids = tasks.map(({ id }) => id)
  const each = sql<{ id: string; at: string }>`unnest(${ids}::uuid[], ${times}::timestamptz[])`
  return tables
    .updateTable('agent_executions as e')
    .from(each.as<'r'>(sql`r (id, at)`))
    .set((eb) => ({ status: 'retrying', next_retry_at: eb.ref('r.at'), agent_instance_id: null, error_message: fellSilent }))
    .whereRef('e.id', '=', 'r.id')
    .returningAll('e')
}

const endedAll = (tasks: readonly Execution[], status: 'failed' | 'cancelled') =>
  tables
    .updateTable('agent_executions')
    .set({ status, error_message: fellSilent })
    .where(
      'id',
      'in',
      tasks.map(({ id }) => id),
    )
    .returningAll()

/** Told of in the transaction that gives them up, and so by whichever server it was. */
const told = (agents: readonly AgentInstance[]) => {
  const ids = agents.map(({ agent_id }) => agent_id)
  const alert = sql`public.publish_alert(${heartbeatMissed.type}, a.agent_id, ${heartbeatMissed.entityType}, ${'It sent no heartbeat and is offline.'})`
  return tables.selectFrom(sql<object>`unnest(${ids}::text[])`.as<'a'>(sql`a (agent_id)`)).select(alert.as('alert'))
}

/** Ends the alert of an agent that comes back with this version of its row. */
export const endSilence = async (
  db: Db,
  { agent_id, previous_status, version, status_version }: AgentInstance,
): Promise<void> => {
  if (previous_status === 'offline' && version === status_version)
    await resolveAlert(db, { ...heartbeatMissed, entityId: agent_id })
}

/** Of locked tasks, which nobody runs any more: again where attempts are left and somebody wants it, else over. */
const giveUp = async (db: Db, left: readonly Execution[], now: Date, backoff: Backoff): Promise<readonly Execution[]> => {
  const over = left.filter(({ retry_count, max_retries }) => retry_count >= max_retries)
  const rest = left.filter((task) => !over.includes(task))
  const unwanted = rest.filter(({ cancel_requested }) => cancel_requested)
  const again = rest.filter((task) => !unwanted.includes(task))
  const retried = again.length > 0 ? await rowsOf<Execution>(db, givenBackAll(again, now, backoff)) : []
  const failed = over.length > 0 ? await rowsOf<Execution>(db, endedAll(over, 'failed')) : []
  const cancelled = unwanted.length > 0 ? await rowsOf<Execution>(db, endedAll(unwanted, 'cancelled')) : []
  return [...retried, ...failed, ...cancelled]
}

/** What an agent runs that goes offline by its own word, or an operator's. In its transaction, before its state. */
export const giveUpTasksOf = async (db: Db, agentId: string, now: Date, backoff: Backoff): Promise<readonly Execution[]> =>
  giveUp(db, await rowsOf<Execution>(db, runningOf(agentId)), now, backoff)

/**
 * Within a transaction, in as many statements for one agent as for many. An agent whose task just ends is left for the next time. Tasks whose agent is
 * offline already, or no more, go the same way.
 */
export const silenceAgents = async (db: Db, now: Date, backoff: Backoff): Promise<Silenced> => {
  const since = momentBefore(now, silentAfterMs)
  const running = await rowsOf<Execution & { readonly is_left: boolean }>(db, lockedTasks(since))
  const taken = running.map(({ id }) => id)
  const agents = await rowsOf<AgentInstance>(db, silenced(since, taken))
  const gone = new Set(agents.map(({ id }) => id))
  const left = running.filter(({ agent_instance_id: id, is_left }) => is_left || (id !== null && gone.has(id)))
  const given = await giveUp(db, left, now, backoff)
  if (agents.length > 0) await rowsOf(db, told(agents))
  return { agents, tasks: given }
}
