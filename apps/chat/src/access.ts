/** Who calls: the subject of a signed token, and nothing else a request brings along. */
import { createBearer } from 'tidemark/app'
import { ChatError } from './chat-error.js'
import { userIdOf } from './legacy-ids.js'

export interface Caller {
  readonly userId: string
  /** True for a token of the app's own server, which answers in the chats of its subject: only it writes assistant turns. */
  readonly isService: boolean
}

/** Old apps gave this name to everybody who had not signed in: chats that were imported for it belong to nobody in particular. */
export const anonymousUser = 'anonymous'

/** Tokens name a user. */
export const createAuthenticate = (secret: string) =>
  createBearer<Caller>({
    errors: ChatError,
    secret,
    callerOf: ({ role, claims: { sub } }) => {
      if (role !== 'authenticated' && role !== 'service_role') return null
      if (typeof sub !== 'string' || sub === '' || sub.length > 256 || sub === anonymousUser) return null
      return { userId: userIdOf(sub), isService: role === 'service_role' }
    },
  })
