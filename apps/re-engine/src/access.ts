/** Who calls: what a signed token says, and nothing else that a request brings along. */
import { createBearer, type SubjectCaller, subjectCallerOf } from 'tidemark/app'
import { EngineError } from './engine-error.js'

/** The subject is the `external_id` of an agent, which need not be a uuid (C72). An admin sees every lead. */
export type Caller = SubjectCaller

export const createAuthenticate = (secret: string) =>
  createBearer<Caller>({ errors: EngineError, secret, callerOf: subjectCallerOf })

/** Raises ENGINE_FORBIDDEN. */
export const requireAdmin = ({ isAdmin }: Caller): void => {
  if (!isAdmin) throw new EngineError('ENGINE_FORBIDDEN', 'Only an admin may do this.')
}
