/** What the second database has still to get, as the first one keeps it. */
import { sql } from 'kysely'
import { runStatement } from 'tidemark/app'
import type { Db } from '../repository/rows.js'
import { firstOf, rowsOf, type SpoolEntry, tables } from '../repository/tables.js'

/** Whether rows are spooled; from the first time on, also those that were there before. */
export const switchSpool = async (db: Db, enabled: boolean): Promise<void> => {
  await runStatement(db, tables.selectNoFrom(sql`agents_spool.switch_to(${enabled})`.as('switched')))
}

/** In a transaction, until whose end nobody else may bring them over. */
export const lockSpool = async (db: Db): Promise<void> => {
  await runStatement(db, tables.selectNoFrom(sql`pg_advisory_xact_lock(hashtext('agents_spool'))`.as('locked')))
}

/** The oldest, in the order in which they were spooled. */
export const nextEntries = (db: Db, most: number): Promise<readonly SpoolEntry[]> => {
  const entries = tables.selectFrom('agents_spool.entries').select(['seq', 'table_name', 'row_id', 'row_data'])
  return rowsOf(db, entries.orderBy('seq').limit(most))
}

/** Neighbours of one table that one statement brings over, all of them written or all of them gone. */
export interface Run {
  readonly table: string
  readonly isGone: boolean
  readonly ids: readonly string[]
  /** As JSON; none of those that are gone. */
  readonly rows: readonly string[]
}

const mostBytes = 4 * 1024 * 1024

/** Entries in their order, with no row twice in a run, so that each of its states is written. */
export const runsOf = (entries: readonly SpoolEntry[]): readonly Run[] => {
  const runs: { table: string; isGone: boolean; ids: string[]; rows: string[] }[] = []
  let bytes = 0
  for (const { table_name: table, row_id: id, row_data } of entries) {
    const isGone = row_data === null
    const row = isGone ? '' : JSON.stringify(row_data)
    const last = runs.at(-1)
    const goesOn = last?.table === table && last.isGone === isGone && !last.ids.includes(id) && bytes + row.length <= mostBytes
    bytes = (goesOn ? bytes : 0) + row.length
    const run = goesOn ? last : { table, isGone, ids: [], rows: [] }
    if (!goesOn) runs.push(run)
    run.ids.push(id)
    if (!isGone) run.rows.push(row)
  }
  return runs
}

export const removeEntries = async (db: Db, entries: readonly SpoolEntry[]): Promise<void> => {
  const seqs = entries.map(({ seq }) => seq)
  await runStatement(db, tables.deleteFrom('agents_spool.entries').where('seq', 'in', seqs))
}

export interface Backlog {
  readonly entries: number
  /** Null where there is none. */
  readonly oldest_seconds: number | null
}

export const backlogOf = async (db: Db): Promise<Backlog> => {
  const counted = tables
    .selectFrom('agents_spool.entries')
    .select(({ fn, cast }) => [
      fn.countAll<string>().as('entries'),
      cast<number | null>(sql`extract(epoch from clock_timestamp() - min(spooled_at))`, 'double precision').as('oldest_seconds'),
    ])
  const { entries, oldest_seconds } = (await firstOf(db, counted))!
  return { entries: Number(entries), oldest_seconds }
}
