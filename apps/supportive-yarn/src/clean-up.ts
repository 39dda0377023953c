/** What is let go of, and when: words never stay longer than they have to. Counts stay; they name no session. */
import type { ChatStore } from './chat.js'
import * as repository from './repository.js'

export interface Retention {
  /** Days after which a completed session goes, with every word of it. */
  readonly completedDays: number
  /** Days without a word after which a session that nobody completed goes. */
  readonly abandonedDays: number
  readonly logDays: number
}

export interface CleanedUp {
  readonly completed: number
  readonly abandoned: number
  readonly logs: number
}

/** Removes in one transaction what was kept long enough, and notes that. */
export const cleanUp = (
  store: ChatStore,
  { completedDays, abandonedDays, logDays }: Retention,
  today: Date = new Date(),
): Promise<CleanedUp> =>
  store.write(async (db) => {
    const completed = await repository.cleanupOldSessions(db, completedDays, today)
    const abandoned = await repository.cleanupAbandonedSessions(db, abandonedDays, today)
    const logs = await repository.cleanupSystemLogs(db, logDays, today)
    if (completed + abandoned > 0)
      await repository.logSystemEvent(
        db,
        'INFO',
        'clean-up',
        `removed ${completed} completed and ${abandoned} abandoned sessions`,
      )
    return { completed, abandoned, logs }
  })
