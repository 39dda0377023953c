import { isTidemarkError } from '../../errors.js'
import { type Pool, sqlstateOf } from '../../postgres/postgres.js'
import { type AcceptedEvent, normaliserVersion } from '../webhooks.js'

/** What became of an event that was not there before. */
export interface Inserted {
  readonly seq: string
  /** Others of its partition wait in Postgres, so it waits behind them. */
  readonly spooling: boolean
}

/**
 * One statement for a group. Bodies travel as they are, in one value, and each row cuts its own out of it: a list of bytea would be
 * written in hexadecimal digits first. A partition that spools is locked until the row is there for whoever ends the spool to see.
 */
const insertText = `
with given as materialized (
  select * from json_to_recordset($1::json) as g(
    n int, id uuid, p text, t text, k text, y text, s text, et text, ei text, l text, q smallint,
    ea int, el int, ra int, rl int, h jsonb, v boolean, tr text, at double precision, u text)
), spool as materialized (
  select partition from tidemark.webhook_partitions where spooling and partition = any($3::smallint[]) for share
), kept as (
  insert into public.webhook_events (id, provider, tenant, dedupe_key, event_type, source_type, entity_type, entity_id, lane, partition,
    payload, raw, headers, verified, trust, normaliser, status, dead_reason, error, received_at)
  select id, p, t, k, y, s, et, ei, l, q,
    case when el > 0 then convert_from(substring($2::bytea from ea + 1 for el), 'UTF8')::jsonb else 'null'::jsonb end,
    substring($2::bytea from ra + 1 for rl), h, v, tr, $4::int,
    case when u is null then 'accepted' else 'dead' end, case when u is not null then 'unparseable' end, u,
    to_timestamp(at / 1000)
  from given order by n
  on conflict on constraint webhook_events_once do nothing
  returning id, seq, partition
)
select id::text as id, seq::text as seq, partition in (select partition from spool) as spooling from kept`

interface Row {
  readonly id: string
  readonly seq: string
  readonly spooling: boolean
}

interface Piece {
  readonly at: number
  readonly length: number
}

/** Lays bodies and envelopes behind one another. A body that stands in its envelope is not laid down twice. */
class Bytes {
  readonly #parts: Buffer[] = []
  #length = 0

