import type { FastifyInstance } from 'fastify'
import type { FindCaller } from '../../auth/find-caller.js'
import type { TidemarkConfig } from '../../config/config.js'
import type { Logger } from '../../observability/observability.js'
import type { Connections } from '../../realtime/connections/connections.js'
import type { Changes } from '../../realtime/realtime.js'
import type { State } from '../../state/state.js'
import type { Observation } from '../observation/observation.js'
import type { Inspectable } from '../operations/realtime-inspection.js'
import type { ServerRealtime } from './realtime.js'
import { servesPusher, servesRealtime } from './serves-realtime.js'

/** The sockets of a server, and the protocols that are spoken over them. */
export interface MountedRealtime {
  /** From now on clients are served. Before, they are asked to come again. */
  attach(realtime: ServerRealtime): Promise<void>
  /** Undefined where `/realtime/v1` is not served. */
  readonly inspectable: Inspectable | undefined
  /** Of all servers, once they are attached. */
  readonly connections: Connections
  stop(): Promise<void>
}

export interface MountRealtimeOptions {
  readonly app: FastifyInstance
  readonly config: TidemarkConfig
  readonly state: State
  readonly observation: Observation
  /** Undefined while the server starts, and where no changes are told. */
  changes(): Changes | undefined
  readonly findCaller: FindCaller
  readonly log: Logger
}

export const servesAnyRealtime = (config: TidemarkConfig): boolean => servesRealtime(config) || servesPusher(config)

/** `/realtime/v1`, `/app` and `/apps`, as far as this server answers them. */
export const mountRealtime = async (options: MountRealtimeOptions): Promise<MountedRealtime> => {
  const { app, config, observation } = options
  const [
    { openServerHub },
    { openServerSupabaseRealtime },
    { openServerPusher },
    { addChangeStreamRoutes },
    { openConnections },
  ] = await Promise.all([
    import('./realtime-hub.js'),
    import('./realtime-supabase.js'),
    import('./realtime-pusher.js'),
    import('./change-stream-routes.js'),
    import('../../realtime/connections/open-connections.js'),
  ])
  const shared = { ...options, hub: openServerHub(options) }
  const supabase = servesRealtime(config) ? await openServerSupabaseRealtime(shared) : undefined
  if (servesRealtime(config)) {
    const { maxConnections: maxStreams, maxBufferedBytes } = config.realtime
    const { changes, findCaller, log } = options
    await addChangeStreamRoutes(app, { changes, findCaller, maxStreams, maxBufferedBytes, metrics: observation.metrics, log })
  }
  const pusher = servesPusher(config) ? await openServerPusher(shared) : undefined
  let attached: ServerRealtime | undefined
  const connections = openConnections({ hub: shared.hub, topics: () => attached?.topics.topics, log: options.log })
  return {
    attach: async (realtime) => {
      attached = realtime
      connections.attach()
      supabase?.attach(realtime.parts)
      await pusher?.attach(realtime.topics, realtime.redis)
    },
    inspectable: supabase?.inspectable,
    connections,
    stop: async () => {
      connections.stop()
      supabase?.stop()
      await pusher?.stop()
    },
  }
}
