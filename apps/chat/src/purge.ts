/** Removes, now and then, deleted chats that can no longer be taken back. */
import { purgeSessions } from './sessions.js'
import type { ChatWrites } from './writes.js'

export interface PurgeOptions {
  readonly writes: ChatWrites
  /** Default one hour. */
  readonly everyMs?: number
  readonly onPurged?: (removed: number) => void
  readonly onError?: (error: unknown) => void
}

export interface Purge {
  start(): void
  /** Runs at once. Gives how many chats went. */
  run(): Promise<number>
  /** Waits for what runs. */
  stop(): Promise<void>
}

const batch = 100

/** Several servers may purge side by side: each takes rows that no other has. */
export const createPurge = ({ writes, everyMs = 3_600_000, onPurged = () => {}, onError = () => {} }: PurgeOptions): Purge => {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<unknown> = Promise.resolve()
  let isStopped = false

  const run = async (): Promise<number> => {
    let removed = 0
    for (let last = batch; last === batch && !isStopped; removed += last)
      last = (await writes.write((db) => purgeSessions(db, batch))).result
    if (removed > 0) onPurged(removed)
    return removed
  }

  const runQuietly = (): void => {
    running = run().catch(onError)
  }

  return {
    run,
    start: () => {
      runQuietly()
      timer = setInterval(runQuietly, everyMs)
      timer.unref()
    },
    stop: async () => {
      isStopped = true
      clearInterval(timer)
      await running
    },
  }
}
