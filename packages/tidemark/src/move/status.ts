/** What the target knows of its moves: how far each came, and what was set aside. */

import { resolve } from 'node:path'
import type pg from 'pg'
import { type ConnectOptions, connectPostgres } from '../postgres/connect.js'

export interface MoveStatus {
  readonly runId: string
  readonly path: string
  readonly targetSchema: string
  readonly state: 'copying' | 'copied'
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
    const { rows } = await client.query<{ there: boolean }>("SELECT to_regclass('tidemark.move_runs') IS NOT NULL AS there")
    return rows[0]?.there ? await ask(client) : none
  } finally {
    await client.end()
  }
}

const statusSql = `
  SELECT r.id AS "runId", r.source_path AS path, r.target_schema AS "targetSchema", r.state,
         to_json(r.started_at) #>> '{}' AS "startedAt", to_json(r.finished_at) #>> '{}' AS "finishedAt",
         coalesce((SELECT json_agg(json_build_object('table', t.source, 'rows', t.rows, 'copied', coalesce(p.copied, 0), 'rejected', coalesce(p.rejected, 0), 'done', coalesce(p.done, false)) ORDER BY t.n)
            FROM ROWS FROM (jsonb_to_recordset(r.plan -> 'tables') AS (source text, rows bigint)) WITH ORDINALITY AS t(source, rows, n)
            LEFT JOIN (SELECT table_name, sum(rows_copied) AS copied, sum(rows_rejected) AS rejected, bool_and(done) AS done
                         FROM tidemark.move_progress WHERE run_id = r.id GROUP BY 1) AS p ON p.table_name = t.source), '[]') AS tables,
         (SELECT json_build_object('rows', count(*) FILTER (WHERE outcome = 'rowRejected'), 'values', count(*) FILTER (WHERE outcome = 'valueReplaced'),
                                   'unallowed', count(*) FILTER (WHERE NOT allowed)) FROM tidemark.move_rejects WHERE run_id = r.id) AS rejects
    FROM tidemark.move_runs AS r WHERE $1::text IS NULL OR r.source_path = $1 ORDER BY r.started_at DESC`

/** The runs that the target has seen, newest first. */
export const moveStatus = ({ target, path }: StatusOptions): Promise<readonly MoveStatus[]> =>
  withTarget(
    target,
    async (client) => (await client.query<MoveStatus>(statusSql, [path === undefined ? null : resolve(path)])).rows,
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
