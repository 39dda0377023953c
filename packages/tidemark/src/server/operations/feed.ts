import { z } from 'zod'
import type { Slot } from '../../feed/slots.js'
import type { ConnectOptions } from '../../postgres/postgres.js'
import type { Database } from '../database/database.js'
import type { FeedDescription } from '../feed/feed.js'
import type { OpenedRedis } from '../open-redis.js'
import type { Project } from '../project/project.js'

export const dropSlotRequest = z.strictObject({ name: z.string().min(1).max(63) })

/** A slot as people and programs see it. */
export interface SlotReport {
  readonly name: string
  readonly state: 'read' | 'idle' | 'lost'
  readonly temporary: boolean
  readonly behindBytes: number
  /** Null where nothing bounds it. */
  readonly headroomBytes: number | null
  readonly walStatus: string | null
  /** Why it can never be read again; null while it can. */
  readonly lost: string | null
}

export interface FollowerReport {
  readonly name: string
  readonly position: string
  readonly updatedAt: string
}

export interface StreamReport {
  readonly name: string
  readonly entries: number
  readonly beating: boolean
}

export interface LagReport {
  /** Of the server that was asked; null where none runs. */
  readonly node: FeedDescription | null
  readonly slots: readonly SlotReport[]
  readonly outbox: readonly { readonly reader: string; readonly rows: number }[]
  readonly followers: readonly FollowerReport[]
  /** Null without Redis, or before anything was published. */
  readonly stream: StreamReport | null
}

type Asking = Awaited<ReturnType<typeof import('../../postgres/driver/connect.js')['connectPostgres']>>

const asking = async <T>(target: ConnectOptions, fn: (client: Asking) => Promise<T>): Promise<T> => {
  const { connectPostgres } = await import('../../postgres/postgres.js')
  const client = await connectPostgres({ ...target, name: 'feed command' })
  try {
    return await fn(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

const reportOf = (slot: Slot): SlotReport => ({
  name: slot.name,
  state: slot.invalidated !== null ? 'lost' : slot.activePid === null ? 'idle' : 'read',
  temporary: slot.temporary,
  behindBytes: slot.behindBytes,
  headroomBytes: slot.headroomBytes,
  walStatus: slot.walStatus,
  lost: slot.invalidated,
})

/** The feed's own role may drop what it made and end its own readers. */
const feedTarget = ({ target, urls }: Database): ConnectOptions => ({ ...target, url: urls.feed })

/** The feed's slots in the project's database. */
export const feedSlots = (project: Project): Promise<{ readonly slots: readonly SlotReport[] }> =>
  project.withDatabase(undefined, async ({ target }) => {
    const { listSlots } = await import('../../feed/slots.js')
    return { slots: (await asking(target, (client) => listSlots(client))).map(reportOf) }
  })

/** Removes a slot of the feed. Raises TM_FEED_SLOT_MISSING, and TM_FEED_SLOT_BUSY while it is read. */
export const feedDropSlot = (project: Project, name: string): Promise<{ readonly dropped: string }> =>
  project.withDatabase(undefined, async (database) => {
    const [{ dropSlot, listSlots }, { TidemarkError }] = await Promise.all([
      import('../../feed/slots.js'),
      import('../../errors.js'),
    ])
    return asking(feedTarget(database), async (client) => {
      // Others' slots are none of ours to drop.
      if (!(await listSlots(client)).some((slot) => slot.name === name))
        throw new TidemarkError('TM_FEED_SLOT_MISSING', { slot: name })
      await dropSlot(client, name)
      return { dropped: name }
    })
  })

const outboxSql = `
  select r.name as reader, (select count(*)::int from tidemark.feed_outbox o where not pg_visible_in_snapshot(o.xid, r.snapshot)) as rows
    from tidemark.feed_outbox_readers r order by 1`

const followersSql = 'select name, position, updated_at as "updatedAt" from tidemark.feed_followers order by name'

const streamOf = async (client: Asking, { redis }: OpenedRedis, name: string): Promise<StreamReport | null> => {
  const [{ scopeOf }, { readCurrent, readNewestBeat }, { streamKey }] = await Promise.all([
    import('../../feed/fan-out/scope.js'),
    import('../../feed/fan-out/stream/stream-reading.js'),
    import('../../feed/fan-out/stream/stream-keys.js'),
  ])
  for (const kind of ['wal', 'outbox']) {
    const current = await readCurrent(redis, await scopeOf(client, `${kind}-${name}`))
    if (!current) continue
    const entries = await redis.command<number>(['XLEN', streamKey(current.stream)])
    const beat = await readNewestBeat(redis, current.stream)
    return { name: current.stream, entries, beating: beat !== undefined && !beat.bye }
  }
  return null
}

export interface LagInput {
  readonly node: FeedDescription | null
  readonly redis: OpenedRedis | undefined
}

/** How far the feed is: what Postgres keeps for it, who follows it durably, and what is in Redis. */
export const feedLag = (project: Project, { node, redis }: LagInput): Promise<LagReport> =>
  project.withDatabase(undefined, async ({ target }) => {
    const { listSlots } = await import('../../feed/slots.js')
    return asking(target, async (client) => {
      const { rows: outbox } = await client.query<LagReport['outbox'][number]>(outboxSql)
      const { rows: followers } = await client.query<{ name: string; position: string; updatedAt: Date }>(followersSql)
      const reachable = redis?.redis.state === 'up'
      return {
        node,
        slots: (await listSlots(client)).map(reportOf),
        outbox,
        followers: followers.map(({ updatedAt, ...rest }) => ({ ...rest, updatedAt: updatedAt.toISOString() })),
        stream: reachable ? await streamOf(client, redis, project.config.feed.slotName).catch(() => null) : null,
      }
    })
  })
