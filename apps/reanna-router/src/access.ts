/** Who calls: what a signed token says, and nothing else that a request brings along. */
import { createBearer, type SubjectCaller, subjectCallerOf } from 'tidemark/app'
import { ReannaError } from './reanna-error.js'

/** The subject is the agent; its id need not be a uuid (C1). An admin sees every tour (C2). */
export type Caller = SubjectCaller

export const createAuthenticate = (secret: string) =>
  createBearer<Caller>({ errors: ReannaError, secret, callerOf: subjectCallerOf })

/** Whether a tour of that agent is the caller's to see. */
export const sees = ({ sub, isAdmin }: Caller, agentId: unknown): boolean => isAdmin || agentId === sub

/** Raises REANNA_FORBIDDEN. */
export const requireAdmin = ({ isAdmin }: Caller): void => {
  if (!isAdmin) throw new ReannaError('REANNA_FORBIDDEN', 'Only an admin may do this.')
}
