import type { Caller } from '../../../auth/caller.js'
import type { FanOutRedis } from '../../../feed/fan-out/fan-out.js'
import { createFanOut } from '../../../feed/fan-out/open-fan-out.js'
import { type FeedNode, openFeedNode } from '../../../feed/fan-out/open-feed-node.js'
import { outboxSources } from '../../../feed/fan-out/outbox-sources.js'
import { walSources } from '../../../feed/fan-out/wal-sources.js'
import type { Position } from '../../../feed/position.js'
import { addToPublication } from '../../../feed/publication.js'
import { installOutbox } from '../../../feed/sources/outbox/install-outbox.js'
import { connectPostgres, createNamedPool, createPools, type Pool } from '../../../postgres/postgres.js'
import { createRedis } from '../../../redis/create-redis.js'
import { testUrl } from '../../../schema/testing/bootstrapped-template.js'
import { until } from '../../../time/until.js'
import type { ChangeListener, Gap, VisibleChange } from '../../realtime.js'
import { openVisibility } from '../../visibility/visibility.js'
import { type ChangesSettings, type OpenChanges, openChanges } from '../open-changes.js'
import type { Visibility } from '../visibility-port.js'

export const service: Caller = { role: 'service_role', claims: { role: 'service_role' } }
export const anonymous: Caller = { role: 'anon', claims: { role: 'anon' } }
export const userId = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
export const user = (n: number): Caller => ({ role: 'authenticated', claims: { role: 'authenticated', sub: userId(n) } })

/** A listener that keeps what it is told. */
export interface Told extends ChangeListener {
  readonly changes: { readonly change: VisibleChange; readonly bindings: readonly number[] }[]
  readonly gaps: Gap[]
  readonly passes: Position[]
  readonly failures: string[]
  /** `INSERT {"id":1} [0]`, in the order in which it was told. */
  readonly lines: string[]
}

export const createTold = (): Told => {
  const told: Pick<Told, 'changes' | 'gaps' | 'passes' | 'failures' | 'lines'> = {
    changes: [],
    gaps: [],
    passes: [],
    failures: [],
    lines: [],
  }
  return {
    ...told,
    change: (change, bindings) => {
      told.changes.push({ change, bindings })
      told.lines.push(`${change.event} ${change.recordJson ?? change.oldRecordJson} ${JSON.stringify(bindings)}`)
    },
    gap: (gap) => {
      told.gaps.push(gap)
      told.lines.push(`gap ${gap.reason}`)
    },
    passed: (position) => void told.passes.push(position),
    failed: (reason) => void told.failures.push(reason),
  }
}

export interface OpenTold {
  readonly changes: OpenChanges
  readonly node: FeedNode
  close(): Promise<void>
}

export interface OpenToldOptions {
  readonly url: string
  readonly slot: string
  readonly settings?: ChangesSettings
  readonly replayWindowMs?: number
  /** Without it there is no Redis. */
  readonly redisUrl?: string
  readonly visibility?: (real: Visibility) => Visibility
  /** Reads the outbox in place of the log. */
  readonly outbox?: boolean
  /** Before the list of tables is read. */
  readonly beforeTables?: () => Promise<void>
}

const redisOf = async (url: string | undefined): Promise<FanOutRedis & { stop(): Promise<void> }> => {
  const connect = () => createRedis(url === undefined ? {} : { url, commandTimeoutMs: 500, retryMaxMs: 100 })
  const redis = await connect()
  return { redis, connect, stop: () => redis.stop() }
}

/** Changes as a server tells them: over a feed of its own that reads the log, judged by the database's policies. */
export const openTold = async (options: OpenToldOptions): Promise<OpenTold> => {
  const { url, slot, settings, replayWindowMs = 60_000, redisUrl, visibility: wrap = (real) => real } = options
  const pools = createPools({ url: testUrl(url, 'app'), pools: { primary: { maxConnections: 6, minConnections: 0 } } })
  const callers = createNamedPool('realtime', { url: testUrl(url, 'authenticator') })
  const visibility = openVisibility({ pool: callers, listen: { url: testUrl(url, 'authenticator') } })
  const admin = { url: testUrl(url, 'migrator') }
  const name = `pub_${slot}`
  const pool: Pool = {
    ...pools.primary,
    batch: (...statements) => pools.primary.batch(...statements),
    withClient: (work) => pools.primary.withClient(work),
    query: async (text, values, how) => {
      if (text.includes('pg_publication_rel')) await options.beforeTables?.()
      return pools.primary.query(text, values, how)
    },
  }
  const changes = openChanges({
    pool,
    visibility: wrap(visibility),
    follow: async (tables, refused) => {
      const client = await connectPostgres(admin)
      try {
        if (options.outbox) return await installOutbox(client, tables)
        return await addToPublication(client, { name, tables }, (table, error) => refused(table, String(error)))
      } finally {
        await client.end()
      }
    },
    settings: { pollMs: 100, ...settings },
  })
  const redis = await redisOf(redisUrl)
  const shared = { name: slot, maxSilenceMs: 400, install: async () => {} }
  const outbox = outboxSources({ ...shared, pool: pools.primary, tables: 'installed', listen: { url: testUrl(url, 'app') } })
  const log = walSources({
    target: { url: testUrl(url, 'feed') },
    adminTarget: admin,
    slotName: slot,
    publication: name,
    tables: [],
    alongside: 'supabase_realtime',
    maxSilenceMs: 400,
  })
  const fanOut = createFanOut({
    sources: options.outbox ? outbox : log,
    redis,
    maxSilenceMs: 400,
    replayWindowMs,
    begins: 'oldest',
  })
  const node = await openFeedNode({ fanOut, followers: [changes.follower] })
  // A slot comes about once every transaction of the server has ended, those of other tests included; who listens waits for five seconds.
  if (!options.beforeTables) await until(() => node.isFresh(1000, changes.follower.name), { what: 'The feed', timeoutMs: 30_000 })
  return {
    changes,
    node,
    close: async () => {
      await node.stop()
      await changes.stop()
      await visibility.stop()
      await Promise.all([pools.stop(), callers.stop(), redis.stop()])
    },
  }
}