  add(part: Buffer): Piece {
    const piece = { at: this.#length, length: part.length }
    this.#parts.push(part)
    this.#length += part.length
    return piece
  }

  addPair(event: AcceptedEvent): readonly [Piece, Piece] {
    const outer = this.add(event.envelope ?? Buffer.alloc(0))
    const { length } = event.raw
    const isWithin = event.envelope !== undefined && event.rawAtEnd === true
    return [outer, isWithin ? { at: outer.at + outer.length - 1 - length, length } : this.add(event.raw)]
  }

  get all(): Buffer {
    return Buffer.concat(this.#parts, this.#length)
  }
}

const recordOf = (event: AcceptedEvent, n: number, bytes: Bytes): object => {
  const [envelope, raw] = bytes.addPair(event)
  return {
    n,
    id: event.id,
    p: event.provider,
    t: event.tenant,
    k: event.dedupeKey,
    y: event.type,
    s: event.sourceType,
    et: event.entity?.type,
    ei: event.entity?.externalId,
    l: event.lane,
    q: event.partition,
    ea: envelope.at,
    el: envelope.length,
    ra: raw.at,
    rl: raw.length,
    h: event.headers,
    v: event.verified,
    tr: event.trust,
    at: event.receivedAtMs,
    u: event.unparseable,
  }
}

const insertOnce = async (pool: Pool, events: readonly AcceptedEvent[], signal: AbortSignal): Promise<Map<string, Inserted>> => {
  const bytes = new Bytes()
  const records = JSON.stringify(events.map((event, n) => recordOf(event, n, bytes)))
  const partitions = [...new Set(events.map(({ partition }) => partition))]
  const values = [records, bytes.all, partitions, normaliserVersion]
  const { rows } = await pool.query<Row>(insertText, values, { name: 'tidemark_webhooks_insert', signal })
  return new Map(rows.map(({ id, seq, spooling }) => [id, { seq, spooling }]))
}

/** Two processes that wait for each other's keys: one of them is told, and may try again. */
const tries = 4

const insertWhole = async (pool: Pool, events: readonly AcceptedEvent[], signal: AbortSignal): Promise<Map<string, Inserted>> => {
  for (let left = tries - 1; ; left--) {
    try {
      return await insertOnce(pool, events, signal)
    } catch (error) {
      if (left === 0 || !isTidemarkError(error, 'TM_POSTGRES_CONFLICT')) throw error
    }
  }
}

/** Class 22: a value; 54: a limit. What Postgres will not take at the next try either. */
const isOfData = (error: unknown): boolean => /^(?:22|54)/.test(sqlstateOf(error) ?? '')

const asDead = (event: AcceptedEvent, error: unknown): AcceptedEvent => ({
  ...event,
  envelope: undefined,
  unparseable: `Postgres cannot hold it as JSON (${sqlstateOf(error)})`,
})

/**
 * Stores a group of events and gives those that were not there before, by id. Where Postgres cannot hold one as JSON, the others are
 * stored all the same, and that one as a dead letter. Raises TM_POSTGRES_*.
 */
export const insertEvents = async (
  pool: Pool,
  events: readonly AcceptedEvent[],
  signal: AbortSignal,
): Promise<Map<string, Inserted>> => {
  try {
    return await insertWhole(pool, events, signal)
  } catch (error) {
    if (!isOfData(error)) throw error
    const [only, ...others] = events
    if (only && others.length === 0) {
      if (only.unparseable !== undefined) throw error
      return insertWhole(pool, [asDead(only, error)], signal)
    }
  }
  const inserted = new Map<string, Inserted>()
  for (const event of events) {
    for (const [id, row] of await insertEvents(pool, [event], signal)) inserted.set(id, row)
  }
  return inserted
}

/** Where an event stands in a stream. */
export interface StreamPlace {
  readonly partition: number
  readonly entry: string
}

/**
 * Marks rows as in the stream, by their ids. Those that were handled meanwhile need no mark. While a partition spools, rows may have been
 * taken out of a stream that was lost: its row is locked, so that nobody begins to between the look at it and the mark.
 */
export const markQueued = async (pool: Pool, marks: ReadonlyMap<string, StreamPlace>): Promise<void> => {
  const places = [...marks.values()]
  await pool.query(
    `with held as materialized (
       select partition, spooling from tidemark.webhook_partitions where partition = any ($3::smallint[]) order by partition for share)
     update public.webhook_events e set queued = true, stream_id = m.stream_id
       from unnest($1::uuid[], $2::text[]) m(id, stream_id)
      where e.id = m.id and (e.status = 'accepted') is true and not e.queued
        and not exists (select from held where held.partition = e.partition and held.spooling)`,
    [[...marks.keys()], places.map(({ entry }) => entry), [...new Set(places.map(({ partition }) => partition))]],
  )
}

/** From now on the events of these partitions wait in Postgres, until somebody has put all of them into the stream. */
export const startSpooling = async (pool: Pool, partitions: readonly number[], signal: AbortSignal): Promise<void> => {
  await pool.query(
    `insert into tidemark.webhook_partitions (partition, spooling) select p, true from unnest($1::smallint[]) p order by p
     on conflict (partition) do update set spooling = true where not webhook_partitions.spooling`,
    [partitions],
    { signal },
  )
}

/** The partitions whose events wait in Postgres. */
export const readSpooling = async (pool: Pool, signal: AbortSignal): Promise<ReadonlySet<number>> => {
  const { rows } = await pool.query<{ partition: number }>(
    'select partition from tidemark.webhook_partitions where spooling',
    [],
    { idempotent: true, signal },
  )
  return new Set(rows.map(({ partition }) => partition))
}
