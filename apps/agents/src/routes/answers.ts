/** What answers hold, as `/openapi.json` tells it. */
import type { Told } from 'tidemark/app'
import { z } from 'zod'
import { agentRow, agentTypes, executionRow, healthRow, healthStatuses, metricRow, taskPriorities } from '../repository/rows.js'

const id = z.guid()
const time = z.iso.datetime()
const count = z.int().min(0)
const seconds = z.number().min(0)
const next = z.string().nullable().describe('The cursor of the next page; null after the last.')

export const agentPage = z.strictObject({ agents: z.array(agentRow), next })
export type AgentPage = Told<typeof agentPage>
export const executionPage = z.strictObject({ executions: z.array(executionRow), next })
export type ExecutionPage = Told<typeof executionPage>
export const metricPage = z.strictObject({ metrics: z.array(metricRow), next })
export type MetricPage = Told<typeof metricPage>
export const healthPage = z.strictObject({ health: z.array(healthRow), next })
export type HealthPage = Told<typeof healthPage>

const stored = { degraded: z.boolean().describe('The second database has not got it yet; it will.') }
export const storedAgent = agentRow.extend(stored)
export const storedExecution = executionRow.extend(stored)
export const storedMetric = metricRow.extend(stored)
export const beaten = storedAgent.extend({ cancel: z.array(z.string()).describe('Tasks that it is to leave off.') })
export const claimed = storedExecution.optional()

const waitingGroup = z.strictObject({
  agent_type: z.enum(agentTypes),
  priority: z.enum(taskPriorities),
  tasks: count,
  oldest_seconds: seconds,
})
export const queue = z.strictObject({
  by_status: z.record(z.string(), count).describe('Of what has not ended.'),
  waiting: z.array(waitingGroup).describe('The most urgent first.'),
})
export type QueueState = Told<typeof queue>

export const healthSummary = z.strictObject({
  total_agents: count,
  healthy_agents: count,
  busy_agents: count,
  error_agents: count,
  success_rate: z.number().min(0).max(1).nullable().describe('From 0 to 1; null while nothing has ended.'),
})
export type HealthSummary = Told<typeof healthSummary>

export const supabaseHealth = z.strictObject({
  status: z.enum(healthStatuses).describe('degraded: it answers, but not for every table.'),
  response_time_ms: z.number().min(0),
  tables_accessible: z.record(z.string(), z.boolean()),
  realtime_enabled: z.boolean(),
})
export type SupabaseHealthBody = Told<typeof supabaseHealth>

const switchedOff = z.strictObject({ state: z.literal('disabled') })
const relayState = z.enum(['running', 'off', 'stopped']).describe('off: the target is left alone for a while.')
const lag = z.number().nullable().describe("From the commit to the target's answer, of what was sent last.")

const relayStatus = z.strictObject({
  name: z.string(),
  target: z.string(),
  state: relayState,
  durable: z.boolean(),
  breaker: z.enum(['CLOSED', 'OPEN', 'HALF_OPEN']),
  queued: count,
  sent: count,
  repeated: count.describe('Told already under the same id.'),
  dropped: count.describe('Gave way for want of room; their channels were told.'),
  refused: count.describe('The target never takes these; their channels were told.'),
  failures: count.describe('Sends that failed, and were repeated.'),
  lastError: z.string().nullable(),
  lastSentAt: time.nullable(),
  lagMs: lag,
  handlers: count,
})
export const realtimeStatus = z.union([relayStatus, switchedOff])

const secondaryStatus = z.strictObject({
  configured: z.literal(true),
  available: z.boolean(),
  backlog: count.describe('Rows that it has still to get.'),
  oldest_seconds: z.number().nullable(),
  last_error: z.string().nullable(),
})
export type SecondaryStatus = Told<typeof secondaryStatus>

/** What `/health` tells besides. */
export const health = z.strictObject({
  realtime: z.union([z.strictObject({ state: relayState, queued: count, dropped: count, lag_ms: lag }), switchedOff]),
  secondary: z.union([secondaryStatus, z.strictObject({ configured: z.literal(false) })]),
  active_alerts: count,
})

const alert = z.strictObject({
  id,
  alert_type: z.string(),
  entity_id: z.string(),
  message: z.string(),
  severity: z.string(),
  status: z.enum(['active', 'resolved']),
  timestamp: time,
  resolved_at: time.nullable(),
})
export type Alert = Told<typeof alert>
export const alertPage = z.strictObject({ alerts: z.array(alert), next })
export type AlertPage = Told<typeof alertPage>
