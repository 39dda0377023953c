import type { Beholder } from '../changes/visibility-port.js'
import type { AskPostgres } from './ask-postgres.js'
import type { Job, Outcome, Question } from './judging-block.js'

/** What auth.uid() is of each caller. It is asked for once, so that what the database calls so is what counts. */
export interface UserIds {
  /** Null where it is NULL. Undefined where it is not known. */
  of(beholder: Beholder): string | null | undefined
  /** Asks for those that are not known. Gives what came of those of which it could not be found out. */
  find(beholders: readonly Beholder[]): Promise<ReadonlyMap<Beholder, Outcome>>
  /** What it is may be defined otherwise now. */
  forget(): void
}

const question: Question = { query: () => `select coalesce('=' || auth.uid()::text, '')`, parts: () => [] }

const jobsOf = (beholders: readonly Beholder[]): readonly { readonly job: Job; readonly own: readonly Beholder[] }[] => {
  const roles = [...new Set(beholders.map(({ role }) => role))]
  return roles.map((role) => {
    const own = beholders.filter((beholder) => beholder.role === role)
    return { own, job: { role, question, rows: '', readByServer: false, claims: own.map(({ claims }) => claims) } }
  })
}

export const createUserIds = (ask: AskPostgres): UserIds => {
  let known = new WeakMap<Beholder, string | null>()
  return {
    of: (beholder) => known.get(beholder),
    find: async (beholders) => {
      const store = known
      const unknown = jobsOf([...new Set(beholders)].filter((beholder) => !store.has(beholder)))
      const failures = new Map<Beholder, Outcome>()
      if (unknown.length === 0) return failures
      const outcomes = await ask(unknown.map(({ job }) => job))
      unknown.forEach(({ own }, which) => {
        own.forEach((beholder, place) => {
          const outcome = outcomes[which]?.[place] ?? { type: 'unreached' }
          if (outcome.type !== 'answer') failures.set(beholder, outcome)
          else store.set(beholder, outcome.text === '' ? null : outcome.text.slice(1))
        })
      })
      return failures
    },
    forget: () => {
      known = new WeakMap()
    },
  }
}
