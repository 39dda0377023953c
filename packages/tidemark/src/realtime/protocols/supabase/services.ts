import type { FindCaller } from '../../../auth/find-caller.js'
import type { Logger } from '../../../observability/observability.js'
import type { Clock } from '../../../time/clock.js'
import type { ChannelRegistry } from './channel-registry.js'
import type { Returns } from './returns.js'
import type { SharedJoins } from './shared-joins.js'
import type { RealtimeParts, SupabaseLimits } from './supabase-realtime.js'

/** What all channels of a process share. */
export interface Services {
  /** Undefined while the server starts and when it stops. */
  parts(): RealtimeParts | undefined
  readonly findCaller: FindCaller
  readonly limits: SupabaseLimits
  readonly privateOnly: boolean
  readonly registry: ChannelRegistry
  readonly joins: SharedJoins
  readonly returns: Returns
  readonly log: Logger
  readonly clock: Clock
  /** Counts how joins end: `ok` or the code of the refusal. */
  joinEnded(outcome: string): void
}
