import type { Access, Operation } from './declaration.js'

/**
 * What became of one statement. `passed`: rows were seen or written. `nothing`: it ran and found no row. `denied`: no grant.
 * `refused`: a policy, or a trigger in its place. `constraint`: policies let it pass, and a constraint did not. `failed`: anything else.
 */
export type OutcomeKind = 'passed' | 'nothing' | 'denied' | 'refused' | 'constraint' | 'failed'

export interface Outcome {
  readonly kind: OutcomeKind
  readonly rows: number
  /** What the server said. */
  readonly detail: string
}

interface ServerError extends Error {
  readonly code?: string
  readonly routine?: string
}

const insufficientPrivilege = '42501'
const notUpdatable = '55000'

/** By the place in the server that raised it, for texts come in the server's language. */
const kindOf = ({ code = '', routine }: ServerError): OutcomeKind => {
  if (code === insufficientPrivilege) return routine === 'aclcheck_error' ? 'denied' : 'refused'
  if (code === notUpdatable) return 'denied'
  return code.startsWith('23') ? 'constraint' : 'failed'
}

export const outcomeOfRows = (rows: number): Outcome => ({
  kind: rows > 0 ? 'passed' : 'nothing',
  rows,
  detail: `${rows} row(s)`,
})

export const outcomeOfError = (error: unknown): Outcome => {
  const raised = error as ServerError
  if (!/^[0-9A-Z]{5}$/.test(raised.code ?? '')) throw error
  return { kind: kindOf(raised), rows: 0, detail: `${raised.code}: ${raised.message}` }
}

/** What a statement on a row may become. */
export const allowedOutcomes = (access: Access, operation: Operation, isOwn: boolean): readonly OutcomeKind[] => {
  if (access === 'denied') return ['denied']
  if (access === 'all' || (access === 'own' && isOwn))
    // A row that others refer to cannot be deleted, whoever may.
    return operation === 'insert' || operation === 'select' ? ['passed'] : ['passed', 'constraint']
  return operation === 'insert' ? ['refused'] : ['nothing']
}

/** What an update may become that changes the owner of a row. Triggers may forbid it where policies do not. */
export const allowedMoves = (access: Access): readonly OutcomeKind[] => {
  if (access === 'denied') return ['denied']
  if (access === 'all') return ['passed', 'constraint', 'denied', 'failed']
  return ['nothing', 'refused', 'denied', 'failed']
}
