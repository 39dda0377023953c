/** Who has not been heard of for too long is offline, and what it ran goes back into the queue (three beats of 30 s are missed). */
import { type Backoff, retryDelayMs } from './queue.js'
import { type AgentInstance, type Db, type Execution, shown } from './rows.js'

export const silentAfterMs = 90_000

export interface Silenced {
  readonly agents: readonly AgentInstance[]
  readonly tasks: readonly Execution[]
}

// Tasks before agents, as everybody else takes them: a task that ends just now waits for nobody who waits for it.
const lockTasksSql = `
  select e.* from agent_executions e join agent_instances a on a.id = e.agent_instance_id
   where e.status = 'running' and a.status <> 'offline' and a.last_heartbeat < $1
   order by e.id for update of e skip locked`

const silenceSql = `
  update agent_instances set status = 'offline', status_reason = 'no heartbeat', current_task_id = null
   where id in (select a.id from agent_instances a
                 where a.status <> 'offline' and a.last_heartbeat < $1
                   and not exists (select from agent_executions e
                                    where e.agent_instance_id = a.id and e.status = 'running' and e.id <> all ($2::uuid[]))
                 order by a.id for update skip locked)
  returning *`

const giveBackSql = `
  update agent_executions
     set status = case when retry_count < max_retries then 'retrying' else 'failed' end::public.task_status,
         error_message = 'The agent that ran it fell silent.', next_retry_at = $2,
         agent_instance_id = case when retry_count < max_retries then null else agent_instance_id end
   where id = $1 returning *`

/** Within a transaction. An agent whose task just ends is left for the next time. */
export const silenceAgents = async (db: Db, now: Date, backoff: Backoff): Promise<Silenced> => {
  const since = new Date(now.getTime() - silentAfterMs)
  const running = (await db.query<object>(lockTasksSql, [since])).rows.map((row) => shown<Execution>(row))
  const silent = (await db.query<object>(silenceSql, [since, running.map(({ id }) => id)])).rows.map((row) =>
    shown<AgentInstance>(row),
  )
  const gone = new Set(silent.map(({ id }) => id))
  const tasks: Execution[] = []
  for (const { id, agent_instance_id, retry_count } of running) {
    if (agent_instance_id === null || !gone.has(agent_instance_id)) continue
    const retryAt = new Date(now.getTime() + retryDelayMs(retry_count, backoff))
    const { rows } = await db.query<object>(giveBackSql, [id, retryAt])
    tasks.push(...rows.map((row) => shown<Execution>(row)))
  }
  return { agents: silent, tasks }
}
