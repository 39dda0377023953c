/** The record of a live move: who holds it, in which state it is, and how it came there. Every write goes by the fencing epoch. */
import { hostname } from 'node:os'
import type pg from 'pg'
import { TidemarkError } from '../../errors.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import type { MovePlan } from '../move.js'
import type { HeldRun, LiveRun } from './live-run.js'
import { type MoveState, mayFollow, type NextState } from './live-state.js'
import { possibleWords } from './next-commands.js'

/** Which run is meant: by its id, or the newest of a file (into one schema, where there are moves into several). */
export type RunChoice = { readonly runId: string } | { readonly path: string; readonly targetSchema?: string | undefined }

interface RunRow {
  readonly id: string
  readonly source_path: string
  readonly target_schema: string
  readonly plan: MovePlan
  readonly state: MoveState
  readonly epoch: string
  readonly capture_id: string | null
  readonly applied_seq: string
  readonly checked_seq: string
  readonly reads_percent: number
  readonly slot_name: string | null
  readonly cut_position: string | null
  readonly mirrored_position: string | null
  readonly cut_over_at: Date | null
  readonly holder_pid: number | null
  readonly holder_host: string | null
  readonly holder_seen_at: Date | null
}

const columns = `id, source_path, target_schema, plan, state, epoch, capture_id, applied_seq, checked_seq, reads_percent, slot_name,
  cut_position, mirrored_position, cut_over_at, holder_pid, holder_host, holder_seen_at`

const holderOf = ({ holder_pid, holder_host, holder_seen_at }: RunRow): LiveRun['holder'] =>
  holder_pid === null || holder_host === null || holder_seen_at === null
    ? null
    : { pid: holder_pid, host: holder_host, seenAt: holder_seen_at }

const liveRun = (row: RunRow): LiveRun => ({
  id: row.id,
  path: row.source_path,
  targetSchema: row.target_schema,
  plan: row.plan,
  state: row.state,
  epoch: BigInt(row.epoch),
  captureId: row.capture_id,
  appliedSeq: BigInt(row.applied_seq),
  checkedSeq: BigInt(row.checked_seq),
  readsPercent: row.reads_percent,
  slotName: row.slot_name,
  cutPosition: row.cut_position,
  mirroredPosition: row.mirrored_position,
  cutOverAt: row.cut_over_at,
  holder: holderOf(row),
})

/** The run that is meant, or none; none either where the target has never seen a move. */
export const findLiveRun = async (client: pg.Client, choice: RunChoice): Promise<LiveRun | undefined> => {
  const { rows: there } = await client.query<{ there: boolean }>(
    "SELECT to_regclass('tidemark.move_history') IS NOT NULL AS there",
  )
  if (!there[0]?.there) return undefined
  const { rows } =
    'runId' in choice
      ? await client.query<RunRow>(`SELECT ${columns} FROM tidemark.move_runs WHERE id = $1`, [choice.runId])
      : await client.query<RunRow>(
          `SELECT ${columns} FROM tidemark.move_runs WHERE source_path = $1 AND target_schema = coalesce($2, target_schema)
            ORDER BY started_at DESC LIMIT 1`,
          [choice.path, choice.targetSchema ?? null],
        )
  return rows[0] && liveRun(rows[0])
}

/** The run that is meant. Raises TM_MOVE_NO_PLAN where there is none. */
export const requireLiveRun = async (client: pg.Client, choice: RunChoice): Promise<LiveRun> => {
  const run = await findLiveRun(client, choice)
  if (run) return run
  throw new TidemarkError('TM_MOVE_NO_PLAN', { path: 'path' in choice ? choice.path : choice.runId })
}

/** What the record says of who holds it, for the error of a process that does not any more. */
const fenced = async (client: pg.Client, { run, epoch }: HeldRun): Promise<TidemarkError> => {
  const { rows } = await client.query<Pick<RunRow, 'epoch' | 'holder_pid' | 'holder_host'>>(
    'SELECT epoch, holder_pid, holder_host FROM tidemark.move_runs WHERE id = $1',
    [run.id],
  )
  return new TidemarkError('TM_MOVE_FENCED', {
    path: run.path,
    epoch: String(epoch),
    pid: rows[0]?.holder_pid ?? 'unknown',
    host: rows[0]?.holder_host ?? 'unknown',
  })
}

/** How often a record that a transaction of its holder has locked is asked for again; each time waits as long as the session's lock_timeout. */
const takeOverTries = 6

const raiseEpoch = async (client: pg.Client, id: string, above: bigint, seen: LiveRun | undefined): Promise<RunRow> => {
  const { rows } = await client.query<RunRow>(
    `UPDATE tidemark.move_runs
        SET epoch = greatest(epoch, $4) + 1, holder_pid = $2, holder_host = $3, holder_seen_at = clock_timestamp(), updated_at = now()
      WHERE id = $1 AND epoch = coalesce($5, epoch) RETURNING ${columns}`,
    [id, process.pid, hostname(), above, seen?.epoch ?? null],
  )
  if (rows[0]) return rows[0]
  if (seen) throw await fenced(client, { run: seen, epoch: seen.epoch })
  throw new TidemarkError('TM_MOVE_NO_PLAN', { path: id })
}

/**
 * As {@link takeOver}, with an epoch above one that was not drawn here: that of a file which was opened while Postgres was dead.
 */
export const raiseEpochAbove = async (client: pg.Client, id: string, above: bigint, seen?: LiveRun): Promise<HeldRun> => {
  for (let tries = 1; ; tries++) {
    try {
      const run = liveRun(await raiseEpoch(client, id, above, seen))
      return { run, epoch: run.epoch }
    } catch (error) {
      if (sqlstateOf(error) !== '55P03' || tries === takeOverTries) throw error
    }
  }
}

