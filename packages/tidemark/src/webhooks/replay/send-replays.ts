import { reasonOf } from '../../errors.js'
import type { Client, Pool } from '../../postgres/postgres.js'
import type { Renormalise, Renormalised, StoredEvent } from '../webhooks.js'

export interface SendReplaysOptions {
  readonly pool: Pool
  readonly renormalise: Renormalise | undefined
}

type Row = Omit<StoredEvent, 'receivedAtMs' | 'edited'> & { readonly received_ms: number; readonly edited: boolean }

interface Running {
  readonly id: string
  /** Written by an operator, in place of what came. */
  readonly body: Buffer | null
}

const storedOf = ({ received_ms: receivedAtMs, ...row }: Row): StoredEvent => ({ ...row, receivedAtMs })

/** Selected, and not sent so far. */
const unsent = `replay_id = $1 and attempts = 0 and status in ('dead', 'failed', 'processed')`

const nextRows = async (db: Client, { id: replayId, body }: Running, count: number): Promise<readonly Row[]> => {
  const { rows } = await db.query<Row>(
    `select id, provider, tenant, coalesce($3::bytea, raw) as raw, headers, verified, trust, (extract(epoch from received_at) * 1000)::float8 as received_ms,
            normaliser, $3::bytea is not null as edited
       from public.webhook_events where ${unsent} order by seq limit $2 for update skip locked`,
    [replayId, count, body],
  )
  return rows
}

const understand = async (renormalise: Renormalise | undefined, row: Row): Promise<Renormalised | undefined> => {
  if (!renormalise) return row.edited ? { unparseable: 'these workers are not told how to read a body anew' } : undefined
  try {
    return await renormalise(storedOf(row))
  } catch (error) {
    return { unparseable: reasonOf(error) }
  }
}

const rewrite = async (db: Client, { id }: Row, made: Extract<Renormalised, { envelope: string }>): Promise<void> => {
  await db.query(
    `update public.webhook_events
        set event_type = $2, source_type = $3, entity_type = $4, entity_id = $5, lane = $6, partition = $7, payload = $8,
            normaliser = $9
      where id = $1`,
    [
      id,
      made.type,
      made.sourceType,
      made.entity?.type ?? null,
      made.entity?.externalId ?? null,
      made.lane,
      made.partition,
      made.envelope,
      made.normaliser,
    ],
    { name: 'hooks rewrite' },
  )
}

const giveUp = async (db: Client, { id }: Row, reason: string): Promise<void> => {
  await db.query(
    `update public.webhook_events
        set status = 'dead', dead_reason = 'unparseable', error = $2, attempts = 1, processed_at = null, next_attempt_at = null
      where id = $1`,
    [id, reason],
  )
}

/** Each gets a turn behind what its lane holds at the moment. Its time of receiving and its bytes stay. */
const send = async (db: Client, ids: readonly string[]): Promise<void> => {
  await db.query(
    `update public.webhook_events event
        set status = 'accepted', dead_reason = null, error = null, claims = 0, queued = false, processed_at = null,
            next_attempt_at = clock_timestamp(), turn = place.turn
       from (select id, nextval('public.webhook_events_seq_seq') as turn
               from (select id from unnest($1::uuid[]) with ordinality as given(id, place) order by place) as ordered) as place
      where event.id = place.id`,
    [ids],
  )
}

const sendSome = async (db: Client, replay: Running, count: number, renormalise: Renormalise | undefined): Promise<number> => {
  const rows = await nextRows(db, replay, count)
  const good: string[] = []
  for (const row of rows) {
    const made = await understand(renormalise, row)
    if (made && 'unparseable' in made) await giveUp(db, row, made.unparseable)
    else {
      if (made) await rewrite(db, row, made)
      good.push(row.id)
    }
  }
  if (good.length > 0) await send(db, good)
  return rows.length
}

/** Sends the next events of the oldest replay that runs, as the code of today understands them. Gives how many. */
export const sendReplays = ({ pool, renormalise }: SendReplaysOptions, count: number): Promise<number> =>
  pool.transaction(async (db) => {
    const { rows } = await db.query<Running>(
      `select id, body from tidemark.webhook_replays where status = 'running' order by created_at limit 1 for update skip locked`,
      [],
      { name: 'hooks replay' },
    )
    const [replay] = rows
    if (!replay) return 0
    const sent = await sendSome(db, replay, count, renormalise)
    await db.query(
      `update tidemark.webhook_replays
          set sent = sent + $2::int, status = case when $2::int = 0 then 'done' else status end,
              finished_at = case when $2::int = 0 then now() end
        where id = $1`,
      [replay.id, sent],
    )
    return sent
  })
