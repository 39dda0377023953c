/** Feedback in Postgres: received, processed, and the listing agent told of it. */
import { sql } from 'kysely'
import { type Place, pageOf } from 'tidemark/app'
import type { FeedbackState } from '../day/states.js'
import { ReannaError } from '../reanna-error.js'
import { type Db, type Feedback, shownInZone, type Task } from '../rows.js'
import { firstOf, isPast, now, ofFeedback, placeAt, rightNow, rowsOf, tables, zone } from '../tables.js'

const select = tables
  .selectFrom('feedback as f')
  .innerJoin('tasks as k', 'k.id', 'f.task_id')
  .innerJoin('property_visits as v', 'v.id', 'k.visit_id')
  .innerJoin('tours as t', 't.id', 'v.tour_id')
  .select([...ofFeedback, zone])

export const stateOf = ({
  sent_to_agent: isSent,
  processed_feedback: text,
}: Pick<Feedback, 'sent_to_agent' | 'processed_feedback'>): FeedbackState =>
  isSent ? 'notified' : text === null ? 'received' : 'processed'

/** Raises REANNA_NOT_FOUND. */
export const requireFeedback = async (db: Db, id: string): Promise<Feedback> => {
  const row = await firstOf(db, select.where('f.id', '=', id))
  if (!row) throw new ReannaError('REANNA_NOT_FOUND')
  return shownInZone(row)
}

export interface NewFeedback {
  readonly source: Feedback['feedback_source']
  readonly text: string
  /** Either the task, or the visit. */
  readonly taskId?: string | undefined
  readonly visitId?: string | undefined
}

type FoundTask = Pick<Task, 'id' | 'task_type' | 'status'>

const found = ['id', 'task_type', 'status'] as const

/** The task that collects the visit's feedback: an open one, else the last; made where there is none. */
const collectionOf = async (db: Db, visitId: string): Promise<FoundTask> => {
  // Whoever comes second finds the task of whoever came first.
  const visit = await firstOf(db, tables.selectFrom('property_visits').select('id').where('id', '=', visitId).forUpdate())
  if (!visit) throw new ReannaError('REANNA_NOT_FOUND')
  const known = await firstOf(
    db,
    tables
      .selectFrom('tasks')
      .select(found)
      .where('visit_id', '=', visitId)
      .where('task_type', '=', 'feedback_collection')
      .orderBy(sql`status in ('scheduled', 'in_progress')`, 'desc')
      .orderBy('created_at', 'desc')
      .orderBy('id')
      .limit(1),
  )
  if (known) return known
  const task = { visit_id: visitId, task_type: 'feedback_collection', status: 'scheduled', scheduled_time: now } as const
  return (await firstOf(db, tables.insertInto('tasks').values(task).returning(found)))!
}

const taskOf = async (db: Db, { taskId, visitId }: NewFeedback): Promise<FoundTask> => {
  if (taskId === undefined) return collectionOf(db, visitId!)
  const task = await firstOf(db, tables.selectFrom('tasks').select(found).where('id', '=', taskId).forUpdate())
  if (!task) throw new ReannaError('REANNA_NOT_FOUND')
  return task
}

/** What was collected completes the task that collects it. */
const collected = async (db: Db, { id, task_type: type, status }: FoundTask): Promise<void> => {
  if (type !== 'feedback_collection') return
  const task = tables.updateTable('tasks').where('id', '=', id)
  if (status === 'scheduled') await rowsOf(db, task.set({ status: 'in_progress' }))
  if (status === 'scheduled' || status === 'in_progress') await rowsOf(db, task.set({ status: 'completed', completed_time: now }))
}

export const addFeedback = async (db: Db, given: NewFeedback): Promise<Feedback> => {
  const task = await taskOf(db, given)
  const values = { task_id: task.id, raw_feedback: given.text, feedback_source: given.source }
  const made = await firstOf(db, tables.insertInto('feedback').values(values).returning('id'))
  await collected(db, task)
  return requireFeedback(db, made!.id)
}

const lockFeedback = async (db: Db, id: string): Promise<Feedback> => {
  const row = await firstOf(db, tables.selectFrom('feedback').select('id').where('id', '=', id).forUpdate())
  if (!row) throw new ReannaError('REANNA_NOT_FOUND')
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
  const processing = tables
    .with('task', (of) =>
      of
        .insertInto('tasks')
        .columns(['visit_id', 'task_type', 'status', 'scheduled_time'])
        .expression(({ selectFrom }) =>
          selectFrom('tasks as k')
            .where('k.id', '=', feedback.task_id)
            .select([
              'k.visit_id',
              sql<Task['task_type']>`'listing_agent_notification'`.as('task_type'),
              sql<Task['status']>`'scheduled'`.as('status'),
              now.as('scheduled_time'),
            ]),
        )
        .returning('id'),
    )
    .updateTable('feedback')
    .set(({ selectFrom }) => ({
      processed_feedback: words ?? tidied(feedback.raw_feedback),
      notification_task_id: selectFrom('task').select('task.id'),
      notification_requested_at: rightNow,
    }))
    .where('feedback.id', '=', id)
  await rowsOf(db, processing)
  return requireFeedback(db, id)
}

const request = tables.updateTable('feedback').set({ notification_requested_at: rightNow })

/** Has the listing agent be told; who has been told is not told again. Raises REANNA_ILLEGAL_MOVE. */
export const requestNotification = async (db: Db, id: string): Promise<Feedback> => {
  const feedback = await lockFeedback(db, id)
  const state = stateOf(feedback)
  if (state === 'received') throw new ReannaError('REANNA_ILLEGAL_MOVE', 'The feedback has to be processed first.')
  if (state === 'processed') await rowsOf(db, request.where('id', '=', id))
  return requireFeedback(db, id)
}

export interface FeedbackQuery {
  readonly visitId?: string | undefined
  /** Processed, and nobody was told. */
  readonly isUnsent?: boolean | undefined
  readonly limit: number
  readonly after: Place
}

export interface FeedbackPage {
  readonly feedback: readonly Feedback[]
  /** The cursor of the next page. */
  readonly next: string | null
}

/** The oldest first. */
export const listFeedback = async (db: Db, { visitId, isUnsent, limit, after }: FeedbackQuery): Promise<FeedbackPage> => {
  let wanted = select.select(placeAt('f.timestamp')).where(isPast('f.timestamp', 'f.id', after))
  if (visitId !== undefined) wanted = wanted.where('k.visit_id', '=', visitId)
  if (isUnsent) wanted = wanted.where('f.processed_feedback', 'is not', null).where('f.sent_to_agent', '=', false)
  const rows = await rowsOf(
    db,
    wanted
      .orderBy('f.timestamp')
      .orderBy('f.id')
      .limit(limit + 1),
  )
  const page = pageOf(rows, limit)
  return { feedback: page.rows.map(shownInZone), next: page.next }
}

/** All that the caller may see, as far as nobody is at them. Gives their ids. */
export const requestUnsent = async (db: Db, limit: number): Promise<readonly string[]> => {
  const unsent = tables
    .selectFrom('feedback')
    .select('id')
    .where('processed_feedback', 'is not', null)
    .where('sent_to_agent', '=', false)
    .orderBy('timestamp')
    .orderBy('id')
    .limit(limit)
    .forUpdate()
    .skipLocked()
  return (await rowsOf(db, request.where('id', 'in', unsent).returning('id'))).map(({ id }) => id)
}
