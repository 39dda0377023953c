/** How a SQLite file was made: its own CREATE statements and settings, kept with the run so that it can be made again without it. */
import type pg from 'pg'
import { isCaptureName } from '../../sqlite/capture/capture.js'
import { hasTable } from '../../sqlite/capture/control.js'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'

export interface SourceObject {
  readonly type: 'table' | 'virtualTable' | 'index' | 'view' | 'trigger'
  readonly name: string
  /** The table that it belongs to. */
  readonly table: string
  readonly sql: string
}

/** What a file is made of again; kept as `move_runs.source_sql`. */
export interface SourceSql {
  readonly encoding: 'UTF-8' | 'UTF-16le' | 'UTF-16be'
  readonly pageSizeBytes: number
  readonly userVersion: number
  readonly applicationId: number
  readonly journalMode: string
  /** 0 none, 1 full, 2 incremental. */
  readonly autoVacuum: number
  /** In the order of their creation. */
  readonly objects: readonly SourceObject[]
}

interface CatalogueRow {
  readonly type: 'table' | 'index' | 'view' | 'trigger'
  readonly name: string
  readonly table: string
  readonly sql: string
  /** Of the table_list: what kind of table it is. */
  readonly kind: string | null
}

const catalogueSql = `
  SELECT s.type, s.name, s.tbl_name AS "table", s.sql, l.type AS kind FROM sqlite_schema AS s
    LEFT JOIN pragma_table_list AS l ON l.schema = 'main' AND l.name = s.name AND s.type = 'table'
   WHERE s.sql IS NOT NULL AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY s.rowid`

/** Triggers of the application that stand aside while Postgres takes the writes. */
const keptTriggers = (db: SqliteDatabase): readonly SourceObject[] =>
  hasTable(db, '_tidemark_triggers')
    ? db
        .prepare<[], SourceObject>(`SELECT 'trigger' AS type, name, tbl_name AS "table", sql FROM _tidemark_triggers ORDER BY id`)
        .all()
    : []

/** Reads it from the file as it is now, without what a move put there. */
export const readSourceSql = (db: SqliteDatabase): SourceSql => {
  const pragma = (name: string): unknown => db.pragma(name, { simple: true })
  const rows = db.prepare<[], CatalogueRow>(catalogueSql).safeIntegers(false).all()
  const objects = rows.flatMap(({ kind, type, ...rest }): SourceObject[] => {
    if (isCaptureName(rest.name) || isCaptureName(rest.table) || kind === 'shadow') return []
    return [{ type: kind === 'virtual' ? 'virtualTable' : type, ...rest }]
  })
  return {
    encoding: pragma('encoding') as SourceSql['encoding'],
    pageSizeBytes: Number(pragma('page_size')),
    userVersion: Number(pragma('user_version')),
    applicationId: Number(pragma('application_id')),
    journalMode: String(pragma('journal_mode')),
    autoVacuum: Number(pragma('auto_vacuum')),
    objects: [...objects, ...keptTriggers(db)],
  }
}

/** JSON that jsonb takes: SQL of a file may hold what no text of Postgres does. */
const storable = (source: SourceSql): string =>
  JSON.stringify(source, (_key, inner: unknown) =>
    typeof inner === 'string' ? inner.replaceAll('\0', ' ').replaceAll(/\p{Surrogate}/gu, '\uFFFD') : inner,
  )

/** Keeps it with a run. */
export const keepSourceSql = async (client: pg.Client, runId: string, source: SourceSql): Promise<void> => {
  await client.query('UPDATE tidemark.move_runs SET source_sql = $2 WHERE id = $1', [runId, storable(source)])
}

/** What was kept with a run; none where nothing was. */
export const keptSourceSql = async (client: pg.Client, runId: string): Promise<SourceSql | undefined> => {
  const { rows } = await client.query<{ source_sql: SourceSql | [] }>('SELECT source_sql FROM tidemark.move_runs WHERE id = $1', [
    runId,
  ])
  const kept = rows[0]?.source_sql
  return kept === undefined || Array.isArray(kept) ? undefined : kept
}
