/** What workers, scripts and the routes do with agents, under the documented names (R98). Each write tells frontends of it, and the audit of who. */
import type { z } from 'zod'
import type { Caller } from './access.js'
import { AgentsError } from './agents-error.js'
import { eventsOf } from './repository/events.js'
import { createTask, findTask, listTasks, type NewTask } from './repository/executions.js'
import { listHealth, type Measured, storeHealth } from './repository/health.js'
import { agentById, changeAgent, createAgent, findAgent, listAgents, requireAgent } from './repository/instances.js'
import { listMetrics, storeMetric } from './repository/metrics.js'
import { type Backoff, changeTask } from './repository/queue.js'
import type { AgentInstance, Db, Execution, Metric, SystemHealth } from './repository/rows.js'
import { endSilence, giveUpTasksOf } from './repository/silence.js'
import type { SupabaseHealthBody } from './routes/answers.js'
import { agentChange, newAgent, newMetric, newTask, parse, taskChange } from './routes/input.js'
import type { Announce, Asking, Writes } from './second-database/writes.js'
import type { SupabaseHealth } from './supabase-health.js'

export interface SupabaseServiceOptions {
  readonly db: Db
  readonly writes: Writes
  readonly clock: { now(): number }
  readonly backoff: Backoff
  readonly health: SupabaseHealth
}

/** `degraded`: the second database has not got it yet; it will. */
export type Stored<T> = T & { readonly degraded: boolean }

/** The service sees everybody's tasks. */
const service: Caller = { role: 'service_role', userId: null, isAdmin: false }

const pageSize = 500
/** As many as the routes give at most. */
const mostRows = 5000

/** The task, and the agent whose state went with it. */
const announceTask = async (tx: Db, announce: Announce, task: Execution, agentId: string | null): Promise<void> => {
  await announce(eventsOf.task(task))
  const agent = agentId === null ? null : await agentById(tx, agentId)
  if (agent) await announce(eventsOf.agent(agent))
}

/** Input is held against the schemas of the routes. Raises {@link AgentsError} and TM_POSTGRES_*. */
export class SupabaseService {
  readonly #options: SupabaseServiceOptions

  constructor(options: SupabaseServiceOptions) {
    this.#options = options
  }

  #now(): Date {
    return new Date(this.#options.clock.now())
  }

  async #store<T extends object>(fn: (tx: Db, announce: Announce) => Promise<T>, by?: Asking): Promise<Stored<T>> {
    const { result, degraded } = await this.#options.writes.write(fn, by)
    return { ...result, degraded }
  }

  async createAgentInstance(agentData: z.input<typeof newAgent>, by?: Asking): Promise<Stored<AgentInstance>> {
    const agent = parse(newAgent, agentData)
    return this.#store(async (tx, announce) => {
      const made = await createAgent(tx, agent, this.#now())
      await announce(eventsOf.agent(made))
      return made
    }, by)
  }

  async updateAgentInstance(agentId: string, updates: z.input<typeof agentChange>, by?: Asking): Promise<Stored<AgentInstance>> {
    const change = parse(agentChange, updates)
    return this.#store(async (tx, announce) => {
      const left = change.status === 'offline' ? await giveUpTasksOf(tx, agentId, this.#now(), this.#options.backoff) : []
      const changed = await changeAgent(tx, agentId, change)
      if (change.status !== undefined) await endSilence(tx, changed)
      await announce([...left.flatMap(eventsOf.task), ...eventsOf.agent(changed)])
      return changed
    }, by)
  }

  getAgentInstance(agentId: string): Promise<AgentInstance | null> {
    return findAgent(this.#options.db, agentId)
  }

  /** Newest first, however many there are. */
  async getAllAgentInstances(): Promise<readonly AgentInstance[]> {
    const all: AgentInstance[] = []
    let cursor: string | undefined
    do {
      const page = await listAgents(this.#options.db, { limit: pageSize, cursor })
      all.push(...page.agents)
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
    return all
  }

  async createTaskExecution(taskData: z.input<typeof newTask>, by?: Asking): Promise<Stored<Execution>> {
    const { input, input_data, user_id, ...task } = parse(newTask, taskData)
    return this.queueTask(async () => ({ ...task, input_data: input_data ?? input ?? {}, user_id: user_id ?? null }), by)
  }

  /** A task that is found out in the transaction that queues it. */
  queueTask(make: (tx: Db) => Promise<NewTask>, by?: Asking): Promise<Stored<Execution>> {
    return this.#store(async (tx, announce) => {
      const task = await createTask(tx, await make(tx))
      await announce(eventsOf.task(task))
      return task
    }, by)
  }

  async updateTaskExecution(taskId: string, updates: z.input<typeof taskChange>, by?: Asking): Promise<Stored<Execution>> {
    const change = parse(taskChange, updates)
    return this.#store(async (tx, announce) => {
      const before = await findTask(tx, taskId, service)
      const task = await changeTask(tx, taskId, change, { now: this.#now(), backoff: this.#options.backoff })
      await announceTask(tx, announce, task, before.status === 'running' ? before.agent_instance_id : null)
      return task
    }, by)
  }

  async getTaskExecution(taskId: string): Promise<Execution | null> {
    try {
      return await findTask(this.#options.db, taskId, service)
    } catch (error) {
      if (error instanceof AgentsError && error.code === 'AGENTS_NOT_FOUND') return null
      throw error
    }
  }

  /** Newest first; of an agent that nobody knows none. */
  async getAgentTaskHistory(agentId: string, limit = 100): Promise<readonly Execution[]> {
    return (await listTasks(this.#options.db, { agent_id: agentId, limit }, service)).executions
  }

  async storeAgentMetrics(metricsData: z.input<typeof newMetric>, by?: Asking): Promise<Stored<Metric>> {
    const { agent_id, ...metric } = parse(newMetric, metricsData)
    return this.#store(async (tx, announce) => {
      const stored = await storeMetric(tx, await requireAgent(tx, agent_id), metric)
      await announce(eventsOf.metric(stored))
      return stored
    }, by)
  }

  async getAgentMetrics(agentId: string, hours = 24): Promise<readonly Metric[]> {
    return (await listMetrics(this.#options.db, { agent_id: agentId, hours, limit: mostRows }, this.#now())).metrics
  }

  /** Counts agents and tasks as they are now, beside what was measured. */
  async storeSystemHealth(measured: Measured): Promise<Stored<SystemHealth>> {
    return this.#store(async (tx, announce) => {
      const stored = await storeHealth(tx, this.#now(), measured)
      await announce(eventsOf.health(stored))
      return stored
    })
  }

  async getSystemHealth(hours = 24): Promise<readonly SystemHealth[]> {
    return (await listHealth(this.#options.db, { hours, limit: mostRows }, this.#now())).health
  }

  async healthCheck(): Promise<SupabaseHealthBody> {
    return (await this.#options.health()).body
  }

  async isAvailable(): Promise<boolean> {
    return (await this.healthCheck()).status !== 'unhealthy'
  }
}
