import { createHash } from 'node:crypto'
import { TidemarkError } from '../../errors.js'
import { type Client, isoText, type Pool } from '../../postgres/postgres.js'
import { readJson } from '../json-text.js'
import type { EventStatus } from '../webhooks.js'
import { appendLine, keptLine } from '../workers/runs/attempt-log.js'
import { replayable, replaySelection, type Selection, whereOf } from './selection.js'

export type ReplayStatus = 'running' | 'done' | 'failed' | 'cancelled'

/** One row of the audit of replays. */
export interface ReplayView {
  readonly id: string
  readonly actor: string
  readonly selection: Selection
  readonly selected: number
  readonly sent: number
  readonly status: ReplayStatus
  readonly error: string | null
  /** It carries a body that its actor wrote. */
  readonly edited: boolean
  readonly createdAt: string
  readonly finishedAt: string | null
}

export interface StartedReplay extends ReplayView {
  /** The same selection was on its way already: nothing was begun. */
  readonly again: boolean
}

/** Sends events through again. Workers do it, a little at a time; what is begun goes on when one of them ends. */
export interface Replays {
  /** How many events a replay would send. */
  count(selection: Selection): Promise<number>
  start(selection: Selection, actor: string): Promise<StartedReplay>
  /**
   * Sends one event through with another body. What came stays as it is; handlers are told that the event is edited, and that no
   * signature covers it. Raises TM_WEBHOOKS_BAD_EDIT, and TM_WEBHOOKS_NOT_FOUND.
   */
  startEdited(id: string, body: Buffer, actor: string): Promise<StartedReplay>
  get(id: string): Promise<ReplayView | undefined>
  /** The newest first; after a replay those that began before it. Default 50. */
  list(limit?: number, after?: Pick<ReplayView, 'createdAt' | 'id'>): Promise<readonly ReplayView[]>
  /** What was not sent by then stays as it is. */
  cancel(id: string): Promise<ReplayView | undefined>
}

const columns = `id, actor, selection, selected::float8 as selected, sent::float8 as sent, status, error, body is not null as edited,
  ${isoText('created_at')} as "createdAt",
  ${isoText('finished_at')} as "finishedAt"`

/** What is meant, and of an edit which: another edit of the same event is another replay. */
const written = (selection: Selection, body?: Buffer): string =>
  JSON.stringify({ ...selection, ...(body && { edit: createHash('sha256').update(body).digest('hex') }) })

const find = async (db: Pick<Client, 'query'>, where: string, values: readonly unknown[]): Promise<readonly ReplayView[]> =>
  (await db.query<ReplayView>(`select ${columns} from tidemark.webhook_replays where ${where}`, values)).rows

interface Begun {
  readonly selection: Selection
  readonly actor: string
  /** Of an edit, which selects one event by its id. */
  readonly body?: Buffer
}

/** Notes which events are meant: they are known by it from then on, whatever else comes to fit the selection. */
const begin = async (db: Client, { selection, actor, body }: Begun): Promise<ReplayView> => {
  const { rows } = await db.query<{ id: string }>(
    'insert into tidemark.webhook_replays (actor, selection, selected, event_id, body) values ($1, $2, 0, $3, $4) returning id',
    [actor, written(selection, body), body ? selection.ids?.[0] : null, body ?? null],
  )
  const { id } = rows[0]!
  const { text, values } = whereOf(selection, 2)
  // A new chain of attempts: one that has not begun is how an event is known that was not sent yet.
  const { rowCount } = await db.query(
    `update public.webhook_events
        set replay_id = $1, attempts = 0, ${appendLine(keptLine, `status = 'processed' and attempts = 1`)} where ${text}`,
    [id, ...values],
  )
  await db.query(
    `update tidemark.webhook_replays
        set selected = $2::bigint, status = case when $2::bigint = 0 then 'done' else status end,
            finished_at = case when $2::bigint = 0 then now() end
      where id = $1`,
    [id, rowCount ?? 0],
  )
  return (await find(db, 'id = $1', [id]))[0]!
}

const start = (pool: Pool, begun: Begun): Promise<StartedReplay> =>
  pool.transaction(async (db) => {
    // Who clicks twice waits for the first click, and finds what that began.
    await db.query(`select pg_advisory_xact_lock(hashtextextended('tidemark.webhook_replays', 0))`)
    const same = written(begun.selection, begun.body)
    const [running] = await find(db, `status = 'running' and selection = $1::jsonb`, [same])
    return running ? { ...running, again: true } : { ...(await begin(db, begun)), again: false }
  })

const maxDepth = 100

/** As strict as the intake: what could not have come is not sent through either. */
const checkEdit = (body: Buffer): void => {
  const read = readJson(body, { maxDepth })
  if (!read.ok) throw new TidemarkError('TM_WEBHOOKS_BAD_EDIT', { reason: read.reason })
}

const checkEvent = async (pool: Pool, id: string): Promise<void> => {
  const { rows } = await pool.query<{ status: EventStatus }>('select status from public.webhook_events where id = $1', [id])
  if (!rows[0]) throw new TidemarkError('TM_WEBHOOKS_NOT_FOUND', { id })
  if (replaySelection({ status: [rows[0].status] }).status?.length === 0)
    throw new TidemarkError('TM_WEBHOOKS_BAD_EDIT', { reason: 'the event is on its way' })
}

/** Sends events that are kept in this Postgres through again; the workers do the sending. */
export const createReplays = (pool: Pool): Replays => ({
  count: async (given) => {
    const { text, values } = whereOf(replaySelection(given))
    const { rows } = await pool.query<{ n: number }>(
      `select count(*)::float8 as n from public.webhook_events where ${text}`,
      values,
    )
    return rows[0]!.n
  },
  start: (given, actor) => start(pool, { selection: replaySelection(given), actor }),
  startEdited: async (id, body, actor) => {
    checkEdit(body)
    await checkEvent(pool, id)
    return start(pool, { selection: { ids: [id], status: replayable }, actor, body })
  },
  get: async (id) => (await find(pool, 'id = $1', [id]))[0],
  // By the millisecond, as a replay shows when it began.
  list: (limit = 50, after) =>
    find(
      pool,
      `$1::timestamptz is null or (date_trunc('milliseconds', created_at), id) < ($1, $2::uuid)
       order by date_trunc('milliseconds', created_at) desc, id desc limit $3`,
      [after?.createdAt ?? null, after?.id ?? null, limit],
    ),
  cancel: async (id) => {
    await pool.query(
      `update tidemark.webhook_replays set status = 'cancelled', finished_at = now() where id = $1 and status = 'running'`,
      [id],
    )
    return (await find(pool, 'id = $1', [id]))[0]
  },
})
