/** How far each part of a run came, kept in the same Postgres transaction as the rows it speaks of (MOVE-2). */
import type pg from 'pg'
import { TidemarkError } from '../../errors.js'
import type { ColumnPlan, Reject } from '../move.js'
import { type Key, packKey } from '../row-keys.js'
import type { CopyUnit } from './copy-unit.js'

export interface Progress {
  readonly after: Key | null
  /** Rows read, rejected ones among them. */
  readonly rows: number
}

export interface MappedId {
  readonly namespace: string
  readonly legacyId: string
  /** 32 hex digits. */
  readonly id: string
}

export interface UnitProgress extends Progress {
  /** Where the transaction began: the progress must stand there still, or another process went on in between. */
  readonly from: Key | null
  readonly done: boolean
  readonly rejects: readonly Reject[]
  readonly ids: readonly MappedId[]
}

/** True where the choices allow what became of the value, so that the copy may end well with it. */
const isAllowed = (reject: Reject, columns: readonly ColumnPlan[]): boolean =>
  reject.outcome === 'valueReplaced' || columns.find(({ source }) => source === reject.column)?.policies.rejectsAllowed === true

/** Notes what became of values that could not be carried as they are. */
export const insertRejects = async (
  client: pg.Client,
  { runId, table }: Pick<CopyUnit, 'runId' | 'table'>,
  rejects: readonly Reject[],
): Promise<void> => {
  if (rejects.length === 0) return
  const field = <T>(of: (reject: Reject) => T): T[] => rejects.map(of)
  await client.query(
    `INSERT INTO tidemark.move_rejects (run_id, table_name, row_key, column_name, reason, bytes, outcome, allowed, sqlstate)
     SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::boolean[], $9::text[])`,
    [
      runId,
      table.source,
      field(({ key }) => key.replaceAll('\0', '\u2400')),
      field(({ column }) => column),
      field(({ reason }) => reason.replaceAll('\0', '\u2400')),
      field(({ bytes }) => bytes && Buffer.from(bytes)),
      field(({ outcome }) => outcome),
      field((reject) => table.rejectsAllowed || isAllowed(reject, table.columns)),
      field(({ sqlstate }) => sqlstate ?? null),
    ],
  )
}

/** Keeps the uuids that identifiers were given. */
export const insertIds = async (client: pg.Client, ids: readonly MappedId[]): Promise<void> => {
  if (ids.length === 0) return
  await client.query(
    `INSERT INTO tidemark.move_id_map (namespace, legacy_id, id)
     SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::uuid[]) ON CONFLICT DO NOTHING`,
    [ids.map(({ namespace }) => namespace), ids.map(({ legacyId }) => legacyId), ids.map(({ id }) => id)],
  )
}

/** Writes what a transaction came to: the last key, the counts, the rejects and the ids that were mapped. */
export const recordProgress = async (client: pg.Client, unit: CopyUnit, progress: UnitProgress): Promise<void> => {
  await insertRejects(client, unit, progress.rejects)
  await insertIds(client, progress.ids)
  const rejected = progress.rejects.filter(({ outcome }) => outcome === 'rowRejected').length
  const { rowCount } = await client.query(
    `UPDATE tidemark.move_progress
        SET last_key = jsonb_set(last_key, '{after}', coalesce($4::jsonb, 'null')), rows_copied = rows_copied + $5,
            rows_rejected = rows_rejected + $6, done = $7, updated_at = now()
      WHERE run_id = $1 AND table_name = $2 AND unit = $3 AND NOT done AND last_key -> 'after' = coalesce($8::jsonb, 'null')`,
    [
      unit.runId,
      unit.table.source,
      unit.unit,
      JSON.stringify(packKey(progress.after)),
      progress.rows,
      rejected,
      progress.done,
      JSON.stringify(packKey(progress.from)),
    ],
  )
  if (rowCount === 1) return
  throw new TidemarkError('TM_MOVE_WORKER', { reason: `another process went on with part ${unit.unit} of ${unit.table.source}` })
}
