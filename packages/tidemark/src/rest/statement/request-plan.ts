import type { Media } from '../query.js'
import type { ReadPlan } from './plan.js'
import type { Shape } from './print/print-body.js'
import type { CallPlan } from './print/print-call.js'
import type { MutationPlan } from './print/print-mutation.js'

/** How many rows a request may concern. */
export interface RowLimit {
  readonly least: number
  /** May be infinite. */
  readonly most: number
}

interface Common {
  readonly media: Media
  /** False for HEAD and where nobody asked for what was written. */
  readonly wantsBody: boolean
  readonly limit: RowLimit | undefined
}

/** What one request comes to. */
export type RequestPlan = Common &
  (
    | { readonly kind: 'read'; readonly read: ReadPlan }
    | { readonly kind: 'write'; readonly mutation: MutationPlan; readonly read: ReadPlan; readonly location: readonly string[] }
    | {
        readonly kind: 'call'
        readonly call: CallPlan
        readonly read: ReadPlan
        readonly shape: Shape
        readonly nothing: boolean
      }
  )
