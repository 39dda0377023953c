import type { Client } from '../../../postgres/postgres.js'
import type { DeadReason } from '../../webhooks.js'
import { abandonedLine, appendLine, type EndedAttempt, endedLine } from './attempt-log.js'
import { type HeldEvent, type HeldRow, heldColumns } from './held-event.js'

/** Statements on `webhook_events`. All run in a transaction that began with {@link fence}. */

/**
 * What an event is while something is still to be done with it. Written so that no index is read for it: the one on the status holds, of
 * what is done soon, mostly entries of rows that were replaced since.
 */
const open = `(status in ('accepted', 'processing', 'failed')) is true`

/** False where this worker no longer owns the partition. The lock keeps whoever takes it over waiting until this transaction ends. */
export const fence = async (db: Client, partition: number, epoch: string): Promise<boolean> => {
  const { rowCount } = await db.query(
    'select 1 from tidemark.webhook_partitions where partition = $1 and epoch = $2 for share',
    [partition, epoch],
    { name: 'hooks fence' },
  )
  return rowCount === 1
}

export interface Marked {
  readonly id: string
  readonly attempts: number
  readonly replay_id: string | null
}

export interface Mark {
  readonly partition: number
  readonly epoch: string
  readonly ids: readonly string[]
  readonly isStored: boolean
  /** Who does it. */
  readonly worker: string
}

/**
 * Marks what is open as processed, if this worker still owns the partition: {@link fence} in the same statement. What is parked is left
 * to the run over its lane's rows, unless this is it.
 */
export const mark = async (db: Client, { partition, epoch, ids, isStored, worker }: Mark): Promise<readonly Marked[]> => {
  if (ids.length === 0) return []
  const { rows } = await db.query<Marked>(
    `with fence as materialized (
       select from tidemark.webhook_partitions where partition = $3 and epoch = $4 for share)
     update public.webhook_events
        set status = 'processed', processed_at = now(), attempts = attempts + 1, claims = 0, next_attempt_at = null,
            worker = $5
      where id = any ($1::uuid[]) and ${open} and (next_attempt_at is null or $2::boolean) and exists (select from fence)
      returning id, attempts, replay_id`,
    [ids, isStored, partition, epoch, worker],
    { name: 'hooks mark' },
  )
  return rows
}

const wholeColumns = [
  ['id', 'uuid'],
  ['provider', 'text'],
  ['tenant', 'text'],
  ['dedupe_key', 'text'],
  ['event_type', 'text'],
  ['source_type', 'text'],
  ['entity_type', 'text'],
  ['entity_id', 'text'],
  ['lane', 'text'],
  ['partition', 'smallint'],
  ['payload', 'jsonb'],
  ['raw', 'bytea'],
  ['headers', 'jsonb'],
  ['verified', 'boolean'],
  ['trust', 'text'],
  ['normaliser', 'integer'],
  ['received_at', 'timestamptz'],
  ['stream_id', 'text'],
] as const

const wholeNames = wholeColumns.map(([name]) => name).join(', ')
const wholeArrays = wholeColumns.map(([, type], index) => `$${index + 1}::${type}[]`).join(', ')

const wholeValues = (events: readonly HeldEvent[]): readonly unknown[] => {
  const of = <T>(read: (event: HeldEvent, whole: NonNullable<HeldEvent['whole']>) => T): readonly T[] =>
    events.map((event) => read(event, event.whole!))
  return [
    of(({ id }) => id),
    of(({ provider }) => provider),
    of(({ tenant }) => tenant),
    of((_event, { dedupeKey }) => dedupeKey),
    of(({ type }) => type),
    of((_event, { sourceType }) => sourceType),
    of((_event, { entity }) => entity?.type ?? null),
    of((_event, { entity }) => entity?.externalId ?? null),
    of(({ lane }) => lane),
    of(({ partition }) => partition),
    of(({ payload }) => payload),
    of((_event, { raw }) => raw),
    of((_event, { headers }) => JSON.stringify(headers)),
    of((_event, { verified }) => verified),
    of((_event, { trust }) => trust),
    of((_event, { normaliser }) => normaliser),
    of(({ receivedAtMs }) => new Date(receivedAtMs).toISOString()),
    of(({ streamId }) => streamId ?? null),
  ]
}

