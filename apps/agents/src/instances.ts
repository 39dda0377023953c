/** Agents in Postgres. Raises {@link AgentsError} and TM_POSTGRES_*. */
import { placeOf } from 'tidemark/app'
import { AgentsError, refusing } from './agents-error.js'
import { parsePlace } from './input.js'
import { type AgentInstance, type AgentStatus, type AgentType, type Db, type JsonObject, rowOf, shown } from './rows.js'

export interface NewAgent {
  readonly agent_id: string
  readonly agent_type: AgentType
  readonly configuration: JsonObject
  readonly resource_limits: JsonObject
  readonly performance_thresholds: JsonObject
}

export interface AgentChange {
  readonly status?: AgentStatus | undefined
  readonly status_reason?: string | null | undefined
  readonly configuration?: JsonObject | undefined
  readonly resource_limits?: JsonObject | undefined
  readonly performance_thresholds?: JsonObject | undefined
}

export const createAgent = async (db: Db, agent: NewAgent, now: Date): Promise<AgentInstance> => {
  const { rows } = await refusing(
    db.query<object>(
      `insert into agent_instances (agent_id, agent_type, configuration, resource_limits, performance_thresholds, last_heartbeat)
       values ($1, $2, $3, $4, $5, $6) returning *`,
      [
        agent.agent_id,
        agent.agent_type,
        JSON.stringify(agent.configuration),
        JSON.stringify(agent.resource_limits),
        JSON.stringify(agent.performance_thresholds),
        now,
      ],
    ),
  )
  return shown<AgentInstance>(rows[0]!)
}

export const findAgent = async (db: Db, agentId: string): Promise<AgentInstance | null> =>
  rowOf((await db.query<object>('select * from agent_instances where agent_id = $1', [agentId])).rows)

/** Raises AGENTS_NOT_FOUND. */
export const requireAgent = async (db: Db, agentId: string): Promise<AgentInstance> => {
  const agent = await findAgent(db, agentId)
  if (agent === null) throw new AgentsError('AGENTS_NOT_FOUND')
  return agent
}

export const agentById = async (db: Db, id: string): Promise<AgentInstance | null> =>
  rowOf((await db.query<object>('select * from agent_instances where id = $1', [id])).rows)

export interface AgentPage {
  readonly agents: readonly AgentInstance[]
  readonly next: string | null
}

export interface AgentsQuery {
  readonly agent_type?: AgentType | undefined
  readonly status?: AgentStatus | undefined
  readonly limit: number
  readonly cursor?: string | undefined
}

/** Newest first. */
export const listAgents = async (db: Db, { agent_type, status, limit, cursor }: AgentsQuery): Promise<AgentPage> => {
  const { rows } = await db.query<object>(
    `select * from agent_instances
      where ($1::public.agent_type is null or agent_type = $1) and ($2::public.agent_status is null or status = $2)
        and ($3::timestamptz is null or (created_at, id) < ($3, $4::uuid))
      order by created_at desc, id desc limit $5`,
    [agent_type ?? null, status ?? null, ...parsePlace(cursor), limit + 1],
  )
  const agents = rows.slice(0, limit).map((row) => shown<AgentInstance>(row))
  const last = rows.length > limit ? agents.at(-1) : undefined
  return { agents, next: last ? placeOf(last.created_at, last.id) : null }
}

const jsonOrNull = (value: JsonObject | undefined): string | null => (value === undefined ? null : JSON.stringify(value))

/** Raises AGENTS_ILLEGAL_MOVE where the state does not follow from the present one. */
export const changeAgent = async (db: Db, agentId: string, change: AgentChange): Promise<AgentInstance> => {
  const { rows } = await refusing(
    db.query<object>(
      `update agent_instances
          set status = coalesce($2, status), status_reason = case when $3 then $4 else status_reason end,
              configuration = coalesce($5, configuration), resource_limits = coalesce($6, resource_limits),
              performance_thresholds = coalesce($7, performance_thresholds), last_activity = now()
        where agent_id = $1 returning *`,
      [
        agentId,
        change.status ?? null,
        change.status_reason !== undefined || change.status !== undefined,
        change.status_reason ?? null,
        jsonOrNull(change.configuration),
        jsonOrNull(change.resource_limits),
        jsonOrNull(change.performance_thresholds),
      ],
    ),
  )
  const agent = rowOf<AgentInstance>(rows)
  if (agent === null) throw new AgentsError('AGENTS_NOT_FOUND')
  return agent
}

/**
 * The agent lives. One that has just been made is ready from its first beat on; one that was given up begins anew with this beat and is ready from
 * the next one on.
 */
export const heartbeat = async (db: Db, agentId: string, now: Date): Promise<AgentInstance> => {
  const { rows } = await refusing(
    db.query<object>(
      `update agent_instances
          set last_heartbeat = greatest(last_heartbeat, $2),
              status = case status when 'initializing' then 'idle' when 'offline' then 'initializing' else status end::public.agent_status,
              status_reason = case when status in ('initializing', 'offline') then null else status_reason end
        where agent_id = $1 returning *`,
      [agentId, now],
    ),
  )
  const agent = rowOf<AgentInstance>(rows)
  if (agent === null) throw new AgentsError('AGENTS_NOT_FOUND')
  return agent
}
