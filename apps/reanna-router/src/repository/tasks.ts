/** Tasks in Postgres. */
import { type Place, pageOf } from 'tidemark/app'
import { mayGo, type TaskStatus, taskMoves, type VisitStatus } from '../day/states.js'
import { ReannaError } from '../reanna-error.js'
import { type Db, shownInZone, type Task } from '../rows.js'
import { firstOf, isPast, now, ofTask, placeAt, rowsOf, tables, zone } from '../tables.js'

const open = ['scheduled', 'in_progress'] as const satisfies readonly TaskStatus[]

const select = tables
  .selectFrom('tasks as k')
  .innerJoin('property_visits as v', 'v.id', 'k.visit_id')
  .innerJoin('tours as t', 't.id', 'v.tour_id')
  .select([...ofTask, zone])

export interface TasksQuery {
  readonly visitId?: string | undefined
  readonly taskType?: Task['task_type'] | undefined
  /** Scheduled or in progress. */
  readonly isPending?: boolean | undefined
  readonly limit: number
  readonly after: Place
}

export interface TaskPage {
  readonly tasks: readonly Task[]
  /** The cursor of the next page. */
  readonly next: string | null
}

/** The earliest first. */
export const listTasks = async (db: Db, { visitId, taskType, isPending, limit, after }: TasksQuery): Promise<TaskPage> => {
  let wanted = select.select(placeAt('k.scheduled_time')).where(isPast('k.scheduled_time', 'k.id', after))
  if (visitId !== undefined) wanted = wanted.where('k.visit_id', '=', visitId)
  if (taskType !== undefined) wanted = wanted.where('k.task_type', '=', taskType)
  if (isPending !== undefined) wanted = wanted.where('k.status', isPending ? 'in' : 'not in', open)
  const rows = await rowsOf(
    db,
    wanted
      .orderBy('k.scheduled_time')
      .orderBy('k.id')
      .limit(limit + 1),
  )
  const page = pageOf(rows, limit)
  return { tasks: page.rows.map(shownInZone), next: page.next }
}

/** Raises REANNA_NOT_FOUND. */
const requireTask = async (db: Db, id: string): Promise<Task> => {
  const row = await firstOf(db, select.where('k.id', '=', id))
  if (!row) throw new ReannaError('REANNA_NOT_FOUND')
  return shownInZone(row)
}

/** Where it is so already, nothing changes. Raises REANNA_NOT_FOUND, REANNA_ILLEGAL_MOVE. */
export const changeTaskStatus = async (db: Db, id: string, to: TaskStatus): Promise<Task> => {
  const task = await firstOf(db, tables.selectFrom('tasks').select('status').where('id', '=', id).forUpdate())
  if (!task) throw new ReannaError('REANNA_NOT_FOUND')
  if (task.status !== to) {
    if (!mayGo(taskMoves, task.status, to)) throw new ReannaError('REANNA_ILLEGAL_MOVE')
    const change = { status: to, ...(to === 'completed' && { completed_time: now }) }
    await rowsOf(db, tables.updateTable('tasks').set(change).where('id', '=', id))
  }
  return requireTask(db, id)
}

export interface OpenTasks {
  readonly tourId?: string
  readonly visitId?: string
  /** Of visits in these states alone. */
  readonly ofVisits?: readonly VisitStatus[]
}

export const cancelOpenTasks = async (db: Db, { tourId, visitId, ofVisits }: OpenTasks): Promise<void> => {
  let visits = tables.selectFrom('property_visits').select('id')
  if (tourId !== undefined) visits = visits.where('tour_id', '=', tourId)
  if (visitId !== undefined) visits = visits.where('id', '=', visitId)
  if (ofVisits !== undefined) visits = visits.where('status', 'in', ofVisits)
  const cancel = tables.updateTable('tasks').set({ status: 'cancelled' })
  await rowsOf(db, cancel.where('status', 'in', open).where('visit_id', 'in', visits))
}
