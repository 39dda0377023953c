/**
 * What may follow what. Triggers of the database hold the same tables, whoever writes.
 *
 *   tour      scheduled → in_progress → completed          scheduled, in_progress → cancelled
 *   visit     scheduled → arrived → completed              scheduled → skipped, cancelled    arrived → cancelled
 *   task      scheduled → in_progress → completed, failed  scheduled, in_progress → cancelled    failed → scheduled
 *   feedback  received → processed → notified
 *   crm       not_synced → pending → synced, failed        synced, failed → pending
 */
export type Machine<State extends string = string> = { readonly [S in State]: readonly State[] }

type StateOf<M> = Extract<keyof M, string>

const machine = <const M extends Machine<Extract<keyof M, string>>>(moves: M): M => moves

export const tourMoves = machine({
  scheduled: ['in_progress', 'cancelled'],
  in_progress: ['completed', 'cancelled'],
  completed: [],
  cancelled: [],
})

export const visitMoves = machine({
  scheduled: ['arrived', 'skipped', 'cancelled'],
  arrived: ['completed', 'cancelled'],
  completed: [],
  skipped: [],
  cancelled: [],
})

export const taskMoves = machine({
  scheduled: ['in_progress', 'cancelled'],
  in_progress: ['completed', 'failed', 'cancelled'],
  completed: [],
  failed: ['scheduled'],
  cancelled: [],
})

export const feedbackMoves = machine({ received: ['processed'], processed: ['notified'], notified: [] })

export const crmMoves = machine({
  not_synced: ['pending'],
  pending: ['synced', 'failed'],
  synced: ['pending'],
  failed: ['pending'],
})

export type TourStatus = keyof typeof tourMoves
export type VisitStatus = keyof typeof visitMoves
export type TaskStatus = keyof typeof taskMoves
export type FeedbackState = keyof typeof feedbackMoves
export type CrmSyncStatus = keyof typeof crmMoves

export const statesOf = <M extends Machine>(moves: M): readonly [StateOf<M>, ...StateOf<M>[]] =>
  Object.keys(moves) as [StateOf<M>, ...StateOf<M>[]]

export const mayGo = <State extends string>(moves: Machine<State>, from: State, to: State): boolean => moves[from].includes(to)

/** Nothing follows it. */
export const isFinal = <State extends string>(moves: Machine<State>, state: State): boolean => moves[state].length === 0
