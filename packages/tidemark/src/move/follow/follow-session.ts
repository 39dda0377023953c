/** What following keeps open in Postgres, and knows of its target: made anew whenever the connection was lost. */
import type pg from 'pg'
import type { ConnectOptions } from '../../postgres/driver/connect.js'
import type { HeldRun } from '../live/live-run.js'
import { connectMove } from '../live/session.js'
import { rowColumn } from '../log-key.js'
import type { Reject, TablePlan } from '../move.js'
import { qualifiedName, quoteIdentifier } from '../translate/translate.js'
import { isTakenKey, KeyStages } from './apply-batch.js'
import { type FollowRecord, inFencedTransaction } from './fenced-transaction.js'

export interface FollowSession {
  readonly client: pg.Client
  readonly stages: KeyStages
  /** Tables of the file with anything on record as rejected … */
  readonly rejecting: Set<string>
  /** … and those of them in which two rows claim one key: only the whole table tells who has it when one of them changes. */
  readonly contested: Set<string>
  record: FollowRecord
}

/** Takes note of what was rejected since. */
export const noteRejects = ({ rejecting, contested }: FollowSession, rejects: readonly Reject[]): void => {
  for (const { table, sqlstate } of rejects) {
    rejecting.add(table)
    if (isTakenKey(sqlstate)) contested.add(table)
  }
}

/** True where rows do not have their rowids: the column came new after the rows. */
const lacksRowids = async (client: pg.Client, { targetSchema, target }: TablePlan): Promise<boolean> => {
  const name = qualifiedName({ schema: targetSchema, name: target })
  const { rows } = await client.query<{ lacking: boolean }>(
    `SELECT EXISTS (SELECT FROM ${name} WHERE ${quoteIdentifier(rowColumn)} IS NULL) AS lacking`,
  )
  return rows[0]!.lacking
}

/** Tables that have to be copied anew before their changes can be followed. */
const lackingTables = async (client: pg.Client, { run }: HeldRun): Promise<string[]> => {
  const lacking: string[] = []
  for (const table of run.plan.tables) {
    const hasColumn = table.columns.some(({ target }) => target === rowColumn)
    if (hasColumn && (await lacksRowids(client, table))) lacking.push(table.source)
  }
  return lacking
}

/** Connects, and reads where following stands. Raises TM_MOVE_FENCED, TM_POSTGRES_*. */
export const openSession = async (target: ConnectOptions, held: HeldRun): Promise<FollowSession> => {
  const client = await connectMove(target)
  try {
    const unsettle = await lackingTables(client, held)
    const { record } = await inFencedTransaction(client, held, { unsettle }, async () => undefined)
    const { rows } = await client.query<{ name: string; contested: boolean }>(
      `SELECT table_name AS name, bool_or(coalesce(sqlstate IN ('23505', '23P01'), false)) AS contested
         FROM tidemark.move_rejects WHERE run_id = $1 GROUP BY 1`,
      [held.run.id],
    )
    return {
      client,
      stages: new KeyStages(client),
      rejecting: new Set(rows.map(({ name }) => name)),
      contested: new Set(rows.filter(({ contested }) => contested).map(({ name }) => name)),
      record,
    }
  } catch (error) {
    await client.end().catch(() => undefined)
    throw error
  }
}
