/** Makes the target of an ordinary copy ready for following. */
import type pg from 'pg'
import { rowColumns, setAside } from '../copy/set-aside.js'
import type { HeldRun } from '../live/live-run.js'
import { refuseWrites } from '../live/refuse-writes.js'
import type { MovePlan } from '../move.js'
import { liveShape } from '../plan/live-table.js'
import { readTargetTable } from '../plan/target-catalogue.js'
import { inLongFencedTransaction } from './fenced-transaction.js'

/** Tables whose key in the target calls different texts equal. */
const looseKeys = async (client: pg.Client, { tables }: MovePlan): Promise<readonly string[]> => {
  const loose: string[] = []
  for (const { source, targetSchema, target, primaryKey } of tables) {
    const found = await readTargetTable(client, targetSchema, target)
    if (found?.columns.some(({ name, isLoose }) => isLoose && primaryKey.includes(name))) loose.push(source)
  }
  return loose
}

/** The plan of an ordinary copy as the plan of a live move. */
const livePlan = async (client: pg.Client, plan: MovePlan): Promise<MovePlan> => ({
  ...plan,
  live: true,
  ...liveShape(plan, await looseKeys(client, plan)),
})

/**
 * Turns a run that was copied without capture into one that can be followed, in one transaction: constraints and triggers are set aside, the
 * columns for rowids made, other writers refused, and every table is noted as to be compared or copied anew, since nobody knows what
 * changed in the meantime. Then the capture can be installed and following be opened. A run that is live already stays as it is.
 */
export const makeLive = async (client: pg.Client, held: HeldRun): Promise<HeldRun> => {
  const { run, epoch } = held
  if (run.plan.live) return held
  const plan = await livePlan(client, run.plan)
  const unsettle = plan.tables.map(({ source }) => source)
  await inLongFencedTransaction(client, held, { unsettle }, async () => {
    await setAside(client, plan, run.id, [])
    for (const { dropSql } of rowColumns(plan)) await client.query(dropSql)
    await refuseWrites(client, plan)
    await client.query('UPDATE tidemark.move_runs SET plan = $2 WHERE id = $1', [run.id, JSON.stringify(plan)])
  })
  return { run: { ...run, plan }, epoch }
}
