import { TidemarkError } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import type { ConnectOptions } from '../../postgres/driver/connect.js'
import type { Pool } from '../../postgres/postgres.js'
import type { Clock } from '../../time/clock.js'
import type { FeedEvent } from '../feed.js'
import type { Asker } from '../slots.js'
import { createOutboxSource } from '../sources/outbox/outbox-source.js'
import type { TableId } from '../table-id.js'
import type { FeedSources, Lease, LeasedSource, LeaseHolder } from './fan-out.js'
import { scopeOf } from './scope.js'

export interface OutboxSourcesOptions {
  readonly pool: Pool
  /** `installed`: all that the outbox is installed on, whenever that was. */
  readonly tables: readonly TableId[] | 'installed'
  /** Of the reader that all nodes share. */
  readonly name: string
  readonly maxSilenceMs: number
  /** Makes the outbox catch the changes of the tables, where it does not yet. */
  readonly install: () => Promise<void>
  /** A session to be notified in. */
  readonly listen?: ConnectOptions
  readonly log?: Logger
  readonly clock?: Clock
}

interface HolderRow {
  readonly holder: string | null
  readonly alive: boolean
}

/** The reader's row is the lease: there is no server process to end. */
const rowLease = ({ pool, name, maxSilenceMs }: OutboxSourcesOptions): Lease => {
  let seen: string | null = null
  return {
    holder: async (): Promise<LeaseHolder> => {
      const { rows } = await pool.query<HolderRow>(
        `select holder, seen_at > clock_timestamp() - make_interval(secs => $2::float8 / 1000) as alive
           from tidemark.feed_outbox_readers where name = $1`,
        [name, maxSilenceMs * 2],
        { idempotent: true },
      )
      const [row] = rows
      seen = row?.holder ?? null
      if (!row) return { state: 'absent' }
      return row.holder === null || !row.alive ? { state: 'free' } : { state: 'held', pid: 0 }
    },
    takeOver: async () => {
      await pool.query('update tidemark.feed_outbox_readers set holder = null where name = $1 and holder = $2', [name, seen])
    },
  }
}

/** How long the lease may take to be had, before it counts as another's. */
const openTimeoutMs = 300

/** The outbox takes its lease when it is read; whoever only opens it has to read as much as that takes. */
const leased = (options: OutboxSourcesOptions, lease: Lease): LeasedSource => {
  const { pool, name, tables, listen, maxSilenceMs, install, log, clock } = options
  const source = createOutboxSource({
    pool,
    name,
    tables,
    leaseMs: maxSilenceMs * 2,
    ...(listen && { listen }),
    ...(log && { log }),
    ...(clock && { clock }),
  })
  const firstEvent = async (): Promise<FeedEvent | undefined> => {
    const controller = new AbortController()
    const timer = setTimeout(() => controller.abort(), openTimeoutMs)
    try {
      for await (const event of source.events(controller.signal)) return event
      return undefined
    } finally {
      clearTimeout(timer)
    }
  }
  return {
    kind: 'outbox',
    guarantee: 'exact',
    open: async () => {
      await install()
      const busy = new TidemarkError('TM_FEED_SLOT_BUSY', { slot: name, pid: 0 })
      if ((await lease.holder()).state === 'held') throw busy
      await source.open()
      const first = await firstEvent()
      if (!first) throw busy
      return first.position
    },
    events: (signal, from) => source.events(signal, from),
    confirm: (position) => source.confirm(position),
    lag: () => source.lag(),
    stop: () => source.stop(),
  }
}

/** Nodes that share one reader of the outbox. None can read apart: there is one set of rows, and one who deletes them. */
export const outboxSources = (options: OutboxSourcesOptions): FeedSources => {
  const lease = rowLease(options)
  return {
    reader: () => leased(options, lease),
    lease,
    scope: () => options.pool.withClient((client) => scopeOf(client as unknown as Asker, `outbox-${options.name}`)),
  }
}
