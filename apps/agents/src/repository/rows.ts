/** Rows as the API shows them, under the documented names, times as ISO text. */
import type { Client } from 'tidemark'
import type { Told } from 'tidemark/app'
import { z } from 'zod'

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
export const healthStatuses = ['healthy', 'degraded', 'unhealthy'] as const

export type AgentType = (typeof agentTypes)[number]
export type AgentStatus = (typeof agentStatuses)[number]
export type TaskStatus = (typeof taskStatuses)[number]
export type TaskPriority = (typeof taskPriorities)[number]
export type JsonObject = { readonly [name: string]: unknown }

const id = z.guid()
const time = z.iso.datetime()
const text = z.string().nullable()
const count = z.int().min(0)
const fraction = z.number().min(0).max(1)
const amount = z.number().min(0)
const object = z.record(z.string(), z.unknown())
const version = z.int().describe('Goes up with every change.')

export const agentRow = z.strictObject({
  id,
  agent_id: z.string(),
  agent_type: z.enum(agentTypes),
  status: z.enum(agentStatuses),
  previous_status: z.enum(agentStatuses).nullable(),
  status_version: z.int().describe('The version at which the state changed.'),
  status_reason: text,
  configuration: object,
  resource_limits: object,
  performance_thresholds: object,
  current_task_id: text,
  last_activity: time,
  last_heartbeat: time,
  total_tasks_completed: count,
  total_tasks_failed: count,
  version: z.int().describe('Goes up with every change but a heartbeat.'),
  created_at: time,
  updated_at: time,
})
export type AgentInstance = Told<typeof agentRow>

export const executionRow = z.strictObject({
  id,
  task_id: z.string(),
  agent_instance_id: id.nullable().describe('Whom it is given to, or who has it.'),
  agent_type: z.enum(agentTypes),
  task_type: z.string(),
  priority: z.enum(taskPriorities),
  input_data: z.unknown(),
  output_data: z.unknown(),
  status: z.enum(taskStatuses),
  previous_status: z.enum(taskStatuses).nullable(),
  status_version: z.int().describe('The version at which the state changed.'),
  error_message: text,
  quality_score: fraction.nullable(),
  execution_time_seconds: amount.nullable(),
  retry_count: count,
  max_retries: count,
  next_retry_at: time.nullable(),
  cancel_requested: z.boolean().describe('Whoever runs it is asked to leave off.'),
  version,
  created_at: time,
  started_at: time.nullable(),
  completed_at: time.nullable(),
  updated_at: time,
  user_id: id.nullable(),
  session_id: text,
})
export type Execution = Told<typeof executionRow>

export const metricRow = z.strictObject({
  id,
  agent_instance_id: id.nullable(),
  agent_type: z.enum(agentTypes),
  period_start: time,
  period_end: time,
  tasks_completed: count,
  tasks_failed: count,
  success_rate: fraction,
  average_execution_time: amount.describe('Seconds.'),
  average_quality_score: fraction,
  version,
  created_at: time,
})
export type Metric = Told<typeof metricRow>

export const healthRow = z.strictObject({
  id,
  timestamp: time,
  component: z.string(),
  status: z.enum(healthStatuses),
  period_minutes: count,
  total_agents: count,
  active_agents: count,
  idle_agents: count,
  busy_agents: count,
  error_agents: count,
  total_tasks: count,
  completed_tasks: count,
  failed_tasks: count,
  queued_tasks: count,
  running_tasks: count,
  success_rate: fraction,
  error_rate: fraction,
  response_time_ms: z.number().nullable(),
  p95_response_time_ms: z.number().nullable(),
  realtime_lag_ms: z.number().nullable(),
  pool_utilisation: fraction.nullable(),
  cache_hit_rate: fraction.nullable(),
  active_alerts: count,
  details: object,
})
export type SystemHealth = Told<typeof healthRow>

/** Times come as Date, everything else as it is. */
export const shown = <T>(row: object): T =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value instanceof Date ? value.toISOString() : value])) as T
