import type { Tables } from './database.js'

export type AgentInstance = Tables<'agent_instances'>
export type AgentExecution = Tables<'agent_executions'>
export type AgentMetrics = Tables<'agent_metrics'>
export type SystemHealth = Tables<'system_health'>
