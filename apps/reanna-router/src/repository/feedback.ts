/** Feedback in Postgres: received, processed, and the listing agent told of it. */
import { type Place, pageOf, placeSql } from 'tidemark/app'
import type { FeedbackState } from '../day/states.js'
import { ReannaError } from '../reanna-error.js'
import { type Db, type Feedback, type feedbackSources, type Row, shownInZone } from '../rows.js'

const columns = 'f.*, t.time_zone as zone'
const source = `public.feedback f join public.tasks k on k.id = f.task_id
  join public.property_visits v on v.id = k.visit_id join public.tours t on t.id = v.tour_id`

export const stateOf = ({
  sent_to_agent: isSent,
  processed_feedback: text,
}: Pick<Feedback, 'sent_to_agent' | 'processed_feedback'>): FeedbackState =>
  isSent ? 'notified' : text === null ? 'received' : 'processed'

/** Raises REANNA_NOT_FOUND. */
export const requireFeedback = async (db: Db, id: string): Promise<Feedback> => {
  const { rows } = await db.query<Row>(`select ${columns} from ${source} where f.id = $1`, [id])
  if (!rows[0]) throw new ReannaError('REANNA_NOT_FOUND')
  return shownInZone<Feedback>(rows[0])
}

export const feedbackOfVisit = async (db: Db, visitId: string): Promise<readonly Feedback[]> => {
  const { rows } = await db.query<Row>(`select ${columns} from ${source} where k.visit_id = $1 order by f.timestamp, f.id`, [
    visitId,
  ])
  return rows.map((row) => shownInZone<Feedback>(row))
}

export interface NewFeedback {
  readonly source: (typeof feedbackSources)[number]
  readonly text: string
  /** Either the task, or the visit. */
  readonly taskId?: string | undefined
  readonly visitId?: string | undefined
}

interface FoundTask {
  readonly id: string
  readonly task_type: string
  readonly status: string
}

/** The task that collects the visit's feedback: an open one, else the last; made where there is none. */
const collectionOf = async (db: Db, visitId: string): Promise<FoundTask> => {
  // Whoever comes second finds the task of whoever came first.
  const visit = await db.query('select 1 from public.property_visits where id = $1 for update', [visitId])
  if (visit.rows.length === 0) throw new ReannaError('REANNA_NOT_FOUND')
  const { rows } = await db.query<FoundTask>(
    `select id, task_type, status from public.tasks where visit_id = $1 and task_type = 'feedback_collection'
      order by status in ('scheduled', 'in_progress') desc, created_at desc, id limit 1`,
    [visitId],
  )
  if (rows[0]) return rows[0]
  const made = await db.query<FoundTask>(
    `insert into public.tasks (visit_id, task_type, status, scheduled_time) values ($1, 'feedback_collection', 'scheduled', now())
     returning id, task_type, status`,
    [visitId],
  )
  return made.rows[0]!
}

const taskOf = async (db: Db, { taskId, visitId }: NewFeedback): Promise<FoundTask> => {
  if (taskId === undefined) return collectionOf(db, visitId!)
  const { rows } = await db.query<FoundTask>('select id, task_type, status from public.tasks where id = $1 for update', [taskId])
  if (!rows[0]) throw new ReannaError('REANNA_NOT_FOUND')
  return rows[0]
}

/** What was collected completes the task that collects it. */
const collected = async (db: Db, { id, task_type: type, status }: FoundTask): Promise<void> => {
  if (type !== 'feedback_collection') return
  if (status === 'scheduled') await db.query(`update public.tasks set status = 'in_progress' where id = $1`, [id])
  if (status === 'scheduled' || status === 'in_progress')
    await db.query(`update public.tasks set status = 'completed', completed_time = now() where id = $1`, [id])
}

export const addFeedback = async (db: Db, given: NewFeedback): Promise<Feedback> => {
  const task = await taskOf(db, given)
  const { rows } = await db.query<{ id: string }>(
    `insert into public.feedback (task_id, raw_feedback, feedback_source) values ($1, $2, $3) returning id`,
    [task.id, given.text, given.source],
  )
  await collected(db, task)
  return requireFeedback(db, rows[0]!.id)
}

const lockFeedback = async (db: Db, id: string): Promise<Feedback> => {
  const { rows } = await db.query(`select 1 from public.feedback where id = $1 for update`, [id])
  if (rows.length === 0) throw new ReannaError('REANNA_NOT_FOUND')
  return requireFeedback(db, id)
}

/** As it came, but for spaces and empty lines. */
const tidied = (text: string): string =>
  text
    .replace(/[^\S\n]+/g, ' ')
    .replace(/ ?\n\s*/g, '\n')
    .trim()

/**
 * The words that the listing agent gets; without words of one's own those that came. Calls for the agent to be told, for which a task of the visit
 * stands. Raises REANNA_ILLEGAL_MOVE.
 */
export const processFeedback = async (db: Db, id: string, words?: string): Promise<Feedback> => {
  const feedback = await lockFeedback(db, id)
  if (stateOf(feedback) !== 'received') throw new ReannaError('REANNA_ILLEGAL_MOVE', 'The feedback has been processed.')
  await db.query(
    `with task as (
       insert into public.tasks (visit_id, task_type, status, scheduled_time)
         select k.visit_id, 'listing_agent_notification', 'scheduled', now() from public.tasks k where k.id = $2
       returning id)
     update public.feedback
        set processed_feedback = $3, notification_task_id = (select id from task), notification_requested_at = clock_timestamp()
      where id = $1`,
    [id, feedback.task_id, words ?? tidied(feedback.raw_feedback)],
  )
  return requireFeedback(db, id)
}

const request = `update public.feedback set notification_requested_at = clock_timestamp()`

/** Has the listing agent be told; who has been told is not told again. Raises REANNA_ILLEGAL_MOVE. */
export const requestNotification = async (db: Db, id: string): Promise<Feedback> => {
  const feedback = await lockFeedback(db, id)
  const state = stateOf(feedback)
  if (state === 'received') throw new ReannaError('REANNA_ILLEGAL_MOVE', 'The feedback has to be processed first.')
  if (state === 'processed') await db.query(`${request} where id = $1`, [id])
  return requireFeedback(db, id)
}

/** Processed, and nobody was told. */
const unsent = 'f.processed_feedback is not null and not f.sent_to_agent'

export interface FeedbackPage {
  readonly feedback: readonly Feedback[]
  /** The cursor of the next page. */
  readonly next: string | null
}

/** The oldest first. */
export const listUnsent = async (
  db: Db,
  { limit, after }: { readonly limit: number; readonly after: Place },
): Promise<FeedbackPage> => {
  const { rows } = await db.query<Row>(
    `select ${columns}, ${placeSql('f.timestamp')} from ${source}
      where ${unsent} and ($1::timestamptz is null or (f.timestamp, f.id) > ($1, $2::uuid))
      order by f.timestamp, f.id limit $3`,
    [...after, limit + 1],
  )
  const page = pageOf(rows, limit)
  return { feedback: page.rows.map((row) => shownInZone<Feedback>(row)), next: page.next }
}

/** All that the caller may see, as far as nobody is at them. Gives their ids. */
export const requestUnsent = async (db: Db, limit: number): Promise<readonly string[]> => {
  const { rows } = await db.query<{ id: string }>(
    `${request} where id in (
       select f.id from public.feedback f where ${unsent} order by f.timestamp, f.id limit $1 for update skip locked)
     returning id`,
    [limit],
  )
  return rows.map(({ id }) => id)
}
