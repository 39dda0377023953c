import { randomUUID } from 'node:crypto'
import { isTidemarkError, TidemarkError, toTidemarkError } from '../errors.js'
import { type Clock, systemClock } from '../time/clock.js'

/**
 * running ──► succeeded
 *    │  └───► failed
 *    └──────► cancelled (by DELETE, by the caller hanging up, or by the server's end)
 */
export type JobState = 'running' | 'succeeded' | 'failed' | 'cancelled'

/** Numbers begin at 1 and have no gaps, so that a reader knows where it stopped. */
export interface JobEvent {
  readonly id: number
  readonly type: string
  readonly data: unknown
}

/** A job as the API shows it. */
export interface JobView {
  readonly job: string
  readonly kind: string
  /** What it works on, such as the file of a move. */
  readonly subject?: string
  readonly state: JobState
  readonly startedAt: string
  readonly finishedAt: string | null
  /** What the operation gave; null until it succeeded. */
  readonly result: unknown
  readonly error: ReturnType<TidemarkError['toJSON']> | null
}

export interface JobContext {
  readonly signal: AbortSignal
  emit(type: string, data: unknown): void
}

export interface Job {
  readonly id: string
  view(): JobView
  /** The kept events after that number, oldest first. Where `lost` is set, some before them are no longer kept. */
  eventsAfter(id: number): { readonly lost: boolean; readonly events: readonly JobEvent[] }
  /** Calls the listener for each event from now on, and with `undefined` when the job is over. Gives what ends it. */
  listen(listener: (event: JobEvent | undefined) => void): () => void
  cancel(): void
  /** What the operation gives, or raises. */
  readonly outcome: Promise<unknown>
}

export interface Jobs {
  start(kind: string, run: (context: JobContext) => Promise<unknown>, subject?: string): Job
  get(id: string): Job | undefined
  /** The newest first. */
  list(): readonly JobView[]
  /** Resolves when none runs. */
  idle(): Promise<void>
  /** Cancels what runs, and waits for it. */
  stop(): Promise<void>
}

const keptEvents = 1000
const keptJobs = 100

/** The last events of a job. Where room is short, progress goes before what happened only once. */
const createEventLog = () => {
  let events: JobEvent[] = []
  let last = 0
  return {
    add: (type: string, data: unknown): JobEvent => {
      last += 1
      const event = { id: last, type, data }
      events.push(event)
      if (events.length > keptEvents) {
        const dispensable = events.findIndex((kept) => kept.type === 'progress')
        events = events.toSpliced(Math.max(dispensable, 0), 1)
      }
      return event
    },
    after: (id: number) => {
      const later = events.filter((event) => event.id > id)
      return { lost: later.length < last - id, events: later }
    },
  }
}

const startJob = (
  kind: string,
  run: (context: JobContext) => Promise<unknown>,
  clock: Clock,
  subject: string | undefined,
): Job => {
  const id = randomUUID()
  const controller = new AbortController()
  const log = createEventLog()
  const listeners = new Set<(event: JobEvent | undefined) => void>()
  const startedAt = new Date(clock.now()).toISOString()
  let finished: Pick<JobView, 'state' | 'finishedAt' | 'result' | 'error'> = {
    state: 'running',
    finishedAt: null,
    result: null,
    error: null,
  }
  const tell = (event: JobEvent | undefined): void => {
    for (const listener of listeners) listener(event)
  }
  const finish = (state: JobState, result: unknown, error: TidemarkError | null): void => {
    finished = { state, finishedAt: new Date(clock.now()).toISOString(), result, error: error?.toJSON() ?? null }
    tell(undefined)
    listeners.clear()
  }
  const emit = (type: string, data: unknown): void => {
    if (finished.state === 'running') tell(log.add(type, data))
  }
  const outcome = (async () => {
    try {
      const result = await run({ signal: controller.signal, emit })
      finish('succeeded', result ?? null, null)
      return result
    } catch (thrown) {
      const error = toTidemarkError(controller.signal.aborted ? controller.signal.reason : thrown)
      finish(isTidemarkError(error, 'TM_SERVER_JOB_CANCELLED') ? 'cancelled' : 'failed', null, error)
      throw error
    }
  })()
  // Whoever waits for the outcome sees the failure; a job that nobody waits for shows it in its view.
  outcome.catch(() => undefined)
  return {
    id,
    outcome,
    view: () => ({ job: id, kind, ...(subject !== undefined && { subject }), startedAt, ...finished }),
    eventsAfter: log.after,
    listen: (listener) => {
      if (finished.state !== 'running') listener(undefined)
      else listeners.add(listener)
      return () => listeners.delete(listener)
    },
    cancel: () => controller.abort(new TidemarkError('TM_SERVER_JOB_CANCELLED', { kind })),
  }
}

/** Long operations that outlive the request that started them. The last hundred are kept. */
export const createJobs = ({ clock = systemClock }: { readonly clock?: Clock } = {}): Jobs => {
  const jobs = new Map<string, Job>()
  const forgetOld = (): void => {
    for (const [id, job] of jobs) {
      if (jobs.size <= keptJobs) return
      if (job.view().state !== 'running') jobs.delete(id)
    }
  }
  const running = (): readonly Job[] => [...jobs.values()].filter((job) => job.view().state === 'running')
  return {
    start: (kind, run, subject) => {
      const job = startJob(kind, run, clock, subject)
      jobs.set(job.id, job)
      forgetOld()
      return job
    },
    get: (id) => jobs.get(id),
    list: () => [...jobs.values()].map((job) => job.view()).reverse(),
    idle: async () => {
      await Promise.allSettled(running().map((job) => job.outcome))
    },
    stop: async () => {
      const cancelled = running()
      for (const job of cancelled) job.cancel()
      await Promise.allSettled(cancelled.map((job) => job.outcome))
    },
  }
}
