export interface ScheduledJob {
  readonly everyMs: number
  /** The signal says that the schedule ends. */
  readonly run: (signal: AbortSignal) => Promise<unknown>
}

export interface Schedule {
  /** Runs every job at once, and then now and then. */
  start(): void
  /** Waits for what runs. For good. */
  stop(): Promise<void>
}

/** Jobs that run now and then. One that still runs when its time comes is left alone until the next; one that fails is told of, and runs again. */
export const createSchedule = (
  jobs: Readonly<Record<string, ScheduledJob>>,
  onError: (job: string, error: unknown) => void,
): Schedule => {
  const ending = new AbortController()
  const timers: NodeJS.Timeout[] = []
  const running = new Map<string, Promise<unknown>>()

  const runQuietly = (name: string, { run }: ScheduledJob): void => {
    if (running.has(name)) return
    const ended = run(ending.signal)
      .catch((error: unknown) => onError(name, error))
      .finally(() => running.delete(name))
    running.set(name, ended)
  }

  return {
    start: () => {
      for (const [name, job] of Object.entries(jobs)) {
        runQuietly(name, job)
        const timer = setInterval(() => runQuietly(name, job), job.everyMs)
        timer.unref()
        timers.push(timer)
      }
    },
    stop: async () => {
      ending.abort()
      for (const timer of timers.splice(0)) clearInterval(timer)
      await Promise.all(running.values())
    },
  }
}
