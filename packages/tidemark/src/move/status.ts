/** What the target knows of its moves: how far each came, who is at it, what was set aside, and what can be done next. */

import { resolve } from 'node:path'
import type pg from 'pg'
import { type ConnectOptions, connectPostgres } from '../postgres/driver/connect.js'
import type { FenceState } from '../sqlite/capture/capture.js'
import { readControl } from '../sqlite/capture/control.js'
import { logHead } from '../sqlite/capture/log.js'
import { openSqlite } from '../sqlite/open.js'
import { type MoveState, writerOf } from './live/live-state.js'
import { nextCommands } from './live/next-commands.js'

export interface MoveStatus {
  readonly runId: string
  readonly path: string
  readonly targetSchema: string
  readonly state: MoveState
  readonly startedAt: string
  readonly finishedAt: string | null
  readonly tables: readonly {
    readonly table: string
    readonly rows: number
    readonly copied: number
    readonly rejected: number
    readonly done: boolean
  }[]
  readonly rejects: { readonly rows: number; readonly values: number; readonly unallowed: number }
  /** Raised with each takeover; whoever acts under an earlier one is refused. */
  readonly epoch: string
  /** Which store takes the application's writes; none while a switch is under way. */
  readonly writer: 'sqlite' | 'postgres' | 'none'
  /** Share of reads that Postgres answers. */
  readonly readsPercent: number
  /** Who works on the move, or did last. */
  readonly holder: { readonly pid: number; readonly host: string; readonly seenAt: string | null } | null
  /** How far changes of the file came, as numbers of its log; null before the capture. */
  readonly log: {
    readonly captureId: string
    readonly applied: string
    readonly checked: string
    /** Last entry of the file's log, and how many are not in Postgres; null where the file cannot be read from here. */
    readonly head: string | null
    readonly behind: number | null
  } | null
  /** What the file itself says; null where it cannot be read from here, or is in no live move. */
  readonly file: { readonly fence: FenceState; readonly mirroredPosition: string | null; readonly note: string | null } | null
  readonly mirror: {
    readonly slot: string | null
    /** Where in the feed Postgres took over, and up to where the file follows. */
    readonly cutPosition: string | null
    readonly mirroredPosition: string | null
    /** Bytes of WAL that Postgres keeps for the mirror; null where its slot is not there. */
    readonly behindBytes: number | null
  } | null
  /** Values that the file holds less finely than Postgres since the cutover, by column; at least so many. */
  readonly narrowed: readonly NarrowedColumn[]
  readonly cutOverAt: string | null
  readonly checks: {
    readonly done: boolean
    readonly tablesDone: number
    readonly rowsChecked: number
    readonly differences: number
  }
  /** What waits in the target for the cutover. */
  readonly waiting: readonly { readonly table: string; readonly name: string; readonly kind: string; readonly state: string }[]
  readonly history: readonly {
    readonly from: MoveState
    readonly to: MoveState
    readonly epoch: string
    readonly note: string
    readonly at: string
  }[]
  /** What can be done in this state. */
  readonly next: readonly { readonly command: string; readonly what: string }[]
}

export interface NarrowedColumn {
  readonly table: string
  readonly column: string
  readonly count: number
  /** The first of them: its row, what Postgres holds, and what became of it. */
  readonly first: { readonly key: string; readonly target: string | null; readonly reason: string }
}

export interface MoveReject {
  readonly table: string
  readonly key: string
  readonly column: string | null
  readonly reason: string
  /** Base64 of the value's bytes. */
  readonly bytes: string | null
  readonly outcome: 'rowRejected' | 'valueReplaced'
  readonly allowed: boolean
}

export interface StatusOptions {
  readonly target: ConnectOptions
  /** Only moves of this file. */
  readonly path?: string
}

const withTarget = async <T>(target: ConnectOptions, ask: (client: pg.Client) => Promise<T>, none: T): Promise<T> => {
  const client = await connectPostgres(target)
  try {
    const { rows } = await client.query<{ there: boolean }>("SELECT to_regclass('tidemark.move_narrowed') IS NOT NULL AS there")
    return rows[0]?.there ? await ask(client) : none
  } finally {
    await client.end()
  }
}

/** A moment as JSON writes it. */
const moment = (column: string): string => `to_json(${column}) #>> '{}'`

