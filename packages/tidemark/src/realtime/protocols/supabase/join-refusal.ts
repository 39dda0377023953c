import { isTidemarkError, reasonOf } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import { RefusedToken } from './identity.js'

/** Why a join is refused, by the codes that Supabase documents. */
export class JoinRefusal extends Error {
  readonly code: string

  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = 'JoinRefusal'
    this.code = code
  }

  /** As a client reads it. */
  get reason(): string {
    return `${this.code}: ${this.message}`
  }
}

export const initializing = (message = 'Realtime is initializing the project connection', cause?: unknown): JoinRefusal =>
  new JoinRefusal('InitializingProjectConnection', message, { cause })

export const unauthorized = (name: string, cause?: unknown): JoinRefusal =>
  new JoinRefusal('Unauthorized', `You do not have permissions to read from this Channel topic: ${name}`, { cause })

const noProject = 'Realtime was unable to connect to the project database'

/** Anything that went wrong, in words for a client: of what nobody foresaw it hears no more than that. */
export const toRefusal = (error: unknown, name: string, log: Logger): JoinRefusal => {
  if (error instanceof JoinRefusal) return error
  if (error instanceof RefusedToken) return new JoinRefusal(error.code, error.message, { cause: error })
  if (!isTidemarkError(error)) {
    log.error('a channel failed', { err: error })
    return new JoinRefusal('UnknownErrorOnChannel', 'Unknown Error on Channel', { cause: error })
  }
  log.warn('a channel was refused', { reason: reasonOf(error), code: error.code })
  if (error.code === 'TM_REALTIME_UNAVAILABLE') return initializing(error.message, error)
  if (error.code === 'TM_AUTH_JWKS')
    return new JoinRefusal('JwtSignerError', 'Failed to generate JWT signer, check your JWT secret or JWKS configuration', {
      cause: error,
    })
  // By name: these are raised by a part that this one only knows the interface of.
  const code: string = error.code
  if (code === 'TM_REALTIME_CHANNEL_POLICY') return unauthorized(name, error)
  if (code === 'TM_REALTIME_NO_CHANNELS') return new JoinRefusal('UnableToSetPolicies', error.message, { cause: error })
  if (code.startsWith('TM_POSTGRES_')) return new JoinRefusal('UnableToConnectToProject', noProject, { cause: error })
  return new JoinRefusal('UnknownErrorOnChannel', 'Unknown Error on Channel', { cause: error })
}
