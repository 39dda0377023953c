import type { Catalogue } from '../catalogue.js'
import type { RestRequest } from '../query.js'

export interface StatementOptions {
  readonly catalogue: Catalogue
  /** `sum()` and the like may be used. */
  readonly aggregates: boolean
  /** Most rows of an answer, and of each list inside one; undefined: all. */
  readonly maxRows: number | undefined
  /** Plans are told to whoever asks. */
  readonly plans: boolean
}

/** The requests that become a statement. */
export type StatementRequest = Exclude<RestRequest, { readonly kind: 'root' | 'options' }>
