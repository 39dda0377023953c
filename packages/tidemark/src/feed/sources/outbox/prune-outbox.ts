/** What is left of an outbox that nobody reads: seen, forgotten, and pruned. */
import type { OutboxClient } from './install-outbox.js'

/** Rows deleted in one transaction, so that none is long. */
const prunedAtOnce = 5_000

export interface OutboxReaderState {
  readonly name: string
  /** Rows that wait for it. */
  readonly rows: number
  /** When it last said that it reads. */
  readonly seenAt: Date
}

export interface OutboxState {
  readonly rows: number
  readonly bytes: number
  readonly readers: readonly OutboxReaderState[]
}

/** How much the outbox holds, and for whom. */
export const outboxState = async (client: OutboxClient): Promise<OutboxState> => {
  const { rows } = await client.query<{ rows: number; bytes: number }>(
    `select count(*)::int8::float8 as rows, pg_total_relation_size('tidemark.feed_outbox')::float8 as bytes from tidemark.feed_outbox`,
  )
  const { rows: readers } = await client.query<OutboxReaderState>(
    `select r.name, r.seen_at as "seenAt",
            (select count(*) from tidemark.feed_outbox o where not pg_visible_in_snapshot(o.xid, r.snapshot))::int8::float8 as rows
       from tidemark.feed_outbox_readers r order by 1`,
  )
  return { ...rows[0]!, readers }
}

// Without a reader nobody will ever ask for what is there: one that comes begins with what is committed from then on.
const pruneSql = `delete from tidemark.feed_outbox where ctid = any(array(
  select o.ctid from tidemark.feed_outbox o
   where not exists (select from tidemark.feed_outbox_readers r where not pg_visible_in_snapshot(o.xid, r.snapshot))
   order by o.xid limit $1)) returning 1`

/** Deletes what no reader waits for, in small transactions; answers with how many rows. The client must not be in a transaction. */
export const pruneOutbox = async (client: OutboxClient): Promise<number> => {
  for (let pruned = 0; ; ) {
    const { rows } = await client.query(pruneSql, [prunedAtOnce])
    pruned += rows.length
    if (rows.length < prunedAtOnce) return pruned
  }
}