const insertText = (extraNames: string, extraValues: string): string => `
  insert into public.webhook_events (${wholeNames}, ${extraNames})
  select ${wholeNames}, ${extraValues}
    from unnest(${wholeArrays}) with ordinality as whole(${wholeNames}, place) order by place
  on conflict do nothing returning id, attempts, null::text as replay_id`

const insertProcessed = insertText('status, processed_at, attempts, worker', `'processed', now(), 1, $${wholeColumns.length + 1}`)
const insertAccepted = insertText('queued', 'false')

/** Makes the rows of events that had none, marked already. Gives those that it made; the others are known under some id. */
export const insertMarked = async (db: Client, events: readonly HeldEvent[], worker: string): Promise<readonly Marked[]> => {
  if (events.length === 0) return []
  return (await db.query<Marked>(insertProcessed, [...wholeValues(events), worker], { name: 'hooks insert marked' })).rows
}

/** Makes the rows of events that had none, to be handled. */
export const insertOpen = async (db: Client, events: readonly HeldEvent[]): Promise<void> => {
  if (events.length > 0) await db.query(insertAccepted, wholeValues(events), { name: 'hooks insert open' })
}

export const markFailed = async (
  db: Client,
  id: string,
  retryInMs: number,
  error: string,
  ended: EndedAttempt,
): Promise<void> => {
  const dueAt = 'statement_timestamp() + make_interval(secs => $2 / 1000.0)'
  await db.query(
    `update public.webhook_events
        set status = 'failed', processed_at = null, queued = false, claims = 0, error = $3, next_attempt_at = ${dueAt},
            turn = coalesce(turn, nextval('public.webhook_events_seq_seq')),
            ${appendLine(endedLine('$4', { nextAt: dueAt }))}
      where id = $1`,
    [id, retryInMs, error, JSON.stringify(ended)],
  )
}

/** Without `ended` nothing was tried: the lines of the attempts before say why. */
export const markDead = async (
  db: Client,
  id: string,
  reason: DeadReason,
  error: string,
  ended?: EndedAttempt,
): Promise<void> => {
  const line = endedLine('$4', { attempt: 'greatest(attempts, 1)', deadReason: '$2::text' })
  await db.query(
    `update public.webhook_events
        set status = 'dead', dead_reason = $2, error = $3, processed_at = null, queued = false, claims = 0,
            attempts = greatest(attempts, 1), next_attempt_at = null, turn = null, ${appendLine(line, '$4::jsonb is not null')}
      where id = $1`,
    [id, reason, error, ended ? JSON.stringify(ended) : null],
  )
}

/** Adds the line of an attempt that succeeded, with how long it took: only where it was not the first, which is to cost nothing more. */
export const logSuccess = async (db: Client, id: string, ended: EndedAttempt): Promise<void> => {
  await db.query(`update public.webhook_events set ${appendLine(endedLine('$2'))} where id = $1`, [id, JSON.stringify(ended)], {
    name: 'hooks log',
  })
}

/** Takes marks of this transaction back: their events have not run. Those that are stored keep their turn. */
export const unmark = async (db: Client, ids: readonly string[], isStored: boolean): Promise<void> => {
  if (ids.length === 0) return
  await db.query(
    `update public.webhook_events
        set status = 'accepted', processed_at = null, attempts = attempts - 1,
            next_attempt_at = case when $2::boolean then 'infinity'::timestamptz end
      where id = any ($1::uuid[])`,
    [ids, isStored],
  )
}

/** Stores events behind their lanes, in this order. What is parked already keeps its turn, and what is done stays done. */
export const park = async (db: Client, events: readonly HeldEvent[], due: 'now' | 'behind' = 'behind'): Promise<void> => {
  await insertOpen(
    db,
    events.filter(({ whole }) => whole),
  )
  await db.query(
    `update public.webhook_events event
        set queued = false, next_attempt_at = case when $2::boolean then clock_timestamp() else 'infinity' end, turn = place.turn
       from (select id, nextval('public.webhook_events_seq_seq') as turn
               from (select id from unnest($1::uuid[]) with ordinality as given(id, place) order by place) as ordered) as place
      where event.id = place.id and ${open} and event.next_attempt_at is null`,
    [events.map(({ id }) => id), due === 'now'],
  )
}

