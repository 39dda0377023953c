import type { Catalogue } from '../../catalogue.js'
import { restErrors } from '../../rest-errors.js'
import type { EmbedPlan, FieldPlan } from '../plan.js'

/** What all reads of one request have in common. */
export interface ResolveContext {
  readonly catalogue: Catalogue
  readonly aggregates: boolean
  /** Of one read and of each list inside it; undefined where what is shown was just written. */
  readonly maxRows: number | undefined
  nextId(): number
}

/** An embed while its outer relation is being resolved. */
export interface EmbedDraft extends EmbedPlan {
  readonly keys: FieldPlan[]
  asked: boolean
}

/** Each is a join more, and the planner's work grows faster than their number. */
const maxEmbeds = 100

export const createContext = (options: Omit<ResolveContext, 'nextId'>): ResolveContext => {
  let next = 0
  return {
    ...options,
    nextId: () => {
      if (next > maxEmbeds) {
        throw restErrors.parse('"failed to parse select parameter"', `more than ${maxEmbeds} relations are embedded`)
      }
      next += 1
      return next - 1
    },
  }
}
