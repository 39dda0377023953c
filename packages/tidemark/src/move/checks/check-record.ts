/** What is kept of the checks in Postgres: how far each table came, how far the log was checked, and the rows that differ. */
import type pg from 'pg'
import type { HeldRun } from '../live/live-run.js'
import { assertHeld } from '../live/record.js'
import type { RowDifference } from '../move.js'
import { type Key, type Packed, packKey, unpackKey } from '../row-keys.js'
import type { RecordedDifference } from './checks.js'
import type { WalkCursor } from './walk-table.js'

/** How far a table has come. */
export interface TableProgress {
  readonly cursor: WalkCursor | null
  readonly rowsChecked: number
  readonly done: boolean
  /** True where it changed and its rows cannot be told apart, so that only another look at all of it tells. */
  readonly dirty: boolean
  readonly pass: number
}

/** A row on record as different, and what it is found again by. */
export interface KeptDifference extends RecordedDifference {
  readonly rowKey: Key | null
  readonly texts: readonly string[] | undefined
}

interface StoredDifference {
  readonly state: RowDifference['state']
  readonly columns: RowDifference['columns']
  readonly rowKey: readonly Packed[] | null
  readonly texts: readonly string[] | null
}

export interface CheckChanges {
  readonly checkedSeq: bigint | null
  readonly tables: ReadonlyMap<string, TableProgress>
  readonly found: readonly KeptDifference[]
  readonly settled: readonly Pick<KeptDifference, 'table' | 'key'>[]
  /** Tables all of whose differences are void. */
  readonly cleared: readonly string[]
}

export interface LoadedChecks {
  readonly checkedSeq: bigint
  readonly mirroredPosition: string | null
  readonly tables: ReadonlyMap<string, TableProgress>
  readonly differences: readonly KeptDifference[]
}

interface CheckRow {
  readonly table_name: string
  readonly last_key: { readonly cursor: WalkCursor | null; readonly dirty: boolean } | null
  readonly rows_checked: string
  readonly done: boolean
  readonly pass: number
}

/** jsonb takes neither a NUL nor half a surrogate pair. */
const storable = (value: object): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'string' ? inner.replaceAll('\0', '\u2400').replaceAll(/\p{Surrogate}/gu, '\uFFFD') : inner,
  )

const progressOf = ({ last_key, rows_checked, done, pass }: CheckRow): TableProgress => ({
  cursor: last_key?.cursor ?? null,
  dirty: last_key?.dirty ?? false,
  rowsChecked: Number(rows_checked),
  done,
  pass,
})

export const loadChecks = async (client: pg.Client, runId: string): Promise<LoadedChecks> => {
  const { rows: runs } = await client.query<{ checked_seq: string; mirrored_position: string | null }>(
    'SELECT checked_seq, mirrored_position FROM tidemark.move_runs WHERE id = $1',
    [runId],
  )
  const { rows: tables } = await client.query<CheckRow>(
    'SELECT table_name, last_key, rows_checked, done, pass FROM tidemark.move_checks WHERE run_id = $1',
    [runId],
  )
  const { rows: differences } = await client.query<{
    table_name: string
    row_key: string
    difference: StoredDifference
    found_at: Date
  }>(
    // Others keep rows there too; those that were not written here cannot be found again by what they hold.
    "SELECT table_name, row_key, difference, found_at FROM tidemark.move_differences WHERE run_id = $1 AND difference ? 'rowKey'",
    [runId],
  )
  return {
    checkedSeq: BigInt(runs[0]?.checked_seq ?? 0),
    mirroredPosition: runs[0]?.mirrored_position ?? null,
    tables: new Map(tables.map((row) => [row.table_name, progressOf(row)])),
    differences: differences.map(({ table_name, row_key, difference, found_at }) => ({
      table: table_name,
      key: row_key,
      state: difference.state,
      columns: difference.columns,
      foundAt: found_at,
      rowKey: unpackKey(difference.rowKey),
      texts: difference.texts ?? undefined,
    })),
  }
}

const writeDifferences = async (client: pg.Client, runId: string, changes: CheckChanges): Promise<void> => {
  const { found, settled, cleared } = changes
  if (cleared.length > 0) {
    await client.query('DELETE FROM tidemark.move_differences WHERE run_id = $1 AND table_name = ANY ($2)', [runId, cleared])
  }
  if (settled.length > 0) {
    await client.query(
      `DELETE FROM tidemark.move_differences WHERE run_id = $1 AND (table_name, row_key) IN (SELECT * FROM unnest($2::text[], $3::text[]))`,
      [runId, settled.map(({ table }) => table), settled.map(({ key }) => key)],
    )
  }
  if (found.length === 0) return
  const stored = found.map(({ state, columns, rowKey, texts }): string =>
    storable({ state, columns, rowKey: packKey(rowKey), texts: texts ?? null } satisfies StoredDifference),
  )
  await client.query(
    `INSERT INTO tidemark.move_differences (run_id, table_name, row_key, difference)
     SELECT $1, * FROM unnest($2::text[], $3::text[], $4::jsonb[]) ON CONFLICT (run_id, table_name, row_key) DO UPDATE
        SET difference = excluded.difference`,
    [runId, found.map(({ table }) => table), found.map(({ key }) => key), stored],
  )
}

const writeTables = async (client: pg.Client, runId: string, tables: CheckChanges['tables']): Promise<void> => {
  if (tables.size === 0) return
  const rows = Array.from(tables, ([table_name, { cursor, dirty, rowsChecked, done, pass }]) => ({
    table_name,
    last_key: { cursor, dirty },
    rows_checked: rowsChecked,
    done,
    pass,
  }))
  await client.query(
    `INSERT INTO tidemark.move_checks (run_id, table_name, last_key, rows_checked, done, pass)
     SELECT $1, * FROM jsonb_to_recordset($2) AS given(table_name text, last_key jsonb, rows_checked bigint, done boolean, pass integer)
     ON CONFLICT (run_id, table_name) DO UPDATE SET last_key = excluded.last_key, rows_checked = excluded.rows_checked,
       done = excluded.done, pass = excluded.pass, updated_at = now()`,
    [runId, storable(rows)],
  )
}

/** Everything that a piece of work came to, in one transaction under the fencing epoch. Raises TM_MOVE_FENCED. */
export const writeChecks = async (client: pg.Client, held: HeldRun, changes: CheckChanges): Promise<void> => {
  const { id } = held.run
  await client.query('BEGIN')
  try {
    await assertHeld(client, held)
    if (changes.checkedSeq !== null) {
      await client.query('UPDATE tidemark.move_runs SET checked_seq = greatest(checked_seq, $2) WHERE id = $1', [
        id,
        changes.checkedSeq,
      ])
    }
    await writeTables(client, id, changes.tables)
    await writeDifferences(client, id, changes)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}
