import type { SupabaseClient } from '@supabase/supabase-js'
import { type AgentsClient, readAgents, readExecutions, readMetrics, readSystemHealth } from './agent-reads.js'
import type { AgentExecution, AgentInstance, AgentMetrics, SystemHealth } from './agent-rows.js'
import { type Subscription, subscribeToTable, type TableUpdate } from './subscribe-to-table.js'

let client: AgentsClient | undefined

const known = (): AgentsClient => {
  if (!client)
    throw new Error('AgentSupabaseService has no client: call AgentSupabaseService.use(createTidemark(url, key)) first')
  return client
}

const supabaseOf = (): SupabaseClient => known().supabase as unknown as SupabaseClient

/** The agents of apps/agents, for whoever needs no hooks. Everything raises Error with what the server says. */
// biome-ignore lint/complexity/noStaticOnlyClass: it is documented as a class of static methods
export class AgentSupabaseService {
  /** Which server is meant. Once, before everything else. */
  // biome-ignore lint/suspicious/noExplicitAny: of whatever database
  static use(tidemark: AgentsClient | { readonly supabase: SupabaseClient<any, any, any>; readonly url: string }): void {
    client = tidemark as AgentsClient
  }

  static async getAgentInstances(): Promise<AgentInstance[]> {
    return readAgents(known())
  }

  /** `agentId`: an `agent_id`; of one that nobody knows there are none. Default `limit`: 100. */
  static async getAgentExecutions(agentId?: string, limit?: number): Promise<AgentExecution[]> {
    return readExecutions(known(), agentId, limit)
  }

  /** Default `hours`: 24. */
  static async getAgentMetrics(agentId?: string, hours?: number): Promise<AgentMetrics[]> {
    return readMetrics(known(), agentId, hours)
  }

  /** Default `hours`: 24. */
  static async getSystemHealth(hours?: number): Promise<SystemHealth[]> {
    return readSystemHealth(known(), hours)
  }

  /** Each change of an agent, once. */
  static subscribeToAgentUpdates(callback: (payload: TableUpdate<AgentInstance>) => void): Subscription {
    return subscribeToTable(supabaseOf(), 'agent_instances', callback)
  }

  static subscribeToSystemHealth(callback: (payload: TableUpdate<SystemHealth>) => void): Subscription {
    return subscribeToTable(supabaseOf(), 'system_health', callback)
  }
}
