/** Some weeks of agents as rows: who they are, what was asked of them and what came of it. The same numbers make the same rows. */
import type { Random } from 'tidemark/testing'
import { type Town, topics, towns } from './classrooms.js'
import { windowOf } from './repository/metrics.js'
import { type AgentInstance, type AgentType, agentTypes, type Execution, type Metric, taskPriorities } from './repository/rows.js'

type Agent = Omit<AgentInstance, 'previous_status' | 'status_version' | 'version' | 'updated_at'>
type Task = Omit<Execution, 'previous_status' | 'status_version' | 'cancel_requested' | 'version' | 'updated_at'>
type Window = Omit<Metric, 'version' | 'created_at'>

/** What is wrong on purpose: counted, so that whoever cleans up knows when they are done. */
export interface Flaws {
  /** Agents that fell silent over a task. */
  silent: number
  /** Agents whose counters do not tell what their tasks do. */
  miscounted: number
  /** Tasks of a type that no agent has. */
  ofNobody: number
  /** Tasks that are done, and whose agent is gone. */
  orphaned: number
  /** Tasks without a topic, or with one of blanks. */
  withoutTopic: number
  /** Tasks that are done, and of which nobody said how well. */
  unrated: number
}

export interface MadeAgents {
  readonly agents: readonly Agent[]
  readonly tasks: readonly Task[]
  readonly metrics: readonly Window[]
  readonly flaws: Flaws
}

export interface MakeOptions {
  readonly agents: number
  readonly tasks: number
  readonly days: number
  /** Nothing is later. */
  readonly untilMs: number
}

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

/** Nobody does these: what is asked of them waits. */
const unserved: AgentType = 'roblox_analytics'

const kinds: Readonly<Record<AgentType, string>> = {
  content_generator: 'lesson',
  quiz_generator: 'quiz',
  terrain_generator: 'terrain',
  script_generator: 'script',
  code_reviewer: 'review',
  roblox_asset: 'asset',
  roblox_testing: 'test',
  roblox_analytics: 'report',
}

const troubles = [
  'The model had nothing to say.',
  'The answer was no JSON.',
  'It took longer than it may.',
  'Délai dépassé',
] as const

const iso = (ms: number): string => new Date(ms).toISOString()

class Weeks {
  readonly agents: Agent[] = []
  readonly tasks: Task[] = []
  readonly flaws: Flaws = { silent: 0, miscounted: 0, ofNobody: 0, orphaned: 0, withoutTopic: 0, unrated: 0 }
  readonly #random: Random
  readonly #options: MakeOptions
  readonly #teachers: readonly string[]

  constructor(random: Random, options: MakeOptions) {
    this.#random = random
    this.#options = options
    this.#teachers = Array.from({ length: 20 }, () => this.#id())
  }

