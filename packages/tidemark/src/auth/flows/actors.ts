import type { Actor } from '../tables/audit.js'
import type { User } from '../user.js'

/** A user as the log of what happened names it. */
export const actorOf = ({ id, email, phone }: Pick<User, 'id' | 'email' | 'phone'>): Actor => ({ id, name: email || phone || '' })
