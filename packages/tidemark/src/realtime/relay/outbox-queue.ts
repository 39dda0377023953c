import { randomUUID } from 'node:crypto'
import { followerPosition } from '../../feed/follow/follower-position.js'
import type { Position } from '../../feed/position.js'
import type { Client, Pool } from '../../postgres/postgres.js'
import type { Json } from '../realtime.js'
import type { RelayMessage, RelayQueue } from './relay.js'

export interface OutboxQueueOptions {
  /** Of the database that has Tidemark's own tables. */
  readonly pool: Pool
  /** The relay's: what waits is its own. */
  readonly name: string
  /** What waits at most; beyond it the oldest gives way. Default 100,000. */
  readonly maxMessages?: number
  /** How long it is remembered that something was told. Default one hour. */
  readonly keepSentMs?: number
  /** After so long without a word another process sends. Default 20 s; more than one round of sending takes. */
  readonly leaseMs?: number
}

export interface OutboxQueue extends RelayQueue {
  /** Takes messages within a transaction of the caller's: they are told where it commits, and only there. Wake the relay then. */
  addWithin(client: Pick<Client, 'query'>, messages: readonly RelayMessage[]): Promise<number>
}

interface OutboxRow {
  readonly id: string
  readonly event_id: string
  readonly channel: string
  readonly event: string
  readonly data: { readonly [name: string]: Json }
  readonly committed_at: Date | null
}

const insertSql = `
  insert into tidemark.relay_outbox (relay, event_id, channel, event, data, committed_at)
  select $1, message ->> 'id', message ->> 'channel', message ->> 'event', message -> 'data', (message ->> 'committedAt')::timestamptz
    from json_array_elements($2::json) with ordinality as given(message, place)
   order by place
      on conflict (relay, channel, event, event_id) do nothing`

// Whoever holds the lease, or takes one that has run out, gets what waits; others get nothing.
const leaseSql = `
  insert into tidemark.relay_leases (relay, holder, expires_at) values ($1, $2, clock_timestamp() + $3 * interval '1 ms')
      on conflict (relay) do update set holder = excluded.holder, expires_at = excluded.expires_at
   where relay_leases.holder = excluded.holder or relay_leases.expires_at < clock_timestamp()
  returning holder`

const peekSql = `
  select id::text as id, event_id, channel, event, data, committed_at from tidemark.relay_outbox
   where relay = $1 and sent_at is null order by relay_outbox.id limit $2`

const doneSql = `
  update tidemark.relay_outbox set sent_at = clock_timestamp()
   where relay = $1 and (channel, event, event_id) in (select * from unnest($2::text[], $3::text[], $4::text[]))`

const trimSql = `
  update tidemark.relay_outbox set sent_at = clock_timestamp()
   where relay = $1 and id in (
     select id from tidemark.relay_outbox where relay = $1 and sent_at is null order by id desc offset $2)
  returning channel`

const forgetSql = `
  delete from tidemark.relay_outbox where id in (
    select id from tidemark.relay_outbox where relay = $1 and sent_at < clock_timestamp() - $2 * interval '1 ms' limit 1000)`

/** How many additions pass before room is looked at. */
const trimEvery = 50
const forgetEveryMs = 30_000

/**
 * In Postgres: kept over restarts, taken once whoever of many processes brings it, sent by one of them at a time, in order (C60, C61).
 */
export const createOutboxQueue = (options: OutboxQueueOptions): OutboxQueue => {
  const { pool, name, maxMessages = 100_000, keepSentMs = 3_600_000, leaseMs = 20_000 } = options
  const holder = randomUUID()
  const position = followerPosition(`relay:${name}`)
  const gaps = new Set<string>()
  let additions = 0
  let forgotAt = 0

  const insert = async (db: Pick<Client, 'query'>, messages: readonly RelayMessage[]): Promise<number> => {
    if (messages.length === 0) return 0
    const { rowCount } = await db.query(insertSql, [name, JSON.stringify(messages)])
    return rowCount ?? 0
  }

  /** False where another process took this transaction before. */
  const insertAt = (messages: readonly RelayMessage[], at: Position): Promise<number> =>
    pool.transaction(async (client) => {
      const isNew = await position.set({ query: (text, values) => client.query(text, values) }, at)
      return isNew ? insert(client, messages) : 0
    })

  const trim = async (): Promise<number> => {
    const { rows } = await pool.query<{ channel: string }>(trimSql, [name, maxMessages])
    for (const { channel } of rows) gaps.add(channel)
    return rows.length
  }

  const forget = async (): Promise<void> => {
    if (Date.now() - forgotAt < forgetEveryMs) return
    forgotAt = Date.now()
    for (let gone = 1000; gone === 1000; ) gone = (await pool.query(forgetSql, [name, keepSentMs])).rowCount ?? 0
  }

  const hasLease = async (): Promise<boolean> => (await pool.query(leaseSql, [name, holder, leaseMs])).rows.length > 0

  return {
    isDurable: true,
    addWithin: insert,
    add: async (messages, at) => {
      const added = at ? await insertAt(messages, at) : await insert(pool, messages)
      additions += added
      if (additions < trimEvery) return { added, dropped: 0 }
      additions = 0
      return { added, dropped: await trim() }
    },
    peek: async (most) => {
      if (!(await hasLease())) return []
      await forget()
      const { rows } = await pool.query<OutboxRow>(peekSql, [name, most])
      return rows.map(({ event_id, channel, event, data, committed_at }) => ({
        id: event_id,
        channel,
        event,
        data,
        ...(committed_at !== null && { committedAt: new Date(committed_at) }),
      }))
    },
    done: async (messages) => {
      if (messages.length === 0) return
      const columns = [messages.map((m) => m.channel), messages.map((m) => m.event), messages.map((m) => m.id)]
      await pool.query(doneSql, [name, ...columns], { idempotent: true })
    },
    takeGaps: () => {
      const channels = [...gaps]
      gaps.clear()
      return channels
    },
    size: async () => {
      const { rows } = await pool.query<{ n: string }>(
        'select count(*) as n from tidemark.relay_outbox where relay = $1 and sent_at is null',
        [name],
        { idempotent: true },
      )
      return Number(rows[0]?.n ?? 0)
    },
    stored: () => position.get({ query: (text, values) => pool.query(text, values) }),
    release: async () => {
      await pool.query('delete from tidemark.relay_leases where relay = $1 and holder = $2', [name, holder])
    },
  }
}
