/** `finish`: the end of a move. Postgres keeps the writes for good, and the file is as free as it was before. */
import type pg from 'pg'
import { TidemarkError } from '../../errors.js'
import { formatDuration } from '../../time/durations.js'
import { dropMirror } from '../mirror/prepare-mirror.js'
import { cleanFile, isUncleaned, noteCleaned } from './ending.js'
import { holdMove } from './holding.js'
import type { HeldRun, LiveRun } from './live-run.js'
import { advance, type HistoryEntry, historyOf, requireLiveRun, stateError } from './record.js'
import { choiceOf, withSession } from './session.js'
import type { LiveMoveOptions } from './switch-options.js'

/** So long the way back stays open, unless somebody says otherwise (R91). */
const daysOpen = 7
const dayMs = 86_400_000

export interface FinishOptions extends LiveMoveOptions {
  /** Ends the move even where the cutover is not long ago. */
  readonly yes?: boolean
}

export interface FinishReport {
  readonly ok: boolean
  readonly runId: string
  readonly path: string
  readonly cutOverAt: string | null
  readonly finishedAt: string
  /** Up to where the file held what Postgres took. */
  readonly mirroredPosition: string | null
  readonly tables: readonly {
    readonly table: string
    readonly target: string
    readonly rowsPlanned: number
    readonly rows: number
  }[]
  readonly rejects: { readonly rows: number; readonly values: number }
  readonly differences: number
  readonly history: readonly { readonly from: string; readonly to: string; readonly at: string; readonly note: string }[]
  /** False where the file was not there any more. */
  readonly fileCleaned: boolean
  readonly lostTriggers: readonly string[]
}

const refuseEarly = (run: LiveRun, nowMs: number): void => {
  const agoMs = nowMs - (run.cutOverAt?.getTime() ?? 0)
  if (agoMs >= daysOpen * dayMs) return
  const until = new Date(nowMs - agoMs + daysOpen * dayMs).toISOString()
  throw new TidemarkError('TM_MOVE_FINISH_EARLY', { path: run.path, ago: formatDuration(agoMs), until })
}

const countRows = async (client: pg.Client, { plan }: LiveRun): Promise<FinishReport['tables']> => {
  // Estimates would do for a screen; the report is kept, and says how many there were.
  const tables: FinishReport['tables'][number][] = []
  for (const { source, targetSchema, target, rows: rowsPlanned } of plan.tables) {
    const { rows } = await client.query<{ rows: string }>(
      `SELECT count(*) AS rows FROM ${client.escapeIdentifier(targetSchema)}.${client.escapeIdentifier(target)}`,
    )
    tables.push({ table: source, target: `${targetSchema}.${target}`, rowsPlanned, rows: Number(rows[0]!.rows) })
  }
  return tables
}

const inReport = ({ from, to, at, note }: HistoryEntry) => ({ from, to, at: at.toISOString(), note })

type Final = Omit<FinishReport, 'ok' | 'fileCleaned' | 'lostTriggers'>

const finalReport = async (client: pg.Client, run: LiveRun, nowMs: number): Promise<Final> => {
  const { rows } = await client.query<{ rows: number; values: number; differences: number }>(
    `SELECT count(*) FILTER (WHERE outcome = 'rowRejected')::integer AS rows, count(*) FILTER (WHERE outcome = 'valueReplaced')::integer AS values,
            (SELECT count(*)::integer FROM tidemark.move_differences WHERE run_id = $1) AS differences
       FROM tidemark.move_rejects WHERE run_id = $1`,
    [run.id],
  )
  const { differences, ...rejects } = rows[0]!
  return {
    runId: run.id,
    path: run.path,
    cutOverAt: run.cutOverAt?.toISOString() ?? null,
    finishedAt: new Date(nowMs).toISOString(),
    mirroredPosition: run.mirroredPosition,
    tables: await countRows(client, run),
    rejects,
    differences,
    history: (await historyOf(client, run.id)).map(inReport),
  }
}

const keptReport = async (client: pg.Client, runId: string): Promise<Final> => {
  const { rows } = await client.query<{ final: Final }>(
    "SELECT report -> 'final' AS final FROM tidemark.move_runs WHERE id = $1",
    [runId],
  )
  return rows[0]!.final
}

const serverNow = async (client: pg.Client): Promise<number> =>
  (await client.query<{ now: Date }>('SELECT clock_timestamp() AS now')).rows[0]!.now.getTime()

/** Notes the end with its report, or reads what was noted when cleaning up was cut off. */
const noteEnd = async (client: pg.Client, held: HeldRun): Promise<Final> => {
  if (held.run.state === 'finished') return keptReport(client, held.run.id)
  const final = await finalReport(client, held.run, await serverNow(client))
  await advance(client, held, 'mirroring', 'finished', { finishedAt: 'now', report: { final, cleanedUp: false } })
  return final
}

/**
 * Ends the move: the mirror and its slot go, the file is freed of everything that the move put into it, and the report stays in the record.
 * After this there is no way back. Where it is cut off, the same command goes on. Raises TM_MOVE_STATE, TM_MOVE_FINISH_EARLY.
 */
export const finish = (options: FinishOptions): Promise<FinishReport> =>
  withSession(options, async (client) => {
    const run = await requireLiveRun(client, choiceOf(options))
    const isResumed = run.state === 'finished' && (await isUncleaned(client, run.id))
    if (run.state !== 'mirroring' && !isResumed) throw stateError(run.path, run.state, 'finished')
    if (!isResumed && options.yes !== true) refuseEarly(run, await serverNow(client))
    const holding = await holdMove(client, run.id, options)
    try {
      const { held } = holding
      const final = await noteEnd(client, held)
      if (!isResumed) options.onEvent?.({ type: 'state', from: 'mirroring', to: 'finished' })
      await dropMirror({ ...options, held })
      const { cleaned, lostTriggers } = await cleanFile(options, held)
      await noteCleaned(client, held)
      return { ok: true, ...final, fileCleaned: cleaned, lostTriggers }
    } finally {
      await holding.release()
    }
  })
