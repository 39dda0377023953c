import type { Tidemark } from '../tidemark.js'
import type { AgentExecution, AgentInstance, AgentMetrics, SystemHealth } from './agent-rows.js'
import type { Database } from './database.js'

/** Whatever types the application gave its client: these tables are those of the agents. */
export type AgentsClient = Pick<Tidemark<Database>, 'supabase' | 'live' | 'url'>

interface Answer<T> {
  readonly data: readonly T[] | null
  readonly error: { readonly message: string } | null
}

const rowsOf = async <T>(asked: PromiseLike<Answer<T>>): Promise<T[]> => {
  const { data, error } = await asked
  if (error) throw new Error(error.message, { cause: error })
  return [...(data ?? [])]
}

const hoursAgo = (hours: number): string => new Date(Date.now() - hours * 3_600_000).toISOString()

type OfAgent<T> = T & { agent_instances?: unknown }

/** Only rows of this agent: of one that nobody knows there are none (C66). */
const ofAgent = '*, agent_instances!inner(agent_id)'

const bare = <T>(rows: readonly OfAgent<T>[]): T[] => rows.map(({ agent_instances: _agent, ...row }) => row as unknown as T)

/** Newest first. Raises Error with what the server says. */
export const readAgents = ({ supabase }: AgentsClient): Promise<AgentInstance[]> =>
  rowsOf<AgentInstance>(supabase.from('agent_instances').select('*').order('created_at', { ascending: false }).order('id'))

/** Newest first; of one agent, where its `agent_id` is given. */
export const readExecutions = async ({ supabase }: AgentsClient, agentId?: string, limit = 100): Promise<AgentExecution[]> => {
  const from = supabase.from('agent_executions')
  const asked = agentId === undefined ? from.select('*') : from.select(ofAgent).eq('agent_instances.agent_id', agentId)
  const newest = asked.order('created_at', { ascending: false }).order('id').limit(limit)
  return bare(await rowsOf(newest as unknown as PromiseLike<Answer<OfAgent<AgentExecution>>>))
}

/** Windows that end within the last hours, newest first. */
export const readMetrics = async ({ supabase }: AgentsClient, agentId?: string, hours = 24): Promise<AgentMetrics[]> => {
  const from = supabase.from('agent_metrics')
  const asked = agentId === undefined ? from.select('*') : from.select(ofAgent).eq('agent_instances.agent_id', agentId)
  const newest = asked.gt('period_end', hoursAgo(hours)).order('period_start', { ascending: false }).order('id')
  return bare(await rowsOf(newest as unknown as PromiseLike<Answer<OfAgent<AgentMetrics>>>))
}

/** Rows of the last hours, newest first. */
export const readSystemHealth = ({ supabase }: AgentsClient, hours = 24): Promise<SystemHealth[]> =>
  rowsOf<SystemHealth>(
    supabase
      .from('system_health')
      .select('*')
      .gt('timestamp', hoursAgo(hours))
      .order('timestamp', { ascending: false }) as unknown as PromiseLike<Answer<SystemHealth>>,
  )
