/** Who may see what in realtime: visibility of changes, private channels, and broadcast from the database. */

import type { Messages } from '../../realtime/messages/open-messages.js'
import type { OpenVisibility } from '../../realtime/visibility/visibility.js'
import { type CallerPoolOptions, callerListenOptions, callerPoolOptions } from '../database/caller-pool.js'
import { createPoolGauges } from '../database/pool-metrics.js'
import type { WhenReachable } from '../when-reachable.js'

export interface RealtimeAccess {
  readonly visibility: OpenVisibility
  /** Its follower is the feed's to run. */
  readonly messages: Messages
  stop(): Promise<void>
}

export interface RealtimeAccessOptions extends CallerPoolOptions {
  readonly whenReachable: WhenReachable
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Opens it. Nothing is connected before it is asked, the partitions of `realtime.messages` apart. */
export const openRealtimeAccess = async (options: RealtimeAccessOptions): Promise<RealtimeAccess> => {
  const { config, runtime, observation, whenReachable } = options
  const log = options.log.child('realtime')
  const [{ createNamedPool }, { openVisibility }, { openMessages }] = await Promise.all([
    import('../../postgres/postgres.js'),
    import('../../realtime/visibility/visibility.js'),
    import('../../realtime/messages/open-messages.js'),
  ])
  const pool = createNamedPool('realtime', await callerPoolOptions('realtime', options))
  const { schemas, extraSearchPath } = config.rest
  // The same as a request has, so that policies find the same functions.
  const searchPath = [...schemas.slice(0, 1), ...extraSearchPath].map(quoted).join(', ')
  const { metrics, signals } = observation
  // The one part that asks Postgres before it is there goes first.
  const messages = await whenReachable(() => openMessages({ pool, searchPath, log, ownerPool: runtime.pools.migration }))
  const visibility = openVisibility({ pool, searchPath, metrics, signals, log, listen: await callerListenOptions(options) })
  const showPools = createPoolGauges(metrics)
  const unmeasure = observation.onRefresh(() => showPools([pool]))
  return {
    visibility,
    messages,
    stop: async () => {
      unmeasure()
      await Promise.all([visibility.stop(), messages.stop()])
      await pool.stop()
    },
  }
}