/**
 * Makes this process the one that works on the move: everything written under an earlier epoch is refused from now on. Waits for a
 * transaction that is being committed under the earlier one; a holder that stands still in one loses it to its session's timeout. `seen`: only
 * if nobody has taken it since; raises TM_MOVE_FENCED otherwise.
 */
export const takeOver = (client: pg.Client, id: string, seen?: LiveRun): Promise<HeldRun> => raiseEpochAbove(client, id, 0n, seen)

/** Lets go of the move, where it is still held: nobody need wait until silence proves that this process is done. */
export const letGo = async (client: pg.Client, { run, epoch }: HeldRun): Promise<void> => {
  await client.query(
    'UPDATE tidemark.move_runs SET holder_pid = NULL, holder_host = NULL, holder_seen_at = NULL WHERE id = $1 AND epoch = $2',
    [run.id, epoch],
  )
}

/** Within a transaction: that it commits only under this process's epoch. Raises TM_MOVE_FENCED. */
export const assertHeld = async (client: pg.Client, held: HeldRun): Promise<void> => {
  const { rowCount } = await client.query('UPDATE tidemark.move_runs SET updated_at = now() WHERE id = $1 AND epoch = $2', [
    held.run.id,
    held.epoch,
  ])
  if (rowCount !== 1) throw await fenced(client, held)
}

/** Tells others that this process is alive, and gives the record as it stands now. Raises TM_MOVE_FENCED. */
export const beat = async (client: pg.Client, held: HeldRun): Promise<HeldRun> => {
  const { rows } = await client.query<RunRow>(
    `UPDATE tidemark.move_runs SET holder_seen_at = clock_timestamp() WHERE id = $1 AND epoch = $2 RETURNING ${columns}`,
    [held.run.id, held.epoch],
  )
  if (!rows[0]) throw await fenced(client, held)
  return { run: liveRun(rows[0]), epoch: held.epoch }
}

/** The error of a step that the state does not allow. */
export const stateError = (path: string, state: MoveState, wanted: string): TidemarkError =>
  new TidemarkError('TM_MOVE_STATE', { path, state, wanted, possible: possibleWords(state, path) })

/** Columns of the record that change together with its state. */
export interface AdvanceFields {
  readonly note?: string
  readonly cutPosition?: string
  readonly slotName?: string | null
  readonly mirroredPosition?: string | null
  readonly cutOverAt?: 'now'
  readonly finishedAt?: 'now'
  readonly report?: object
}

/**
 * Goes one step on and writes it into the history: one statement, so whole within a transaction of the caller's or on its own. Tell it with
 * {@link MoveEvent} `state` when it is committed. Raises TM_MOVE_FENCED, and TM_MOVE_STATE where the record is in another state.
 */
export const advance = async <S extends MoveState>(
  client: pg.Client,
  held: HeldRun,
  from: S,
  to: NextState<S>,
  fields: AdvanceFields = {},
): Promise<HeldRun> => {
  const { run, epoch } = held
  if (!mayFollow(from, to)) throw stateError(run.path, from, to)
  const { rows } = await client.query<RunRow>(
    `WITH stepped AS (
       UPDATE tidemark.move_runs
          SET state = $4, updated_at = now(), cut_position = coalesce($6, cut_position), slot_name = CASE WHEN $7 THEN $8 ELSE slot_name END,
              mirrored_position = CASE WHEN $9 THEN $10 ELSE mirrored_position END,
              cut_over_at = CASE WHEN $11 THEN clock_timestamp() ELSE cut_over_at END,
              finished_at = CASE WHEN $12 THEN clock_timestamp() WHEN $4 = 'following' THEN NULL ELSE finished_at END, report = report || coalesce($13::jsonb, '{}')
        WHERE id = $1 AND epoch = $2 AND state = $3 RETURNING *),
     noted AS (INSERT INTO tidemark.move_history (run_id, from_state, to_state, epoch, note, at) SELECT id, $3, $4, epoch, $5, clock_timestamp() FROM stepped)
     SELECT ${columns} FROM stepped`,
    [
      run.id,
      epoch,
      from,
      to,
      fields.note ?? '',
      fields.cutPosition ?? null,
      fields.slotName !== undefined,
      fields.slotName ?? null,
      fields.mirroredPosition !== undefined,
      fields.mirroredPosition ?? null,
      fields.cutOverAt === 'now',
      fields.finishedAt === 'now',
      fields.report === undefined ? null : JSON.stringify(fields.report),
    ],
  )
  if (rows[0]) return { run: liveRun(rows[0]), epoch }
  // Reading the state also tells whether it was the epoch that did not fit.
  const found = await requireLiveRun(client, { runId: run.id })
  throw found.epoch === epoch ? stateError(run.path, found.state, to) : await fenced(client, held)
}

/** One row of the history. */
export interface HistoryEntry {
  readonly from: MoveState
  readonly to: MoveState
  readonly epoch: bigint
  readonly note: string
  readonly at: Date
}

/** Every step the move took, oldest first. */
export const historyOf = async (client: pg.Client, runId: string): Promise<readonly HistoryEntry[]> => {
  const { rows } = await client.query<Omit<HistoryEntry, 'epoch'> & { epoch: string }>(
    'SELECT from_state AS from, to_state AS to, epoch, note, at FROM tidemark.move_history WHERE run_id = $1 ORDER BY id',
    [runId],
  )
  return rows.map((row) => ({ ...row, epoch: BigInt(row.epoch) }))
}