/**
 * Counts for all that is open that its worker ended while it ran, perhaps with others, and logs it where that one, `lostBy`, did not give
 * the partition back. Gives how often that has happened to each.
 */
export const countCrash = async (
  db: Client,
  ids: readonly string[],
  lostBy: string | undefined,
): Promise<ReadonlyMap<string, number>> => {
  if (ids.length === 0) return new Map()
  const { rows } = await db.query<{ id: string; claims: number }>(
    `update public.webhook_events set claims = greatest(claims, 1), ${appendLine(abandonedLine('$2'), '$2::text is not null')}
      where id = any ($1::uuid[]) and ${open} returning id, claims`,
    [ids, lostBy ?? null],
  )
  return new Map(rows.map(({ id, claims }) => [id, claims]))
}

/**
 * Counts that an event which may have ended a worker is about to run: should it end this one too, that is known. Gives how often it may
 * have done so before; undefined where nothing is to be done.
 */
export const claim = async (db: Client, event: HeldEvent, isStored: boolean): Promise<number | undefined> => {
  if (event.whole) await insertOpen(db, [event])
  const { rows } = await db.query<{ claims: number }>(
    `update public.webhook_events set claims = greatest(claims, 1) + 1, status = case status when 'accepted' then 'processing' else status end
      where id = $1 and ${open} and (next_attempt_at is null or $2::boolean) returning claims`,
    [event.id, isStored],
  )
  return rows[0] && rows[0].claims - 1
}

/** Takes a claim back: the run ended by no fault of the event. */
export const unclaim = async (db: Client, id: string): Promise<void> => {
  await db.query(
    `update public.webhook_events set claims = greatest(claims - 1, 0) where id = $1 and status <> 'processed' and status <> 'dead'`,
    [id],
  )
}

export interface ParkedLane {
  readonly lane: string
  /** Its first row may run now. */
  readonly due: boolean
}

/** The lanes of a partition that wait in Postgres. */
export const parkedLanes = async (db: Client, partition: number): Promise<readonly ParkedLane[]> => {
  const { rows } = await db.query<ParkedLane>(
    `select distinct on (lane) lane, (next_attempt_at <= now() or next_attempt_at = 'infinity') as due
       from public.webhook_events where partition = $1 and next_attempt_at is not null and ${open} order by lane, turn`,
    [partition],
  )
  return rows
}

/** Lanes of these partitions with a row that is due. */
export const dueLanes = async (
  db: Pick<Client, 'query'>,
  partitions: readonly number[],
): Promise<readonly { readonly partition: number; readonly lane: string }[]> => {
  const { rows } = await db.query<{ partition: number; lane: string }>(
    `select distinct partition, lane from public.webhook_events
      where partition = any ($1::smallint[]) and next_attempt_at <= now() and ${open}`,
    [partitions],
    { name: 'hooks due' },
  )
  return rows
}

export interface StoredRow extends HeldRow {
  /** Nothing but those before it keeps it from running. */
  readonly due: boolean
}

/** The first rows of a parked lane, in the order of their turns. */
export const storedRows = async (db: Pick<Client, 'query'>, lane: string, most: number): Promise<readonly StoredRow[]> => {
  const { rows } = await db.query<StoredRow>(
    `select ${heldColumns}, (next_attempt_at <= now() or next_attempt_at = 'infinity') as due
       from public.webhook_events where lane = $1 and next_attempt_at is not null and ${open} order by turn limit $2`,
    [lane, most],
    { name: 'hooks stored' },
  )
  return rows
}

export interface Standing {
  readonly id: string
  readonly status: string
  readonly reason: DeadReason | null
  readonly error: string | null
}

/** What became of events that could not be marked: nothing is to be done with those that are done, parked or gone. */
export const standings = async (db: Client, ids: readonly string[]): Promise<ReadonlyMap<string, Standing>> => {
  const { rows } = await db.query<Standing>(
    `select id, status, dead_reason as reason, error
       from public.webhook_events where id = any ($1::uuid[])`,
    [ids],
  )
  return new Map(rows.map((row) => [row.id, row]))
}
