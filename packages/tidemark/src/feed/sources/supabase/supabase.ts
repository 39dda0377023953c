/**
 * Changes through Supabase's Realtime, for projects without replication rights. At most once: Realtime keeps no history, loses what happens
 * while nobody is subscribed, may skip changes under load, tells no TRUNCATE, splits transactions into single changes and shows only what the
 * key may read. Whoever follows it treats a change as a sign and a reset as the order to fetch anew. It proves no freshness: a cache that answers
 * only while its feed is proven fresh does not answer from this one.
 */
import type { Logger } from '../../../observability/observability.js'
import type { Clock } from '../../../time/clock.js'
import type { Source } from '../../feed.js'
import type { TableId } from '../../table-id.js'

export interface SupabaseSourceOptions {
  /** `https://PROJECT.supabase.co`, or wherever the project answers. */
  readonly url: string
  /** The service key sees everything; with another, row-level security decides. */
  readonly key: string
  /** Tables of the publication `supabase_realtime`. */
  readonly tables: readonly TableId[]
  /** A token to subscribe with, in place of the key. */
  readonly accessToken?: () => Promise<string | null>
  /** How often a gap is told although none was noticed, so that followers fetch anew what was lost unseen. Default 300,000; Infinity for never. */
  readonly reconcileEveryMs?: number
  /** Changes that wait for the consumer; with more, they are dropped and a gap is told. Default 10,000. */
  readonly maxQueuedChanges?: number
  /** How often the connection is tried for life. Default 25,000. */
  readonly heartbeatMs?: number
  /** How long a subscription may take. Default 10,000. */
  readonly timeoutMs?: number
  /** Version of the wire protocol. Default: that of the installed client. */
  readonly vsn?: '1.0.0' | '2.0.0'
  /** How the optional packages are loaded (`@supabase/supabase-js`; `ws` where Node has no WebSocket of its own). Default: `import`. */
  readonly loadPackage?: (name: string) => Promise<unknown>
  readonly clock?: Clock
  readonly log?: Logger
}

export interface SupabaseSource extends Source {
  readonly kind: 'supabase'
  readonly guarantee: 'atMostOnce'
}
