import { TidemarkError } from '../../errors.js'
import { isoText, type Pool } from '../../postgres/postgres.js'
import type { DeadReason, EventStatus } from '../webhooks.js'
import { type AttemptLine, keptLine } from '../workers/runs/attempt-log.js'
import { type Selection, whereOf } from './selection.js'

/** An event in a list. */
export interface EventView {
  readonly id: string
  readonly provider: string
  readonly tenant: string
  readonly type: string
  readonly sourceType: string
  readonly entity: string | null
  readonly status: EventStatus
  readonly attempts: number
  readonly reason: DeadReason | null
  /** Its first line in a list. */
  readonly error: string | null
  readonly receivedAt: string
  readonly processedAt: string | null
  /** Null where it waits for nothing, or behind another of its lane. */
  readonly nextAttemptAt: string | null
  /** Its last run was with a body that an operator wrote. */
  readonly edited: boolean
}

/** A body that an operator wrote in place of what came. */
export interface EventEdit extends BodyText {
  /** The replay that carries it. */
  readonly replayId: string
  readonly actor: string
  readonly at: string
}

export interface BodyText {
  /** As text; base64 where it is none. */
  readonly raw: string
  readonly rawEncoding: 'utf8' | 'base64'
}

/** Everything that is known of one. */
export interface EventDetail extends EventView, BodyText {
  readonly lane: string
  readonly partition: number
  readonly claims: number
  readonly queued: boolean
  readonly streamId: string | null
  readonly replayId: string | null
  readonly verified: boolean
  readonly trust: string
  readonly normaliser: number
  readonly headers: Readonly<Record<string, string>>
  readonly payload: unknown
  /** The newest first; `raw` stays what came. */
  readonly edits: readonly EventEdit[]
  /** The oldest first, of all chains; each line says whose it is. */
  readonly attemptLog: readonly AttemptLine[]
  /** So many before those were left out. */
  readonly attemptsLeftOut: number
}

export interface StatusCount {
  readonly status: EventStatus
  readonly reason: DeadReason | null
  readonly events: number
}

/** What is in `webhook_events`, for people. */
export interface StoredEvents {
  /** The newest first. */
  list(selection: Selection, limit: number): Promise<readonly EventView[]>
  /** Raises TM_WEBHOOKS_NOT_FOUND. */
  show(id: string): Promise<EventDetail>
  counts(): Promise<readonly StatusCount[]>
}

const time = (column: string, name: string): string => `${isoText(column)} as "${name}"`

const viewColumns = `id, provider, tenant, event_type as type, source_type as "sourceType",
  case when entity_id is null then null else entity_type || ' ' || entity_id end as entity, status, attempts, dead_reason as reason,
  ${time('received_at', 'receivedAt')}, ${time('processed_at', 'processedAt')},
  ${time(`case when next_attempt_at < 'infinity' then next_attempt_at end`, 'nextAttemptAt')},
  exists (select from tidemark.webhook_replays r where r.id = replay_id and r.body is not null) as edited`

const rawOf = (raw: Buffer): BodyText => {
  const text = raw.toString('utf8')
  if (Buffer.from(text, 'utf8').equals(raw)) return { raw: text, rawEncoding: 'utf8' }
  return { raw: raw.toString('base64'), rawEncoding: 'base64' }
}

const mostEdits = 20

const editsOf = async (pool: Pool, id: string): Promise<readonly EventEdit[]> => {
  const { rows } = await pool.query<Omit<EventEdit, keyof BodyText> & { body: Buffer }>(
    `select id as "replayId", actor, ${time('created_at', 'at')}, body from tidemark.webhook_replays
      where event_id = $1 order by created_at desc limit $2`,
    [id, mostEdits],
  )
  return rows.map(({ body, ...edit }) => ({ ...edit, ...rawOf(body) }))
}

/**
 * What succeeded at the first attempt has no line of its own: the row says the same. Between being selected for a replay and being sent, an event
 * has begun a chain, without an attempt, and is still what the one before made it.
 */
const wholeLog = `case
    when status = 'processed' and attempts > 0 and processed_at is not null
     and not coalesce(attempt_log->-1->>'outcome' = 'processed' and (attempt_log->-1->>'replayId') is not distinct from replay_id::text, false)
    then coalesce(attempt_log, '[]') || jsonb_build_array(${keptLine}) else coalesce(attempt_log, '[]') end`

const uuid = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i

export const createStoredEvents = (pool: Pool): StoredEvents => ({
  list: async (selection, limit) => {
    const { text, values } = whereOf(selection, 2)
    const { rows } = await pool.query<EventView>(
      `select ${viewColumns}, split_part(error, E'\\n', 1) as error from public.webhook_events
        where ${text} order by received_at desc, seq desc limit $1`,
      [limit, ...values],
    )
    return rows
  },
  show: async (id) => {
    if (!uuid.test(id)) throw new TidemarkError('TM_WEBHOOKS_NOT_FOUND', { id: id.slice(0, 64) })
    const { rows } = await pool.query<Omit<EventDetail, keyof BodyText | 'edits'> & { raw: Buffer }>(
      `select ${viewColumns}, error, lane, partition, claims, queued, stream_id as "streamId", replay_id as "replayId", verified, trust,
              normaliser, headers, payload, raw, ${wholeLog} as "attemptLog", attempts_left_out as "attemptsLeftOut"
         from public.webhook_events where id = $1`,
      [id],
    )
    const [row] = rows
    if (!row) throw new TidemarkError('TM_WEBHOOKS_NOT_FOUND', { id })
    return { ...row, ...rawOf(row.raw), edits: await editsOf(pool, id) }
  },
  counts: async () => {
    const { rows } = await pool.query<StatusCount>(
      'select status, dead_reason as reason, count(*)::float8 as events from public.webhook_events group by 1, 2 order by 1, 2',
    )
    return rows
  },
})
