import type { Logger, Metrics } from '../../observability/observability.js'
import type { Clock } from '../../time/clock.js'
import type { Follower, SourceLag, TableFilter } from '../feed.js'
import { createFeed } from '../follow/create-feed.js'
import type { Feed, FollowerHealth } from '../follow/follow.js'
import type { FanOut, FeedNodeState } from './fan-out.js'

export interface FeedNodeOptions {
  readonly fanOut: FanOut
  readonly followers: readonly Follower[]
  readonly clock?: Clock
  readonly log?: Logger
  readonly metrics?: Metrics
}

/** One node of the feed: whatever its role, its followers get every change. */
export interface FeedNode {
  readonly feed: Feed
  state(): FeedNodeState
  onRole: FanOut['onRole']
  /**
   * Whether everything that was committed `maxSilenceMs` ago has been applied by all followers, or by the one named (FEED-3). A cache asks at
   * each read.
   */
  isFresh(maxSilenceMs: number, follower?: string): boolean
  /** How its followers are, apart from the one that stands for the node. */
  followers(): readonly FollowerHealth[]
  lag(): Promise<SourceLag>
  stop(): Promise<void>
}

/** Follows nothing: through it a node without followers still reads, publishes, and knows how fresh it is. */
const nobody: Follower = { name: 'node', tables: [], apply: async () => {} }

/** Starts a node. What keeps it from the changes is in its state, and is tried again. Raises for followers of one name. */
export const openFeedNode = async ({ fanOut, followers, ...shared }: FeedNodeOptions): Promise<FeedNode> => {
  const feed = createFeed({ source: fanOut.source, followers: [nobody, ...followers], ...shared })
  await feed.start()
  return {
    feed,
    state: () => fanOut.state(),
    onRole: (listener) => fanOut.onRole(listener),
    isFresh: (maxSilenceMs, follower) => feed.freshness(follower) <= maxSilenceMs,
    followers: () => feed.health().followers.filter(({ name }) => name !== nobody.name),
    lag: () => fanOut.lag(),
    stop: () => feed.stop(),
  }
}

/** Every table that anybody follows, as `schema.table`, in order; `all` adds none. */
export const followedTables = (tables: readonly string[], followers: readonly { readonly tables: TableFilter }[]): string[] => {
  const named = followers.flatMap((follower) => (follower.tables === 'all' ? [] : follower.tables))
  return [...new Set([...tables, ...named])].sort()
}
