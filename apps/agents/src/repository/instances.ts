/** Agents in Postgres. Raises {@link AgentsError} and TM_POSTGRES_*. */
import { sql } from 'kysely'
import { placeOf } from 'tidemark/app'
import { AgentsError } from '../agents-error.js'
import type { AgentPage } from '../routes/answers.js'
import { parsePlace } from '../routes/input.js'
import type { AgentInstance, AgentStatus, AgentType, Db, JsonObject } from './rows.js'
import { after, firstOf, json, rowsOf, tables } from './tables.js'

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
  const values = {
    agent_id: agent.agent_id,
    agent_type: agent.agent_type,
    configuration: json(agent.configuration),
    resource_limits: json(agent.resource_limits),
    performance_thresholds: json(agent.performance_thresholds),
    last_heartbeat: now.toISOString(),
  }
  return (await firstOf<AgentInstance>(db, tables.insertInto('agent_instances').values(values).returningAll()))!
}

export const findAgent = (db: Db, agentId: string): Promise<AgentInstance | null> =>
  firstOf(db, tables.selectFrom('agent_instances').selectAll().where('agent_id', '=', agentId))

/** Raises AGENTS_NOT_FOUND. */
export const requireAgent = async (db: Db, agentId: string): Promise<AgentInstance> => {
  const agent = await findAgent(db, agentId)
  if (agent === null) throw new AgentsError('AGENTS_NOT_FOUND')
  return agent
}

export const agentById = (db: Db, id: string): Promise<AgentInstance | null> =>
  firstOf(db, tables.selectFrom('agent_instances').selectAll().where('id', '=', id))

/** Those of some that are not given up. */
export const heardOf = async (db: Db, agentIds: readonly string[]): Promise<readonly string[]> => {
  const back = tables
    .selectFrom('agent_instances')
    .select('agent_id')
    .where('agent_id', 'in', agentIds)
    .where('status', '<>', 'offline')
  return (await rowsOf(db, back)).map(({ agent_id }) => agent_id)
}

export interface AgentsQuery {
  readonly agent_type?: AgentType | undefined
  readonly status?: AgentStatus | undefined
  readonly limit: number
  readonly cursor?: string | undefined
}

/** Newest first. */
export const listAgents = async (db: Db, { agent_type, status, limit, cursor }: AgentsQuery): Promise<AgentPage> => {
  const [time, id] = parsePlace(cursor)
  const newest = tables
    .selectFrom('agent_instances')
    .selectAll()
    .$if(agent_type !== undefined, (query) => query.where('agent_type', '=', agent_type!))
    .$if(status !== undefined, (query) => query.where('status', '=', status!))
    .$if(time !== null, (query) => query.where(after(time!, id!)))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
  const rows = await rowsOf<AgentInstance>(db, newest)
  const agents = rows.slice(0, limit)
  const last = rows.length > limit ? agents.at(-1) : undefined
  return { agents, next: last ? placeOf(last.created_at, last.id) : null }
}

/** Raises AGENTS_ILLEGAL_MOVE where the state does not follow from the present one. */
export const changeAgent = async (db: Db, agentId: string, change: AgentChange): Promise<AgentInstance> => {
  const { status, status_reason: reason, configuration, resource_limits: limits, performance_thresholds: thresholds } = change
  const changed = tables
    .updateTable('agent_instances')
    .set({
      ...(status !== undefined && { status }),
      // That of the state before says nothing of the next one.
      ...((reason !== undefined || status !== undefined) && { status_reason: reason ?? null }),
      ...(configuration !== undefined && { configuration: json(configuration) }),
      ...(limits !== undefined && { resource_limits: json(limits) }),
      ...(thresholds !== undefined && { performance_thresholds: json(thresholds) }),
      last_activity: sql<string>`now()`,
    })
    .where('agent_id', '=', agentId)
    .returningAll()
  const agent = await firstOf<AgentInstance>(db, changed)
  if (agent === null) throw new AgentsError('AGENTS_NOT_FOUND')
  return agent
}

/**
 * The agent lives. One that has just been made is ready from its first beat on; one that was given up begins anew with this beat and is ready from
 * the next one on.
 */
export const heartbeat = async (db: Db, agentId: string, now: Date): Promise<AgentInstance> => {
  const beaten = tables
    .updateTable('agent_instances')
    .set({
      last_heartbeat: sql<string>`greatest(last_heartbeat, ${now})`,
      status: sql<AgentStatus>`case status when 'initializing' then 'idle' when 'offline' then 'initializing' else status end::public.agent_status`,
      status_reason: sql<string | null>`case when status in ('initializing', 'offline') then null else status_reason end`,
    })
    .where('agent_id', '=', agentId)
    .returningAll()
  const agent = await firstOf<AgentInstance>(db, beaten)
  if (agent === null) throw new AgentsError('AGENTS_NOT_FOUND')
  return agent
}
