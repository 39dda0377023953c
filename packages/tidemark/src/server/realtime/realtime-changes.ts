import type { TidemarkConfig } from '../../config/config.js'
import type { Follower } from '../../feed/feed.js'
import { tableIdOf } from '../../feed/table-id.js'
import type { Logger } from '../../observability/observability.js'
import type { OpenChanges } from '../../realtime/changes/open-changes.js'
import type { ServerFeedOptions } from '../feed/feed.js'
import { followTablesOf } from '../feed/follow-tables.js'
import type { Observation } from '../observation/observation.js'
import type { Runtime } from '../runtime.js'
import type { WhenReachable } from '../when-reachable.js'
import type { RealtimeAccess } from './realtime-access.js'

export interface ServerChangesOptions {
  readonly config: TidemarkConfig
  readonly runtime: Runtime
  readonly observation: Observation
  readonly whenReachable: WhenReachable
  readonly log: Logger
}

/** Changes of tables as a server tells them, and who may see them. */
export interface ServerChanges extends OpenChanges {
  /** The feed's to run. */
  readonly followers: readonly Follower[]
  readonly access: RealtimeAccess
  /** What the feed of the server has to do for it. */
  readonly feed: Pick<ServerFeedOptions, 'tables' | 'alongside' | 'begins'>
}

/** The publication that applications put tables into. */
const publication = 'supabase_realtime'

/** Opens the part of realtime that tells changes of tables; its follower is the feed's to run. */
export const openServerChanges = async (options: ServerChangesOptions): Promise<ServerChanges> => {
  const { config, runtime, observation, whenReachable, log } = options
  const [{ openChanges }, { openRealtimeAccess }] = await Promise.all([
    import('../../realtime/changes/open-changes.js'),
    import('./realtime-access.js'),
  ])
  const access = await openRealtimeAccess({ config, runtime, observation, whenReachable, log })
  const { replayWindowMs, maxReplayBytes, cursorKeptMs, tables } = config.realtime
  const alongside = config.feed.source === 'supabase' ? undefined : publication
  const changes = openChanges({
    pool: runtime.pools.primary,
    visibility: access.visibility,
    follow: followTablesOf(config, runtime),
    settings: {
      replayWindowMs,
      maxReplayBytes,
      cursorKeptMs,
      tables: tables.map(tableIdOf),
      publication: alongside ?? null,
    },
    log: log.child('changes'),
    metrics: observation.metrics,
  })
  const unmeasure = observation.onRefresh(() => changes.refresh())
  return {
    access,
    feed: { tables, alongside, begins: 'oldest' },
    follower: changes.follower,
    followers: [changes.follower, access.messages.follower],
    listen: (listening) => changes.listen(listening),
    refresh: () => changes.refresh(),
    stop: async () => {
      unmeasure()
      await changes.stop()
      await access.stop()
    },
  }
}
