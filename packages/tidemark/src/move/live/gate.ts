/** What must hold before a switch, each refused by name and with what to do about it. */
import type pg from 'pg'
import { TidemarkError } from '../../errors.js'
import type { GateReport } from '../checks/checks.js'
import type { LiveRun } from './live-run.js'
import type { SwitchKind } from './pause.js'

/** A refusal of the gate. Several reasons become one sentence. */
export const gateError = (step: SwitchKind, path: string, reason: string, fix: string, cause?: unknown): TidemarkError =>
  new TidemarkError('TM_MOVE_GATE', { step, path, reason, fix }, { cause })

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

/** At most so many names stand in an error. */
const shown = 5

/** `a, b, c and 4 more`. */
export const named = (names: readonly string[]): string =>
  names.length <= shown ? names.join(', ') : `${names.slice(0, shown).join(', ')} and ${names.length - shown} more`

interface RecordFacts {
  readonly unallowed: number
  readonly unchecked: readonly string[]
}

const factsSql = `
  SELECT (SELECT count(*)::integer FROM tidemark.move_rejects WHERE run_id = $1 AND NOT allowed) AS unallowed,
         ARRAY(SELECT t.name FROM unnest($2::text[]) AS t(name)
                WHERE NOT EXISTS (SELECT FROM tidemark.move_checks AS c WHERE c.run_id = $1 AND c.table_name = t.name AND c.done)) AS unchecked`

/** What the record forbids: rows left behind, and tables whose comparison is not complete. Raises TM_MOVE_GATE. */
export const checkRecord = async (client: pg.Client, { id, path, plan }: LiveRun): Promise<void> => {
  const { rows } = await client.query<RecordFacts>(factsSql, [id, plan.tables.map(({ source }) => source)])
  const { unallowed, unchecked } = rows[0]!
  if (unallowed > 0) {
    const reason = `${counted(unallowed, 'row')} could not be carried, and no choice allows that`
    const fix =
      'See them with `tidemark move status --rejects`; correct the rows in the file, or begin again with a choice that allows it.'
    throw gateError('cutover', path, reason, fix)
  }
  if (unchecked.length === 0) return
  const fix = 'Let `tidemark move follow` run until `tidemark move status` shows every table compared.'
  throw gateError('cutover', path, `the comparison is not complete: ${named(unchecked)}`, fix)
}

/** The refusal of rows that differ, with the first of them. */
export const differenceError = async (client: pg.Client, step: SwitchKind, { id, path }: LiveRun): Promise<TidemarkError> => {
  const { rows } = await client.query<{ count: number; row: string; table: string }>(
    `SELECT count(*) OVER ()::integer AS count, row_key AS row, table_name AS table FROM tidemark.move_differences
      WHERE run_id = $1 ORDER BY found_at, table_name, row_key LIMIT 1`,
    [id],
  )
  const first = rows[0]
  const what = `${counted(first?.count ?? 0, 'row differs', 'rows differ')} between the two sides`
  const fix =
    step === 'cutover'
      ? 'See them with `tidemark move status`. Rows that stay different were changed in Postgres behind the back of the move: write them once more in the file.'
      : 'See them with `tidemark move status`; change those rows in Postgres into what the file can hold.'
  return gateError(step, path, first ? `${what} (first: ${first.row} in ${first.table})` : what, fix)
}

/** What the last look at both sides found, with nobody writing. Raises TM_MOVE_GATE. */
export const checkGate = (step: SwitchKind, path: string, report: GateReport): void => {
  if (report.ok) return
  const { differenceCount, differences, rangesLeft } = report
  const first = differences[0]
  const reasons = [
    ...(differenceCount > 0
      ? [`${counted(differenceCount, 'row differs', 'rows differ')}${first ? ` (first: ${first.key} in ${first.table})` : ''}`]
      : []),
    ...(rangesLeft.length > 0 ? [`the comparison of ${named(rangesLeft)} is not complete`] : []),
  ]
  throw gateError(
    step,
    path,
    reasons.join(', and ') || 'the last comparison did not end well',
    'The switch was undone and writes go on as before. See `tidemark move status`, and try again when nothing differs.',
  )
}
