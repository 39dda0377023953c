import type { Logger } from '../observability/observability.js'
import type { Pool } from '../postgres/postgres.js'
import type { Keyring } from './keys/keyring.js'
import type { Limits } from './limits.js'
import type { Passwords } from './passwords/passwords.js'
import type { AuthSettings } from './settings.js'
import type { Share } from './share.js'
import type { Sender } from './tables/sessions.js'

/** What every flow works with. */
export interface AuthContext {
  /** Under the owner of the tables of auth. */
  readonly pool: Pool
  readonly keyring: Keyring
  readonly settings: AuthSettings
  readonly passwords: Passwords
  readonly limits: Limits
  readonly log: Logger
  /** Lets all who ask for the same thing at the same time share one answer. */
  readonly share: Share
  /** The time now. */
  now(): Date
}

/** What a flow knows about the request that began it, besides its body. */
export interface AuthRequest extends Sender {
  /** Where a link should lead, as asked for and checked. */
  readonly redirectTo: string
}
