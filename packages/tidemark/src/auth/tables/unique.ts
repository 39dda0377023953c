import { sqlstateOf } from '../../postgres/postgres.js'
import { AuthError, isAuthError } from '../auth-error.js'

/** Raises `refusal` where a write met a value that somebody else has; what a trigger raises becomes a failure to save. */
export const refuseDuplicates = async <T>(
  refusal: () => AuthError,
  work: () => Promise<T>,
  doing: 'saving' | 'deleting' = 'saving',
): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (isAuthError(error)) throw error
    const state = sqlstateOf(error)
    if (state === '23505') throw refusal()
    // Not from the connection: a trigger or a constraint of the application refuses the user.
    if (state !== undefined && /^(?:22|23|P0|42|2F|38|39)/.test(state))
      throw new AuthError(500, 'unexpected_failure', `Database error ${doing} user`, { cause: error })
    throw error
  }
}
