/** What the record of the move knows of its mirror. */
import { TidemarkError } from '../../errors.js'
import { formatPosition, type Position, parsePosition } from '../../feed/position.js'
import type { HeldRun } from '../live/live-run.js'
import type { MirrorSession } from './mirror-session.js'

/** Tells how far the file is, and which position it holds durably, where that is to be known. Raises TM_MOVE_FENCED where another process holds the move. */
export const recordPosition = async (
  session: MirrorSession,
  { run, epoch }: HeldRun,
  reached: Position,
  stored: Position | null,
): Promise<void> => {
  const { rowCount } = await session.query(
    `UPDATE tidemark.move_runs SET mirrored_position = $3, report = report || jsonb_strip_nulls(jsonb_build_object('fileStored', $4::text)), updated_at = now()
      WHERE id = $1 AND epoch = $2`,
    [run.id, epoch, formatPosition(reached), stored && formatPosition(stored)],
  )
  if (rowCount === 1) return
  const { rows } = await session.query<{ holder_pid: number | null; holder_host: string | null }>(
    'SELECT holder_pid, holder_host FROM tidemark.move_runs WHERE id = $1',
    [run.id],
  )
  const [pid, host] = [rows[0]?.holder_pid ?? 'unknown', rows[0]?.holder_host ?? 'unknown']
  throw new TidemarkError('TM_MOVE_FENCED', { path: run.path, epoch: String(epoch), pid, host })
}

/** The position that the file was last known to hold; a file that holds an earlier one is an older copy. */
export const storedPosition = async (session: MirrorSession, runId: string): Promise<Position | null> => {
  const { rows } = await session.query<{ stored: string | null }>(
    "SELECT report ->> 'fileStored' AS stored FROM tidemark.move_runs WHERE id = $1",
    [runId],
  )
  const stored = rows[0]?.stored ?? null
  return stored === null ? null : parsePosition(stored)
}

/** Another history begins here: what was compared as a whole is where the mirror goes on from. */
export const recordStart = async (session: MirrorSession, { run, epoch }: HeldRun, position: Position): Promise<void> => {
  await session.query('UPDATE tidemark.move_runs SET cut_position = $3 WHERE id = $1 AND epoch = $2', [
    run.id,
    epoch,
    formatPosition(position),
  ])
}

export const countDifferences = async (session: MirrorSession, runId: string): Promise<number> => {
  const { rows } = await session.query<{ count: string }>(
    "SELECT count(*) FROM tidemark.move_differences WHERE run_id = $1 AND difference ->> 'by' = 'mirror'",
    [runId],
  )
  return Number(rows[0]!.count)
}
