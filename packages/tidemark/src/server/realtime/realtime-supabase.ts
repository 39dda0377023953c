import type { FastifyInstance } from 'fastify'
import type { FindCaller } from '../../auth/find-caller.js'
import type { TidemarkConfig } from '../../config/config.js'
import type { HealthFinding, Logger } from '../../observability/observability.js'
import type { Hub } from '../../realtime/hub/hub.js'
import { openSupabaseRealtime } from '../../realtime/protocols/supabase/open-supabase-realtime.js'
import type { RealtimeParts, SupabaseLimits, SupabaseRealtime } from '../../realtime/protocols/supabase/supabase-realtime.js'
import type { Observation } from '../observation/observation.js'
import type { Inspectable } from '../operations/realtime-inspection.js'
import { addRealtimeRoutes } from './realtime-routes.js'

/** `/realtime/v1` as a server has it. */
export interface ServerSupabaseRealtime {
  /** From now on channels are joined. Before, clients are asked to come again. */
  attach(parts: RealtimeParts): void
  /** For operators. */
  readonly inspectable: Inspectable
  stop(): void
}

export interface ServerSupabaseRealtimeOptions {
  readonly app: FastifyInstance
  readonly hub: Hub
  readonly config: TidemarkConfig
  readonly findCaller: FindCaller
  readonly observation: Observation
  readonly log: Logger
}

const presenceWindowMs = 30_000
/** Room around a payload: names, and what JSON writes longer. */
const bodyOverheadBytes = 65_536

const limitsOf = ({ realtime }: TidemarkConfig): SupabaseLimits => ({ ...realtime, presenceWindowMs })

const findingOf = (parts: RealtimeParts | undefined, hub: Hub, supabase: SupabaseRealtime): HealthFinding => {
  if (!parts) return { status: 'down', detail: 'it is being opened' }
  if (!parts.changes) return { status: 'degraded', detail: 'changes are not told: this server has no part in the feed' }
  return { status: 'up', detail: `${hub.connections('supabase')} clients in ${supabase.channels()} channels` }
}

/** Answers at once; what it needs of Postgres and Redis is attached when that is there. */
export const openServerSupabaseRealtime = async (options: ServerSupabaseRealtimeOptions): Promise<ServerSupabaseRealtime> => {
  const { app, hub, config, findCaller, observation, log } = options
  const { health, metrics } = observation
  const limits = limitsOf(config)
  const { privateOnly } = config.realtime
  const supabase = openSupabaseRealtime({ findCaller, limits, privateOnly, log, metrics })
  let parts: RealtimeParts | undefined
  hub.serve(supabase.protocol)
  const channels = metrics.gauge('tidemark_realtime_channels_entries', 'Channels of /realtime/v1 that are open.')
  observation.onRefresh(() => channels.set(supabase.channels()))
  health.register({ name: 'realtime', critical: false, check: () => findingOf(parts, hub, supabase) })
  await addRealtimeRoutes(app, { api: supabase.api, findCaller, maxBodyBytes: limits.maxPayloadBytes + bodyOverheadBytes, log })
  return {
    attach: (given) => {
      parts = given
      supabase.attach(given)
    },
    inspectable: supabase,
    stop: () => supabase.stop(),
  }
}
