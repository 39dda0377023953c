/** Looks at where a move stands: in Postgres' record, and in the file's control row. */
import { realpathSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import type { MoveState } from '../move/live/live-state.js'
import type { MovePlan } from '../move/move.js'
import { nowMsSql, readControl } from '../sqlite/capture/control.js'
import type { FileMove, RecordedMove } from './decide.js'

interface Row {
  readonly id: string
  readonly source_path: string
  readonly state: MoveState
  readonly epoch: string
  readonly reads_percent: number
  readonly is_live: boolean
}

/** A file may be mounted elsewhere where it is moved: its own path first, then its name. */
const sql = `SELECT id, source_path, state, epoch::text, reads_percent, capture_id IS NOT NULL AS is_live FROM tidemark.move_runs
  WHERE target_schema = $2 AND (source_path = ANY ($1) OR right(source_path, length($3)) = $3)
  ORDER BY source_path = ANY ($1) DESC, started_at DESC LIMIT 1`

const pathsOf = (path: string): readonly string[] => {
  const absolute = resolve(path)
  try {
    return [...new Set([absolute, realpathSync(absolute)])]
  } catch {
    return [absolute]
  }
}

/** No schema, no table, an older one: Postgres has never seen a live move. */
const isNoMove = (error: unknown): boolean => /^(?:3F000|42P01|42703)$/.test(String((error as { readonly code?: unknown }).code))

/** What Postgres knows of the move of a file; null where there is none. */
export const lookAtRecord = async (pool: pg.Pool, path: string, schema: string): Promise<RecordedMove | null> => {
  try {
    const { rows } = await pool.query<Row>(sql, [pathsOf(path), schema, `/${basename(path)}`])
    const [row] = rows
    if (!row) return null
    const { id, source_path, state, epoch, reads_percent, is_live } = row
    return { runId: id, path: source_path, state, epoch: BigInt(epoch), readsPercent: Number(reads_percent), isLive: is_live }
  } catch (error) {
    if (isNoMove(error)) return null
    throw error
  }
}

/** The plan of a move, for the values of its columns. */
export const lookAtPlan = async (pool: pg.Pool, runId: string): Promise<MovePlan | null> => {
  const { rows } = await pool.query<{ plan: string }>('SELECT plan::text AS plan FROM tidemark.move_runs WHERE id = $1', [runId])
  return rows[0] ? (JSON.parse(rows[0].plan) as MovePlan) : null
}

/** What the file says of itself; null where no live move knows it. */
export const lookAtFile = (db: Database): FileMove | null => {
  const control = readControl(db)
  if (!control) return null
  const { epoch, fence, cuttingUntil, note } = control
  const now = db.prepare<[], number>(`SELECT ${nowMsSql}`).safeIntegers(false).pluck().get() ?? 0
  return {
    epoch,
    fence,
    isExpired: cuttingUntil !== null && now >= cuttingUntil,
    wasOpenedAlone: fence === 'open' && note !== null,
  }
}
