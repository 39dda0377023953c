import type { FeedNode } from '../../feed/fan-out/open-feed-node.js'
import type { SourceLag } from '../../feed/feed.js'
import type { Metrics } from '../../observability/observability.js'

const roles = ['reading', 'tailing', 'apart', 'away'] as const

/** What is measured of the node as a whole; its followers measure themselves, the one named `node` its freshness. */
export const createFeedGauges = (metrics: Metrics) => {
  const role = metrics.gauge('tidemark_feed_role_state', '1 for the role that this node has in the feed.', ['role'])
  const lag = metrics.gauge('tidemark_feed_lag_bytes', 'Write-ahead log that Postgres keeps for the feed (rows of the outbox).')
  const headroom = metrics.gauge(
    'tidemark_feed_headroom_bytes',
    'Write-ahead log that may come before Postgres gives the slot up; -1 where nothing bounds it.',
  )
  return {
    show: (node: FeedNode, measured: SourceLag | undefined): void => {
      for (const name of roles) role.set(node.state().role === name ? 1 : 0, { role: name })
      if (!measured) return
      lag.set(measured.behind)
      headroom.set(measured.headroomBytes ?? -1)
    },
  }
}
