/** What may follow what. Triggers of the database hold the same; migrations/…_states.sql draws it. */

export const leadMoves = {
  new: ['contacted', 'lost'],
  contacted: ['qualified', 'lost', 'new'],
  qualified: ['nurturing', 'converted', 'lost', 'contacted'],
  nurturing: ['converted', 'lost', 'qualified'],
  converted: ['closed', 'nurturing'],
  lost: ['closed', 'nurturing'],
  closed: [],
} as const

export type LeadStatus = keyof typeof leadMoves

/** Each word a step further; back needs a reason. */
const stages: Readonly<Record<LeadStatus, number>> = {
  new: 0,
  contacted: 1,
  qualified: 2,
  nurturing: 3,
  converted: 4,
  lost: 4,
  closed: 5,
}

export const approvalMoves = {
  draft: ['pending', 'rejected', 'cancelled', 'expired'],
  pending: ['approved', 'rejected', 'draft', 'cancelled', 'expired'],
  approved: ['sending', 'pending', 'cancelled', 'expired'],
  sending: ['sent', 'failed'],
  failed: ['sending', 'pending', 'approved', 'rejected', 'cancelled'],
  rejected: [],
  sent: [],
  cancelled: [],
  expired: [],
} as const

export type ApprovalStatus = keyof typeof approvalMoves

type Moves<S extends string> = Readonly<Record<S, readonly string[]>>

export const statesOf = <S extends string>(moves: Moves<S>): [S, ...S[]] => Object.keys(moves) as [S, ...S[]]

export const mayGo = <S extends string>(moves: Moves<S>, from: S, to: S): boolean => moves[from].includes(to)

export const goesBack = (from: LeadStatus, to: LeadStatus): boolean => stages[to] < stages[from]
