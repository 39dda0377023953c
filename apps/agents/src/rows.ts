/** Rows as the API shows them, under the documented names, times as ISO text. */
import type { Client } from 'tidemark'

/** What statements are run on: a connection, a transaction or a pool. */
export type Db = Pick<Client, 'query'>

export const agentTypes = [
  'content_generator',
  'quiz_generator',
  'terrain_generator',
  'script_generator',
  'code_reviewer',
  'roblox_asset',
  'roblox_testing',
  'roblox_analytics',
] as const
export const agentStatuses = ['initializing', 'idle', 'busy', 'processing', 'waiting', 'error', 'offline', 'maintenance'] as const
export const taskStatuses = ['pending', 'queued', 'running', 'completed', 'failed', 'cancelled', 'retrying'] as const
export const taskPriorities = ['low', 'normal', 'high', 'urgent', 'critical'] as const

export type AgentType = (typeof agentTypes)[number]
export type AgentStatus = (typeof agentStatuses)[number]
export type TaskStatus = (typeof taskStatuses)[number]
export type TaskPriority = (typeof taskPriorities)[number]
export type JsonObject = { readonly [name: string]: unknown }

export interface AgentInstance {
  readonly id: string
  readonly agent_id: string
  readonly agent_type: AgentType
  readonly status: AgentStatus
  readonly previous_status: AgentStatus | null
  readonly status_version: number
  readonly status_reason: string | null
  readonly configuration: JsonObject
  readonly resource_limits: JsonObject
  readonly performance_thresholds: JsonObject
  readonly current_task_id: string | null
  readonly last_activity: string
  readonly last_heartbeat: string
  readonly total_tasks_completed: number
  readonly total_tasks_failed: number
  readonly version: number
  readonly created_at: string
  readonly updated_at: string
}

export interface Execution {
  readonly id: string
  readonly task_id: string
  readonly agent_instance_id: string | null
  readonly agent_type: AgentType
  readonly task_type: string
  readonly priority: TaskPriority
  readonly input_data: unknown
  readonly output_data: unknown
  readonly status: TaskStatus
  readonly previous_status: TaskStatus | null
  readonly status_version: number
  readonly error_message: string | null
  readonly quality_score: number | null
  readonly execution_time_seconds: number | null
  readonly retry_count: number
  readonly max_retries: number
  readonly next_retry_at: string | null
  readonly cancel_requested: boolean
  readonly version: number
  readonly created_at: string
  readonly started_at: string | null
  readonly completed_at: string | null
  readonly updated_at: string
  readonly user_id: string | null
  readonly session_id: string | null
}

export interface Metric {
  readonly id: string
  readonly agent_instance_id: string | null
  readonly agent_type: AgentType
  readonly period_start: string
  readonly period_end: string
  readonly tasks_completed: number
  readonly tasks_failed: number
  /** From 0 to 1, as `average_quality_score`. */
  readonly success_rate: number
  /** Seconds. */
  readonly average_execution_time: number
  readonly average_quality_score: number
  readonly version: number
  readonly created_at: string
}

export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy'

export interface SystemHealth {
  readonly id: string
  readonly timestamp: string
  readonly component: string
  readonly status: HealthStatus
  readonly period_minutes: number
  readonly total_agents: number
  readonly active_agents: number
  readonly idle_agents: number
  readonly busy_agents: number
  readonly error_agents: number
  readonly total_tasks: number
  readonly completed_tasks: number
  readonly failed_tasks: number
  readonly queued_tasks: number
  readonly running_tasks: number
  /** From 0 to 1, as `error_rate`. */
  readonly success_rate: number
  readonly error_rate: number
  readonly response_time_ms: number | null
  readonly p95_response_time_ms: number | null
  readonly realtime_lag_ms: number | null
  /** From 0 to 1, as `cache_hit_rate`. */
  readonly pool_utilisation: number | null
  readonly cache_hit_rate: number | null
  readonly active_alerts: number
  readonly details: JsonObject
}

/** Times come as Date, everything else as it is. */
export const shown = <T>(row: object): T =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value instanceof Date ? value.toISOString() : value])) as T
