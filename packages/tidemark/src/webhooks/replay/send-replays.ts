import { reasonOf } from '../../errors.js'
import type { Client, Pool } from '../../postgres/postgres.js'
import type { Renormalise, Renormalised, StoredEvent } from '../webhooks.js'
import { appendLine, type EndedAttempt, endedLine, failureOf } from '../workers/runs/attempt-log.js'

export interface SendReplaysOptions {
  readonly pool: Pool
  readonly renormalise: Renormalise | undefined
  /** Who sends them. */
  readonly worker: string
}

type Row = Omit<StoredEvent, 'receivedAtMs' | 'edited'> & { readonly received_ms: number; readonly edited: boolean }

interface Running {
  readonly id: string
  /** Written by an operator, in place of what came. */
  readonly body: Buffer | null
}

const storedOf = ({ received_ms: receivedAtMs, ...row }: Row): StoredEvent => ({ ...row, receivedAtMs })

/** Of a replay, and sent by it. */
export interface SentEvent {
  readonly id: string
  readonly partition: number
  readonly lane: string
}

export interface SendLimits {
  /** Of which events are sent: of those that this process handles. */
  readonly partitions: readonly number[]
  /** And of those from this one on, which are nobody's since there are fewer than there were. Undefined where another process sends them. */
  readonly partitionsFrom?: number | undefined
  /** Sent now, at most. */
  readonly count: number
  /** On their way at a time, at most. */
  readonly most: number
  /** False where an event is done, or waits for the next attempt of one before it. */
  isUnderWay(event: SentEvent): boolean
}

/** Unsent events that are looked for at a time. */
const page = 5_000

/** Selected, and not sent so far. */
const unsent = `replay_id = $1 and attempts = 0 and status in ('dead', 'failed', 'processed')`

const idsOf = async (db: Client, text: string, values: readonly unknown[]): Promise<readonly string[]> =>
  (await db.query<{ id: string }>(text, values)).rows.map(({ id }) => id)

const rowsOf = async (db: Client, { id: replayId, body }: Running, ids: readonly string[]): Promise<readonly Row[]> => {
  const { rows } = await db.query<Row>(
    `select id, provider, tenant, coalesce($3::bytea, raw) as raw, headers, verified, trust, (extract(epoch from received_at) * 1000)::float8 as received_ms,
            normaliser, $3::bytea is not null as edited
       from public.webhook_events where id = any ($2::uuid[]) and ${unsent} order by seq for update skip locked`,
    [replayId, ids, body],
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

const giveUp = async (db: Client, { id }: Row, reason: string, worker: string): Promise<void> => {
  await db.query(
    `update public.webhook_events
        set status = 'dead', dead_reason = 'unparseable', error = $2, attempts = 1, processed_at = null, next_attempt_at = null,
            ${appendLine(endedLine('$3', { attempt: '1', deadReason: `'unparseable'` }))}
      where id = $1`,
    [id, reason, JSON.stringify({ ...failureOf(reason), worker, durationMs: null } satisfies EndedAttempt)],
  )
}

/** Each gets a turn behind what its lane holds at the moment. Its time of receiving and its bytes stay. */
const send = async (db: Client, ids: readonly string[]): Promise<readonly SentEvent[]> => {
  if (ids.length === 0) return []
  const { rows } = await db.query<SentEvent>(
    `update public.webhook_events event
        set status = 'accepted', dead_reason = null, error = null, claims = 0, queued = false, processed_at = null,
            next_attempt_at = clock_timestamp(), turn = place.turn
       from (select id, nextval('public.webhook_events_seq_seq') as turn
               from (select id from unnest($1::uuid[]) with ordinality as given(id, place) order by place) as ordered) as place
      where event.id = place.id returning event.id, event.partition, event.lane`,
    [ids],
  )
  return rows
}

/** What a process remembers of the replay that it sends; whoever comes after it finds it in the rows. */
interface Progress {
  readonly replayId: string
  readonly partitions: string
  /** In their order. */
  unsent: readonly string[]
}

/**
 * Sends the events of replays, the oldest replay first, as the code of today understands them. Each process sends those that it handles
 * itself, and only so many are on their way at a time: what comes meanwhile stands behind those and not behind all.
 */
export class ReplaySender {
  readonly #options: SendReplaysOptions
  #progress: Progress | undefined
  #underWay: readonly SentEvent[] = []

  constructor(options: SendReplaysOptions) {
    this.#options = options
  }

  /** Gives what was sent; undefined where there is nothing to be sent. */
  async send(limits: SendLimits): Promise<readonly SentEvent[] | undefined> {
    const { count, most, isUnderWay } = limits
    this.#underWay = this.#underWay.filter(isUnderWay)
    const room = Math.min(count, most - this.#underWay.length)
    if (room <= 0) return []
    try {
      const sent = await this.#options.pool.transaction((db) => this.#sendNext(db, limits, room))
      this.#underWay = [...this.#underWay, ...(sent ?? [])]
      return sent
    } catch (error) {
      this.#progress = undefined
      throw error
    }
  }

  async #sendNext(db: Client, { partitions, partitionsFrom }: SendLimits, room: number) {
    const { rows } = await db.query<Running>(
      `select id, body from tidemark.webhook_replays where status = 'running' order by created_at limit 1`,
      [],
      { name: 'hooks replay' },
    )
    const [replay] = rows
    if (!replay) return undefined
    const progress = this.#progressOf(replay.id, partitions)
    if (progress.unsent.length === 0) {
      progress.unsent = await idsOf(
        db,
        `select id from public.webhook_events where ${unsent} 
            and (partition = any ($2::smallint[]) or partition >= $3) order by seq limit ${page}`,
        [replay.id, partitions, partitionsFrom ?? null],
      )
    }
    if (progress.unsent.length === 0) {
      await db.query(
        `update tidemark.webhook_replays set status = 'done', finished_at = now()
          where id = $1 and status = 'running' and not exists (select from public.webhook_events where ${unsent})`,
        [replay.id],
      )
      return undefined
    }
    return this.#sendSome(db, replay, progress, room)
  }

  #progressOf(replayId: string, owned: readonly number[]): Progress {
    const partitions = owned.join()
    if (this.#progress?.replayId !== replayId || this.#progress.partitions !== partitions)
      this.#progress = { replayId, partitions, unsent: [] }
    return this.#progress
  }

  async #sendSome(db: Client, replay: Running, progress: Progress, count: number): Promise<readonly SentEvent[]> {
    const rows = await rowsOf(db, replay, progress.unsent.slice(0, count))
    progress.unsent = progress.unsent.slice(count)
    const good: string[] = []
    for (const row of rows) {
      const made = await understand(this.#options.renormalise, row)
      if (made && 'unparseable' in made) await giveUp(db, row, made.unparseable, this.#options.worker)
      else {
        if (made) await rewrite(db, row, made)
        good.push(row.id)
      }
    }
    const sent = await send(db, good)
    await db.query('update tidemark.webhook_replays set sent = sent + $2::int where id = $1', [replay.id, rows.length])
    return sent
  }
}
