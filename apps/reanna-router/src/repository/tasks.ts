/** Tasks in Postgres. */
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
}

/** The earliest first. */
export const listTasks = async (db: Db, { visitId, taskType, isPending, limit }: TasksQuery): Promise<readonly Task[]> => {
  const { rows } = await db.query<Row>(
    `select ${columns} from ${source}
      where ($1::uuid is null or k.visit_id = $1) and ($2::text is null or k.task_type = $2)
        and ($3::boolean is null or (k.status in ('scheduled', 'in_progress')) = $3)
      order by k.scheduled_time, k.id limit $4`,
    [visitId ?? null, taskType ?? null, isPending ?? null, limit],
  )
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
