/** The record of a move in its target: which file, under which choices, how far, and who is at it. */
import { hostname } from 'node:os'
import type pg from 'pg'
import { TidemarkError } from '../errors.js'
import type { MoveState } from './live/live-state.js'
import type { MovePlan } from './move.js'

export interface Run {
  readonly id: string
  readonly state: MoveState
  readonly fingerprint: string
  readonly plan: MovePlan
}

const lockName = (plan: MovePlan): string => `tidemark.move ${plan.targetSchema} ${plan.path}`

/** Holds the move for this session; raises TM_MOVE_RUNNING while another session has it. */
export const lockMove = async (client: pg.Client, plan: MovePlan): Promise<void> => {
  const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked', [
    lockName(plan),
  ])
  if (rows[0]?.locked) return
  const { rows: holders } = await client.query<{ holder_pid: number; holder_host: string }>(
    'SELECT holder_pid, holder_host FROM tidemark.move_runs WHERE source_path = $1 AND target_schema = $2 ORDER BY started_at DESC LIMIT 1',
    [plan.path, plan.targetSchema],
  )
  const holder = holders[0]
  throw new TidemarkError('TM_MOVE_RUNNING', {
    path: plan.path,
    pid: holder?.holder_pid ?? 0,
    host: holder?.holder_host ?? 'unknown',
  })
}

/** The newest run of this file into this schema, or none. */
const newestRun = async (client: pg.Client, plan: Pick<MovePlan, 'path' | 'targetSchema'>): Promise<Run | undefined> => {
  const { rows } = await client.query<Run>(
    `SELECT id, state, fingerprint, plan FROM tidemark.move_runs
      WHERE source_path = $1 AND target_schema = $2 ORDER BY started_at DESC LIMIT 1`,
    [plan.path, plan.targetSchema],
  )
  return rows[0]
}

/** The newest run, or none where the target has never seen a move. */
export const findRunOrNone = async (
  client: pg.Client,
  plan: Pick<MovePlan, 'path' | 'targetSchema'>,
): Promise<Run | undefined> => {
  const { rows } = await client.query<{ there: boolean }>("SELECT to_regclass('tidemark.move_runs') IS NOT NULL AS there")
  return rows[0]?.there ? newestRun(client, plan) : undefined
}

/** The newest run; raises TM_MOVE_NO_PLAN where there is none. */
export const findRun = async (client: pg.Client, plan: MovePlan): Promise<Run> => {
  const run = await findRunOrNone(client, plan)
  if (!run) throw new TidemarkError('TM_MOVE_NO_PLAN', { path: plan.path })
  return run
}

/** JSON for a jsonb column, which takes neither NUL nor half a surrogate pair: values of the file stand in messages, and may hold both. */
const storable = (value: object): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'string' ? inner.replaceAll('\0', '\u2400').replaceAll(/\p{Surrogate}/gu, '\uFFFD') : inner,
  )

/** Begins a run; called in the transaction that makes its tables. */
export const insertRun = async (client: pg.Client, plan: MovePlan): Promise<string> => {
  const { rows } = await client.query<{ id: string }>(
    `INSERT INTO tidemark.move_runs (source_path, source_file_id, target_schema, fingerprint, plan, state, holder_pid, holder_host)
     VALUES ($1, $2, $3, $4, $5, 'copying', $6, $7) RETURNING id`,
    [plan.path, plan.fileId, plan.targetSchema, plan.fingerprint, storable(plan), process.pid, hostname()],
  )
  return rows[0]!.id
}

/** Takes over an unfinished run. */
export const holdRun = async (client: pg.Client, id: string): Promise<void> => {
  await client.query('UPDATE tidemark.move_runs SET holder_pid = $2, holder_host = $3, updated_at = now() WHERE id = $1', [
    id,
    process.pid,
    hostname(),
  ])
}

/** Ends the copy of a run with its report; a live move that has gone on from there stays where it is. */
export const finishRun = async (client: pg.Client, id: string, report: object): Promise<void> => {
  await client.query(
    `UPDATE tidemark.move_runs SET state = 'copied', report = $2, finished_at = now(), updated_at = now()
      WHERE id = $1 AND state IN ('planned', 'copying', 'copied')`,
    [id, storable(report)],
  )
}
