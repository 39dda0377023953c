/** Handlers that take longer than this, on the whole, get a transaction of their own. */
const quickMs = 2
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
  ran(type: string, durationMs: number): void
  /** One of them did not end in time: the type has to earn trust again. */
  distrust(type: string): void
}

export const createQuickTypes = (): QuickTypes => {
  const habits = new Map<string, Habit>()
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
      return runs >= runsToTrust && meanMs <= quickMs
    },
    ran: (type, durationMs) => {
      const habit = habitOf(type)
      habit.meanMs = habit.runs === 0 ? durationMs : habit.meanMs * (1 - weight) + durationMs * weight
      habit.runs += 1
    },
    distrust: (type) => {
      habits.set(type, { runs: -10 * runsToTrust, meanMs: 0 })
    },
  }
}
