/**
 * What frontends are told, on which channels. The same message is made of the same row, whether the write itself tells it or the feed: its name is
 * made of the row and its version, so that it is shown once (C60). Channels are open to whoever holds the app's key: nothing in a message is
 * private, no input, no output, no user.
 */
import type { RelayChange, RelayMessage, RelayRule } from 'tidemark'
import type { AgentInstance, Execution, Metric, SystemHealth, TaskStatus } from './rows.js'

export const channels = { status: 'status', tasks: 'tasks', metrics: 'metrics', health: 'health' } as const

/** What of a row is told. */
const agentFields = [
  'agent_id',
  'agent_type',
  'status',
  'previous_status',
  'status_reason',
  'current_task_id',
  'version',
] as const
const taskFields = [
  'task_id',
  'agent_instance_id',
  'agent_type',
  'task_type',
  'priority',
  'status',
  'previous_status',
  'quality_score',
  'execution_time_seconds',
  'retry_count',
  'max_retries',
  'version',
] as const
const metricFields = [
  'id',
  'agent_instance_id',
  'agent_type',
  'period_start',
  'period_end',
  'tasks_completed',
  'tasks_failed',
  'success_rate',
  'average_execution_time',
  'average_quality_score',
  'version',
] as const
const healthFields = [
  'timestamp',
  'status',
  'period_minutes',
  'total_agents',
  'active_agents',
  'idle_agents',
  'busy_agents',
  'error_agents',
  'queued_tasks',
  'running_tasks',
  'success_rate',
  'error_rate',
] as const

type Row = { readonly [column: string]: unknown }

/** Times as ISO text of one form, wherever they come from. */
const toldValue = (value: unknown): string | number | boolean | null => {
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(value)) return new Date(value).toISOString()
  return value === undefined ? null : (value as string | number | boolean | null)
}

const pick = (row: Row, fields: readonly string[]): RelayMessage['data'] =>
  Object.fromEntries(fields.map((field) => [field, toldValue(row[field])]))

const taskEvents: Readonly<Record<TaskStatus, string>> = {
  pending: 'task_updated',
  queued: 'task_updated',
  running: 'task_started',
  completed: 'task_completed',
  failed: 'task_failed',
  cancelled: 'task_updated',
  retrying: 'task_updated',
}

/** A state that came with this version; none where something else changed. */
const movedNow = (row: Row): boolean => row['version'] === row['status_version']

const agentMessages = (row: Row): readonly RelayMessage[] => {
  if (!movedNow(row)) return []
  const event = row['version'] === 1 ? 'agent_registered' : 'status_changed'
  return [{ channel: channels.status, event, data: pick(row, agentFields), id: `agent-${row['id']}-${row['version']}` }]
}

const taskMessages = (row: Row): readonly RelayMessage[] => {
  const message = (event: string): RelayMessage => ({
    channel: channels.tasks,
    event,
    data: pick(row, taskFields),
    id: `task-${row['id']}-${row['version']}`,
  })
  if (row['version'] === 1) {
    const isGiven = row['agent_instance_id'] !== null && row['agent_instance_id'] !== undefined
    return isGiven ? [message('task_created'), message('task_assigned')] : [message('task_created')]
  }
  return [message(movedNow(row) ? taskEvents[row['status'] as TaskStatus] : 'task_updated')]
}

const metricMessages = (row: Row): readonly RelayMessage[] => [
  {
    channel: channels.metrics,
    event: 'metrics_updated',
    data: pick(row, metricFields),
    id: `metric-${row['id']}-${row['version']}`,
  },
]

const healthMessages = (row: Row): readonly RelayMessage[] => [
  { channel: channels.health, event: 'health_updated', data: pick(row, healthFields), id: `health-${row['id']}` },
]

/** What the writes themselves tell. */
export const eventsOf = {
  agent: (row: AgentInstance): readonly RelayMessage[] => agentMessages({ ...row }),
  task: (row: Execution): readonly RelayMessage[] => taskMessages({ ...row }),
  metric: (row: Metric): readonly RelayMessage[] => metricMessages({ ...row }),
  health: (row: SystemHealth): readonly RelayMessage[] => healthMessages({ ...row }),
} as const

/** One rule for each message that a table can make; `place` tells the first from the second. */
const rulesFor = (table: string, channel: string, make: (row: Row) => readonly RelayMessage[], most = 1): readonly RelayRule[] =>
  Array.from({ length: most }, (_, place): RelayRule => {
    const of = ({ record }: RelayChange): RelayMessage | undefined => make(record ?? {})[place]
    return {
      table: `public.${table}`,
      events: ['INSERT', 'UPDATE'],
      channel,
      when: (change) => of(change) !== undefined,
      event: (change) => of(change)!.event,
      data: (change) => of(change)!.data,
      id: (change) => of(change)!.id,
    }
  })

/** What the feed tells: also what somebody writes past this server. */
export const relayRules: readonly RelayRule[] = [
  ...rulesFor('agent_instances', channels.status, agentMessages),
  ...rulesFor('agent_executions', channels.tasks, taskMessages, 2),
  ...rulesFor('agent_metrics', channels.metrics, metricMessages),
  ...rulesFor('system_health', channels.health, healthMessages),
]
