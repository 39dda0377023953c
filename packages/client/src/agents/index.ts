/** The agents of apps/agents as a frontend sees them. */
export type { AgentExecution, AgentInstance, AgentMetrics, SystemHealth } from './agent-rows.js'
export { AgentSupabaseService } from './agent-supabase-service.js'
export type { Database as AgentsDatabase } from './database.js'
export type { Subscription, TableUpdate } from './subscribe-to-table.js'
