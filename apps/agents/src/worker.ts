import { setTimeout } from 'node:timers/promises'

/** Runs an agent against the HTTP interface: it beats, takes tasks, does them one after the other, and says what came of them. */

export interface Task {
  readonly task_id: string
  readonly task_type: string
  readonly input_data: unknown
}

export interface Done {
  readonly output: unknown
  /** From 0 to 1. */
  readonly quality?: number
}

export interface WorkerOptions {
  /** Of the service. */
  readonly url: string
  /** Of the service role. */
  readonly token: string
  readonly agentId: string
  /** Does the work. The signal says that nobody wants it any more. */
  readonly run: (task: Task, signal: AbortSignal) => Promise<Done>
  /** Default 30,000. */
  readonly beatEveryMs?: number
  /** How long it waits where the queue is empty. Default 1,000. */
  readonly pollMs?: number
  readonly onError?: (error: unknown) => void
}

export interface Worker {
  start(): void
  /** Finishes what it does. */
  stop(): Promise<void>
}

class Refusal extends Error {
  readonly status: number

  constructor(method: string, path: string, status: number) {
    super(`${method} ${path.split('/')[1]} was answered with ${status}`)
    this.status = status
  }
}

/** How often it is tried, once it is to stop, to tell what came of the last task. */
const mostTellsWhileStopping = 5

export const createWorker = (options: WorkerOptions): Worker => {
  const { url, token, agentId, run, beatEveryMs = 30_000, pollMs = 1_000, onError = () => {} } = options
  const stopping = new AbortController()
  /** What it runs now. */
  let present: { readonly taskId: string; readonly controller: AbortController } | undefined
  let working: Promise<unknown> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined

  const ask = async <T>(method: string, path: string, body?: unknown): Promise<T | undefined> => {
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    })
    if (!response.ok) throw new Refusal(method, path, response.status)
    return response.status === 204 ? undefined : ((await response.json()) as T)
  }

  const agent = `/agent-instances/${encodeURIComponent(agentId)}`

  const beat = async (): Promise<void> => {
    const heard = await ask<{ cancel: readonly string[] }>('POST', `${agent}/heartbeat`, {})
    if (present && heard?.cancel.includes(present.taskId)) present.controller.abort()
  }

  /** What a run came to; it says nothing of whether that could be told. */
  const outcomeOf = async (task: Task, signal: AbortSignal): Promise<object> => {
    try {
      const { output, quality } = await run(task, signal)
      return { status: 'completed', output_data: output, ...(quality !== undefined && { quality_score: quality }) }
    } catch (error) {
      if (signal.aborted) return { status: 'cancelled' }
      return { status: 'failed', error_message: error instanceof Error ? error.message.slice(0, 4000) : 'failed' }
    }
  }

  /** Until it is heard: what is done is not to be done again, and whoever is busy gets nothing else. A refusal is an answer. */
  const tell = async (path: string, outcome: object): Promise<void> => {
    for (let left = mostTellsWhileStopping; left > 0; left -= stopping.signal.aborted ? 1 : 0) {
      try {
        return void (await ask('PATCH', path, { ...outcome, agent_id: agentId }))
      } catch (error) {
        onError(error)
        if (error instanceof Refusal && error.status < 500 && error.status !== 429) return
        await setTimeout(pollMs)
      }
    }
  }

  const work = async (task: Task): Promise<void> => {
    const controller = new AbortController()
    present = { taskId: task.task_id, controller }
    try {
      await tell(`/executions/${encodeURIComponent(task.task_id)}`, await outcomeOf(task, controller.signal))
    } finally {
      present = undefined
    }
  }

  /** What ran under this name before runs no more: it goes back into the queue, and the agent begins anew. */
  const begin = async (): Promise<void> => {
    const heard = await ask<{ current_task_id: string | null }>('POST', `${agent}/heartbeat`, {})
    if (heard?.current_task_id == null) return
    await ask('PATCH', agent, { status: 'offline', status_reason: 'It begins anew.' })
    await beat()
    await beat()
  }

  const rest = (): Promise<void> => setTimeout(pollMs, undefined, { signal: stopping.signal }).catch(() => undefined)

  const loop = async (): Promise<void> => {
    let hasBegun = false
    while (!stopping.signal.aborted) {
      try {
        if (!hasBegun) await begin()
        hasBegun = true
        const task = await ask<Task>('POST', `${agent}/claim`)
        if (task) await work(task)
        else await rest()
      } catch (error) {
        onError(error)
        await rest()
      }
    }
  }

  return {
    start: () => {
      working = loop()
      timer = setInterval(() => void beat().catch(onError), beatEveryMs)
      timer.unref()
    },
    stop: async () => {
      stopping.abort()
      await working
      clearInterval(timer)
    },
  }
}
