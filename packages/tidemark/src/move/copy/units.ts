/** The parts into which the tables of a run are cut, so that several workers share a large one. */
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import { type MovePlan, refersToItself, type TablePlan } from '../move.js'
import { packKey } from '../row-keys.js'
import { quoteSqlite } from '../row-source.js'
import type { CopyUnit } from './copy-unit.js'

/** A table with fewer rows is one part. */
const rowsPerUnit = 150_000
const maxUnits = 16

/** Stretches of equal width between the smallest and the largest rowid; the first and the last are open, for rows that come meanwhile. */
const cutTable = (database: Database, table: TablePlan): readonly (readonly [bigint | null, bigint | null])[] => {
  const count = Math.min(maxUnits, Math.floor(table.rows / rowsPerUnit) + 1)
  if (table.rowKey.kind !== 'rowid' || count < 2 || refersToItself(table)) return [[null, null]]
  const name = quoteSqlite(table.rowKey.name)
  const end = (of: 'min' | 'max') =>
    database
      .prepare(`SELECT ${of}(${name}) FROM ${quoteSqlite(table.source)}`)
      .safeIntegers(true)
      .pluck()
      .get() as bigint | null
  const [first, last] = [end('min'), end('max')]
  if (first === null || last === null) return [[null, null]]
  const width = (last - first) / BigInt(count)
  const cuts = Array.from({ length: count - 1 }, (_, i) => first + width * BigInt(i + 1))
  return [null, ...cuts].map((after, i) => [after, cuts[i] ?? null] as const)
}

interface UnitRow {
  readonly table_name: string
  readonly unit: number
  readonly last_key: Pick<CopyUnit, 'after' | 'until'>
}

/** Writes the parts of every table, each at its beginning. */
export const insertUnits = async (client: pg.Client, database: Database, plan: MovePlan, runId: string): Promise<void> => {
  const units = plan.tables.flatMap((table) =>
    cutTable(database, table).map(([after, until], unit) => ({
      table_name: table.source,
      unit,
      last_key: { after: packKey(after === null ? null : [after]), until: packKey(until === null ? null : [until]) },
    })),
  )
  await client.query(
    `INSERT INTO tidemark.move_progress (run_id, table_name, unit, last_key)
     SELECT $1, table_name, unit, last_key FROM jsonb_to_recordset($2) AS given(table_name text, unit integer, last_key jsonb)`,
    [runId, JSON.stringify(units)],
  )
}

/** The parts that are not finished, each where it stands; those of the largest tables first. */
export const openUnits = async (client: pg.Client, plan: MovePlan, runId: string): Promise<CopyUnit[]> => {
  const { rows } = await client.query<UnitRow>(
    'SELECT table_name, unit, last_key FROM tidemark.move_progress WHERE run_id = $1 AND NOT done ORDER BY table_name, unit',
    [runId],
  )
  const tables = new Map(plan.tables.map((table) => [table.source, table]))
  return rows
    .flatMap(({ table_name, unit, last_key }) => {
      const table = tables.get(table_name)
      return table ? [{ runId, table, unit, after: last_key.after, until: last_key.until }] : []
    })
    .sort((a, b) => b.table.rows - a.table.rows || a.unit - b.unit)
}
