/** Agents in Postgres: people, and what each may look after. */
import type { Board } from '../answers.js'
import { EngineError } from '../engine-error.js'
import { type AgentChangeInput, type NewAgentInput, parsePlace } from '../input.js'
import type { Agent, Db, Page } from '../rows.js'
import { after, agentColumns, firstOf, given, pageOf, rowsOf, selected, tables } from '../tables.js'

/** Raises ENGINE_DUPLICATE. */
export const createAgent = async (db: Db, agent: NewAgentInput): Promise<Agent> =>
  (await firstOf(db, tables.insertInto('agents').values(given(agent)).returning(agentColumns)))!

/** Null where there is none, or where it is not for whoever asks. */
export const findAgent = (db: Db, id: string): Promise<Agent | null> =>
  firstOf(db, tables.selectFrom('agents').select(agentColumns).where('id', '=', id))

/** The agent whom a token's subject names. */
export const findAgentBySubject = (db: Db, subject: string): Promise<Agent | null> =>
  firstOf(db, tables.selectFrom('agents').select(agentColumns).where('external_id', '=', subject))

/** Raises ENGINE_NOT_FOUND, ENGINE_DUPLICATE. */
export const changeAgent = async (db: Db, id: string, change: AgentChangeInput): Promise<Agent> => {
  const changed = await firstOf(db, tables.updateTable('agents').set(given(change)).where('id', '=', id).returning(agentColumns))
  if (!changed) throw new EngineError('ENGINE_NOT_FOUND')
  return changed
}

export interface AgentList {
  readonly status?: Agent['status'] | undefined
  readonly limit: number
  readonly cursor?: string | undefined
}

/** The newest first. */
export const listAgents = async (db: Db, { status, limit, cursor }: AgentList): Promise<Page<Agent>> => {
  const [time, id] = parsePlace(cursor)
  let query = tables.selectFrom('agents').select(agentColumns)
  if (status !== undefined) query = query.where('status', '=', status)
  if (time !== null) query = query.where(after(time, id))
  const rows = await rowsOf(
    db,
    query
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit + 1),
  )
  return pageOf(rows, limit, ({ created_at }) => created_at)
}

/** What an agent has at hand; null where there is no such agent. */
export const boardOf = async (db: Db, agentId: string): Promise<Board | null> => {
  const [board] = await selected<Board>(
    db,
    `select a.id as agent_id,
            coalesce((select jsonb_object_agg(s.status, s.n) from (
              select l.status, count(*) as n from public.leads l where l.assigned_agent = a.id group by l.status) s), '{}') as leads,
            coalesce((select jsonb_object_agg(s.status, s.n) from (
              select p.status, count(*) as n from public.approvals p where p.agent_id = a.id group by p.status) s), '{}') as approvals,
            greatest(0, a.max_active_leads - (select count(*) from public.leads l where l.assigned_agent = a.id
              and l.status in ('new', 'contacted', 'qualified', 'nurturing')))::int as room
       from public.agents a where a.id = $1`,
    [agentId],
  )
  return board ?? null
}
