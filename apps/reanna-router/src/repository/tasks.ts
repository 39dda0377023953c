/** Tasks in Postgres. */
import { type Place, pageOf, placeSql } from 'tidemark/app'
import { mayGo, type TaskStatus, taskMoves, type VisitStatus } from '../day/states.js'
import { ReannaError } from '../reanna-error.js'
import { type Db, type Row, shownInZone, type Task } from '../rows.js'

const columns = 'k.*, t.time_zone as zone'
const source = 'public.tasks k join public.property_visits v on v.id = k.visit_id join public.tours t on t.id = v.tour_id'

export interface TasksQuery {
  readonly visitId?: string | undefined
  readonly taskType?: string | undefined
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
  const { rows } = await db.query<Row>(
    `select ${columns}, ${placeSql('k.scheduled_time')} from ${source}
      where ($1::uuid is null or k.visit_id = $1) and ($2::text is null or k.task_type = $2)
        and ($3::boolean is null or (k.status in ('scheduled', 'in_progress')) = $3)
        and ($4::timestamptz is null or (k.scheduled_time, k.id) > ($4, $5::uuid))
      order by k.scheduled_time, k.id limit $6`,
    [visitId ?? null, taskType ?? null, isPending ?? null, ...after, limit + 1],
  )
  const page = pageOf(rows, limit)
  return { tasks: page.rows.map((row) => shownInZone<Task>(row)), next: page.next }
}

/** All of a visit, the earliest first. */
export const tasksOfVisit = async (db: Db, visitId: string): Promise<readonly Task[]> => {
  const { rows } = await db.query<Row>(`select ${columns} from ${source} where k.visit_id = $1 order by k.scheduled_time, k.id`, [
    visitId,
  ])
  return rows.map((row) => shownInZone<Task>(row))
}

/** Raises REANNA_NOT_FOUND. */
export const requireTask = async (db: Db, id: string): Promise<Task> => {
  const { rows } = await db.query<Row>(`select ${columns} from ${source} where k.id = $1`, [id])
  if (!rows[0]) throw new ReannaError('REANNA_NOT_FOUND')
  return shownInZone<Task>(rows[0])
}

/** Where it is so already, nothing changes. Raises REANNA_NOT_FOUND, REANNA_ILLEGAL_MOVE. */
export const changeTaskStatus = async (db: Db, id: string, to: TaskStatus): Promise<Task> => {
  const { rows } = await db.query<{ status: TaskStatus }>('select status from public.tasks where id = $1 for update', [id])
  if (!rows[0]) throw new ReannaError('REANNA_NOT_FOUND')
  const { status: from } = rows[0]
  if (from !== to) {
    if (!mayGo(taskMoves, from, to)) throw new ReannaError('REANNA_ILLEGAL_MOVE')
    await db.query(
      `update public.tasks set status = $2, completed_time = case when $2 = 'completed' then now() else completed_time end where id = $1`,
      [id, to],
    )
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
  await db.query(
    `update public.tasks set status = 'cancelled'
      where status in ('scheduled', 'in_progress') and visit_id in (
        select v.id from public.property_visits v
         where ($1::uuid is null or v.tour_id = $1) and ($2::uuid is null or v.id = $2)
           and ($3::text[] is null or v.status = any ($3)))`,
    [tourId ?? null, visitId ?? null, ofVisits ?? null],
  )
}
