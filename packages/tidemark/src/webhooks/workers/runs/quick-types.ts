/** So many runs have to be seen before a type counts as quick. */
const runsToTrust = 20
/** How much a run counts in the mean. */
const weight = 0.1

interface Habit {
  runs: number
  meanMs: number
}

/** Which types of events have handlers that are done in no time: those share transactions. */
export interface QuickTypes {
  isQuick(type: string): boolean
  /** How long they take, on the whole. */
  meanMs(type: string): number
  ran(type: string, durationMs: number): void
  /** A transaction took so long without its handlers. */
  spent(durationMs: number): void
  /** One of them did not end in time: the type has to earn trust again. */
  distrust(type: string): void
}

/**
 * Quick is what takes at most `quickMs`, on the whole, or no longer than the transaction around it: where the machine is busy both take
 * longer, and it would do more for transactions than for handlers if each event had one of its own.
 */
export const createQuickTypes = (quickMs: number): QuickTypes => {
  const habits = new Map<string, Habit>()
  let aroundMs = 0
  const habitOf = (type: string): Habit => {
    const known = habits.get(type)
    if (known) return known
    const habit: Habit = { runs: 0, meanMs: 0 }
    habits.set(type, habit)
    return habit
  }
  return {
    isQuick: (type) => {
      const { runs, meanMs } = habitOf(type)
      return runs >= runsToTrust && meanMs <= Math.max(quickMs, aroundMs)
    },
    meanMs: (type) => habitOf(type).meanMs,
    ran: (type, durationMs) => {
      const habit = habitOf(type)
      habit.meanMs = habit.runs === 0 ? durationMs : habit.meanMs * (1 - weight) + durationMs * weight
      habit.runs += 1
    },
    spent: (durationMs) => {
      aroundMs = aroundMs * (1 - weight) + durationMs * weight
    },
    distrust: (type) => {
      habits.set(type, { runs: -10 * runsToTrust, meanMs: 0 })
    },
  }
}