  #id(): string {
    const hex = this.#random.uuidHex()
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
  }

  addAgent(place: number): void {
    const random = this.#random
    const { days, untilMs } = this.#options
    const served = agentTypes.filter((type) => type !== unserved)
    const agent_type = served[place % served.length]!
    const status = place % 11 === 10 ? 'maintenance' : place % 7 === 6 ? 'error' : 'idle'
    this.agents.push({
      ...{ id: this.#id(), agent_id: `${agent_type.replace('_', '-')}-${place + 1}`, agent_type, status },
      status_reason: status === 'error' ? random.pick(troubles) : status === 'maintenance' ? 'a new model' : null,
      configuration: { model: random.pick(['small', 'large']), region: random.pick(['ap-southeast-2', 'ca-central-1']) },
      resource_limits: { memory_mb: random.pick([512, 1024, 2048]), seconds: random.pick([60, 300]) },
      performance_thresholds: { quality: random.pick([0.6, 0.7, 0.8]) },
      ...{ current_task_id: null, last_activity: iso(untilMs), last_heartbeat: iso(untilMs) },
      ...{ total_tasks_completed: 0, total_tasks_failed: 0, created_at: iso(untilMs - days * dayMs) },
    })
  }

  #input(town: Town): Task['input_data'] {
    const random = this.#random
    const topic = random.chance(0.03) ? random.pick(['', '  ', null]) : random.pick(topics[town.language]!)
    if (topic === null || topic.trim() === '') this.flaws.withoutTopic += 1
    const { curriculum, region, language } = town
    const level = `${town.year} ${random.integer(3, 9)}`
    return { topic, level, curriculum, region, language, class: `${level}, ${town.name}` }
  }

  #asked(index: number, agent_type: AgentType, createdMs: number): Task {
    const random = this.#random
    const town = random.pick(towns)
    return {
      ...{ id: this.#id(), task_id: `task-${index}`, agent_instance_id: null, agent_type, task_type: kinds[agent_type] },
      ...{ priority: random.pick(taskPriorities), input_data: this.#input(town), output_data: null, status: 'queued' as const },
      ...{ error_message: null, quality_score: null, execution_time_seconds: null, retry_count: 0, max_retries: 3 },
      ...{ next_retry_at: null, created_at: iso(createdMs), started_at: null, completed_at: null },
      ...{ user_id: random.pick(this.#teachers), session_id: random.chance(0.3) ? `class-${random.integer(1, 40)}` : null },
    }
  }

  addTask(index: number): void {
    const random = this.#random
    const { days, untilMs } = this.#options
    const createdMs = untilMs - random.integer(60, days * 24 * 60) * minuteMs
    if (index % 60 === 59) {
      this.tasks.push(this.#asked(index, unserved, createdMs))
      this.flaws.ofNobody += 1
      return
    }
    const agent = random.pick(this.agents)
    const asked = this.#asked(index, agent.agent_type, createdMs)
    const startedMs = createdMs + random.integer(1, 90) * 1000
    const seconds = random.integer(2, 240)
    const hasFailed = random.chance(0.1)
    const isRated = !hasFailed && !random.chance(0.06)
    const isOrphaned = random.chance(0.02)
    if (!hasFailed && !isRated) this.flaws.unrated += 1
    if (isOrphaned) this.flaws.orphaned += 1
    this.tasks.push({
      ...asked,
      status: hasFailed ? 'failed' : 'completed',
      agent_instance_id: isOrphaned ? null : agent.id,
      ...(hasFailed
        ? { error_message: random.pick(troubles), retry_count: 3 }
        : { output_data: { parts: random.integer(1, 12) } }),
      ...(isRated && { quality_score: random.integer(50, 100) / 100 }),
      ...{ execution_time_seconds: seconds, started_at: iso(startedMs), completed_at: iso(startedMs + seconds * 1000) },
    })
  }

  /** Each fifth, where it was idle, took a task and has not been heard of since. */
  fallSilent(): void {
    const { untilMs } = this.#options
    for (const [place, agent] of this.agents.entries()) {
      if (place % 5 !== 4 || agent.status !== 'idle') continue
      const startedMs = untilMs - 40 * minuteMs
      const asked = this.#asked(this.#options.tasks + place, agent.agent_type, startedMs - 5_000)
      this.tasks.push({ ...asked, status: 'running', agent_instance_id: agent.id, started_at: iso(startedMs) })
      const since = { last_heartbeat: iso(startedMs + minuteMs), last_activity: iso(startedMs) }
      this.agents[place] = { ...agent, ...since, status: 'processing', current_task_id: asked.task_id }
      this.flaws.silent += 1
    }
  }

  /** As the tasks tell, but for some. */
  count(): void {
    for (const [place, agent] of this.agents.entries()) {
      const own = this.tasks.filter(({ agent_instance_id: id }) => id === agent.id)
      const endedAs = (end: Task['status']) => own.filter(({ status }) => status === end).length
      const isOff = place % 6 === 5
      if (isOff) this.flaws.miscounted += 1
      const [completed, failed] = [endedAs('completed'), endedAs('failed')]
      this.agents[place] = { ...agent, total_tasks_completed: completed + (isOff ? 2 : 0), total_tasks_failed: failed }
    }
  }

  /** As the job writes them. */
  metrics(): readonly Window[] {
    const windows = new Map<string, Task[]>()
    for (const task of this.tasks) {
      if (task.completed_at === null || task.agent_instance_id === null) continue
      const key = `${task.agent_instance_id} ${windowOf(new Date(task.completed_at))[0].getTime()}`
      windows.set(key, [...(windows.get(key) ?? []), task])
    }
    return [...windows.values()].map((tasks) => this.#window(tasks))
  }

  #window(tasks: readonly Task[]): Window {
    const [{ agent_instance_id, agent_type, completed_at }] = tasks as readonly [Task, ...Task[]]
    const [start, end] = windowOf(new Date(completed_at!))
    const completed = tasks.filter(({ status }) => status === 'completed').length
    const average = (values: readonly (number | null)[]): number => {
      const known = values.filter((value) => value !== null)
      return known.length === 0 ? 0 : known.reduce((sum, value) => sum + value, 0) / known.length
    }
    return {
      ...{ id: this.#id(), agent_instance_id, agent_type, period_start: start.toISOString(), period_end: end.toISOString() },
      ...{ tasks_completed: completed, tasks_failed: tasks.length - completed, success_rate: completed / tasks.length },
      average_execution_time: average(tasks.map(({ execution_time_seconds }) => execution_time_seconds)),
      average_quality_score: average(tasks.map(({ quality_score }) => quality_score)),
    }
  }
}

export const makeAgents = (random: Random, options: MakeOptions): MadeAgents => {
  const weeks = new Weeks(random, options)
  for (let place = 0; place < options.agents; place++) weeks.addAgent(place)
  for (let index = 0; index < options.tasks; index++) weeks.addTask(index)
  weeks.fallSilent()
  weeks.count()
  const { agents, tasks, flaws } = weeks
  return { agents, tasks, metrics: weeks.metrics(), flaws }
}