const statusSql = `
  SELECT r.id AS "runId", r.source_path AS path, r.target_schema AS "targetSchema", r.state,
         ${moment('r.started_at')} AS "startedAt", ${moment('r.finished_at')} AS "finishedAt",
         coalesce((SELECT json_agg(json_build_object('table', t.source, 'rows', t.rows, 'copied', coalesce(p.copied, 0), 'rejected', coalesce(p.rejected, 0), 'done', coalesce(p.done, false)) ORDER BY t.n)
            FROM ROWS FROM (jsonb_to_recordset(r.plan -> 'tables') AS (source text, rows bigint)) WITH ORDINALITY AS t(source, rows, n)
            LEFT JOIN (SELECT table_name, sum(rows_copied) AS copied, sum(rows_rejected) AS rejected, bool_and(done) AS done
                         FROM tidemark.move_progress WHERE run_id = r.id GROUP BY 1) AS p ON p.table_name = t.source), '[]') AS tables,
         (SELECT json_build_object('rows', count(*) FILTER (WHERE outcome = 'rowRejected'), 'values', count(*) FILTER (WHERE outcome = 'valueReplaced'),
                                   'unallowed', count(*) FILTER (WHERE NOT allowed)) FROM tidemark.move_rejects WHERE run_id = r.id) AS rejects,
         r.epoch::text, r.reads_percent AS "readsPercent",
         CASE WHEN r.holder_pid IS NOT NULL THEN json_build_object('pid', r.holder_pid, 'host', r.holder_host, 'seenAt', ${moment('r.holder_seen_at')}) END AS holder,
         CASE WHEN r.capture_id IS NOT NULL THEN json_build_object('captureId', r.capture_id, 'applied', r.applied_seq::text, 'checked', r.checked_seq::text, 'head', null, 'behind', null) END AS log,
         CASE WHEN coalesce(r.slot_name, r.cut_position, r.mirrored_position) IS NOT NULL THEN json_build_object('slot', r.slot_name, 'cutPosition', r.cut_position,
           'mirroredPosition', r.mirrored_position, 'behindBytes',
           (SELECT CASE WHEN NOT pg_is_in_recovery() THEN greatest(pg_current_wal_flush_lsn() - s.confirmed_flush_lsn, 0)::bigint END
              FROM pg_replication_slots AS s WHERE s.slot_name = r.slot_name)) END AS mirror,
         coalesce((SELECT json_agg(json_build_object('table', n.table_name, 'column', n.column_name, 'count', n.count,
                     'first', json_build_object('key', n.row_key, 'target', n.target, 'reason', n.reason)) ORDER BY n.table_name, n.column_name)
            FROM tidemark.move_narrowed AS n WHERE n.run_id = r.id), '[]') AS narrowed,
         ${moment('r.cut_over_at')} AS "cutOverAt",
         (SELECT json_build_object('done', count(*) > 0 AND bool_and(done) AND count(*) = jsonb_array_length(r.plan -> 'tables'),
                   'tablesDone', count(*) FILTER (WHERE done), 'rowsChecked', coalesce(sum(rows_checked), 0),
                   'differences', (SELECT count(*) FROM tidemark.move_differences WHERE run_id = r.id))
            FROM tidemark.move_checks WHERE run_id = r.id) AS checks,
         coalesce((SELECT json_agg(json_build_object('table', w.table_name, 'name', w.name, 'kind', w.kind, 'state', w.state) ORDER BY w.ordinal)
            FROM tidemark.move_waiting AS w WHERE w.run_id = r.id), '[]') AS waiting,
         coalesce((SELECT json_agg(json_build_object('from', h.from_state, 'to', h.to_state, 'epoch', h.epoch::text, 'note', h.note, 'at', ${moment('h.at')}) ORDER BY h.id)
            FROM tidemark.move_history AS h WHERE h.run_id = r.id), '[]') AS history
    FROM tidemark.move_runs AS r WHERE $1::text IS NULL OR r.source_path = $1 ORDER BY r.started_at DESC`

type StatusRow = Omit<MoveStatus, 'writer' | 'next' | 'file'>

/** The file's own word, in one short look; whatever is in the way, the record answers alone. */
const lookAtFile = ({ path, log }: StatusRow): Pick<MoveStatus, 'file' | 'log'> => {
  try {
    const { db, close } = openSqlite(path, { readonly: true, busyTimeoutMs: 200 })
    try {
      const control = readControl(db)
      if (log === null || control?.captureId !== log.captureId) return { file: null, log }
      const { fence, mirroredPosition, note } = control
      const head = logHead(db)
      const applied = BigInt(log.applied)
      const behind = fence === 'cut' ? null : Number(head > applied ? head - applied : 0n)
      return { file: { fence, mirroredPosition, note }, log: { ...log, head: String(head), behind } }
    } finally {
      close()
    }
  } catch {
    return { file: null, log }
  }
}

const inWords = (row: StatusRow): MoveStatus => ({
  ...row,
  ...(row.state === 'finished' || row.state === 'aborted' ? { file: null } : lookAtFile(row)),
  writer: writerOf(row.state) ?? 'none',
  next: nextCommands(row.state, row.path),
})

/** The runs that the target has seen, newest first. */
export const moveStatus = ({ target, path }: StatusOptions): Promise<readonly MoveStatus[]> =>
  withTarget(
    target,
    async (client) => {
      const { rows } = await client.query<StatusRow>(statusSql, [path === undefined ? null : resolve(path)])
      return rows.map(inWords)
    },
    [],
  )

const rejectsSql = `
  SELECT j.table_name AS table, j.row_key AS key, j.column_name AS column, j.reason, encode(j.bytes, 'base64') AS bytes, j.outcome, j.allowed
    FROM tidemark.move_rejects AS j JOIN tidemark.move_runs AS r ON r.id = j.run_id
   WHERE $1::text IS NULL OR r.source_path = $1 ORDER BY j.id LIMIT $2`

/** What was set aside, oldest first; `limit` rows at most (default 1000). */
export const moveRejects = ({
  target,
  path,
  limit = 1000,
}: StatusOptions & { readonly limit?: number }): Promise<readonly MoveReject[]> =>
  withTarget(
    target,
    async (client) => (await client.query<MoveReject>(rejectsSql, [path === undefined ? null : resolve(path), limit])).rows,
    [],
  )
