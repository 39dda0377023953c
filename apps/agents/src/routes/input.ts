/** What requests may hold. */
import { createInput } from 'tidemark/app'
import { z } from 'zod'
import { AgentsError } from '../agents-error.js'
import { agentStatuses, agentTypes, taskPriorities, taskStatuses } from '../repository/rows.js'

const object = z.record(z.string(), z.unknown())
const name = z.string().min(1).max(128)

export const newAgent = z.strictObject({
  agent_id: name,
  agent_type: z.enum(agentTypes),
  configuration: object.default({}),
  resource_limits: object.default({}),
  performance_thresholds: object.default({}),
})

export const agentChange = z
  .strictObject({
    status: z.enum(agentStatuses).optional(),
    status_reason: z.string().max(1000).nullable().optional(),
    configuration: object.optional(),
    resource_limits: object.optional(),
    performance_thresholds: object.optional(),
  })
  .refine((change) => Object.keys(change).length > 0, 'give something to change')

const newTaskFields = {
  task_id: name.optional(),
  task_type: name,
  /** `input_data` is the column's name, `input` the shorter one of the documented call. */
  input: object.optional(),
  input_data: object.optional(),
  priority: z.enum(taskPriorities).default('normal'),
  max_retries: z.number().int().min(0).max(100).default(3),
  session_id: z.string().max(256).optional(),
  user_id: z.uuid().optional(),
}

export const newTask = z.strictObject({ ...newTaskFields, agent_type: z.enum(agentTypes) })
export const newTaskOfAgent = z.strictObject(newTaskFields)

export const taskChange = z
  .strictObject({
    status: z.enum(taskStatuses).optional(),
    output_data: z.unknown().optional(),
    quality_score: z.number().min(0).max(1).optional(),
    execution_time_seconds: z.number().min(0).optional(),
    error_message: z.string().max(4000).optional(),
    /** Of a failure: whether another attempt may help. */
    retryable: z.boolean().default(true),
    /** Who tells it: refused where the task is not with that agent any more. */
    agent_id: name.optional(),
  })
  .refine(({ retryable: _, agent_id: _agent, ...change }) => Object.keys(change).length > 0, 'give something to change')

export const newMetric = z.strictObject({
  agent_id: name,
  period_start: z.iso.datetime({ offset: true }),
  period_end: z.iso.datetime({ offset: true }),
  tasks_completed: z.number().int().min(0).default(0),
  tasks_failed: z.number().int().min(0).default(0),
  success_rate: z.number().min(0).max(1).optional(),
  average_execution_time: z.number().min(0).default(0),
  average_quality_score: z.number().min(0).max(1).default(0),
})

const limit = z.coerce.number().int().min(1).max(500).default(100)
const cursor = z.string().max(300).optional()
/** A year of hours at most. */
const hours = z.coerce.number().positive().max(8784).default(24)

export const agentsQuery = z.strictObject({
  agent_type: z.enum(agentTypes).optional(),
  status: z.enum(agentStatuses).optional(),
  limit,
  cursor,
})
export const executionsQuery = z.strictObject({
  agent_id: z.string().max(128).optional(),
  status: z.enum(taskStatuses).optional(),
  limit,
  cursor,
})
export const hoursQuery = z.strictObject({ hours, limit: z.coerce.number().int().min(1).max(5000).default(1000), cursor })
export const metricsQuery = z.strictObject({
  agent_id: z.string().max(128).optional(),
  hours,
  limit: z.coerce.number().int().min(1).max(5000).default(1000),
  cursor,
})
export const alertsQuery = z.strictObject({ status: z.enum(['active', 'resolved']).optional(), limit, cursor })
/** A heartbeat says nothing but that it is one. */
export const beat = z.strictObject({}).default({})

export const { parse, parsePlace } = createInput(AgentsError)
