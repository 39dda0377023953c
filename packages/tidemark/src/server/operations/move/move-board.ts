/** All that a screen shows of one move, in one answer. */
import { open, readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { z } from 'zod'
import type { RowDifference } from '../../../move/move.js'
import type { MoveStatus } from '../../../move/status.js'
import type { Jobs, JobView } from '../../jobs.js'
import type { Project } from '../../project/project.js'
import { resolveFile } from './files.js'
import { moveStatus } from './move.js'
import { type Gate, gatesOf, isHeld } from './move-gates.js'

export const boardRequest = z.strictObject({ file: z.string().min(1).max(4096), to: z.string().min(1).optional() })

export interface BoardTable {
  readonly table: string
  readonly rows: number
  readonly copied: number
  readonly rejected: number
  readonly done: boolean
  /** Of the comparison. */
  readonly checked: number
  readonly compared: boolean
  readonly differences: number
}

export interface BoardDifference extends RowDifference {
  readonly table: string
  readonly foundAt: string
  /** Why the file cannot hold it, where it was the mirror that found it. */
  readonly reason: string | null
}

export interface MoveBoard {
  readonly at: number
  /** The newest move of the file; null where there is none yet. */
  readonly move: MoveStatus | null
  /** A process works on it. */
  readonly isHeld: boolean
  readonly tables: readonly BoardTable[]
  /** The first hundred. */
  readonly differences: readonly BoardDifference[]
  readonly gates: readonly Gate[]
  /** Of this server, for this file, the newest first; of the oldest, nothing is known any more. */
  readonly jobs: readonly JobView[]
}

const checksSql = `
  SELECT c.table_name AS "table", c.rows_checked::float8 AS checked, c.done AS compared,
         (SELECT count(*)::int FROM tidemark.move_differences AS d WHERE d.run_id = c.run_id AND d.table_name = c.table_name) AS differences
    FROM tidemark.move_checks AS c WHERE c.run_id = $1`

/** The columns that a follower's own check writes, and those of the mirror's. */
const differencesSql = `
  SELECT table_name AS "table", row_key AS key, coalesce(difference ->> 'state', 'differs') AS state,
         coalesce((SELECT json_agg(json_build_object('column', c ->> 'column', 'source', c ->> 'source', 'target', c ->> 'target') ORDER BY n)
                     FROM jsonb_array_elements(difference -> 'columns') WITH ORDINALITY AS e(c, n)), '[]') AS columns,
         coalesce(difference ->> 'reason', difference #>> '{columns,0,reason}') AS reason, to_json(found_at) #>> '{}' AS "foundAt"
    FROM tidemark.move_differences WHERE run_id = $1 ORDER BY found_at, table_name, row_key LIMIT 100`

type Check = Pick<BoardTable, 'table' | 'checked' | 'compared' | 'differences'>

const readRecord = (project: Project, to: string | undefined, runId: string) =>
  project.withDatabase(to, async ({ target }) => {
    const { connectPostgres } = await import('../../../postgres/postgres.js')
    const client = await connectPostgres({ ...target, name: 'move board' })
    try {
      const { rows: checks } = await client.query<Check>(checksSql, [runId])
      const { rows: differences } = await client.query<BoardDifference>(differencesSql, [runId])
      return { checks, differences }
    } finally {
      await client.end().catch(() => undefined)
    }
  })

const unchecked = { checked: 0, compared: false, differences: 0 } as const

/** The newest move of a file, with what is known of its tables, its gates and who works on it. */
export const moveBoard = async (
  project: Project,
  { file, to }: z.output<typeof boardRequest>,
  jobs: Jobs,
): Promise<MoveBoard> => {
  const path = await resolveFile(project.cwd, file)
  const at = Date.now()
  const [move] = await moveStatus(project, { file: path, ...(to !== undefined && { to }) })
  const own = jobs.list().filter(({ kind, subject }) => kind.startsWith('move.') && (subject === file || subject === path))
  // A plan is large, and whoever wants it asks for the job.
  const shown = own.slice(0, 10).map((job) => (job.kind === 'move.plan' ? { ...job, result: null } : job))
  if (!move) return { at, move: null, isHeld: false, tables: [], differences: [], gates: [], jobs: shown }
  const { checks, differences } = await readRecord(project, to, move.runId)
  const checkOf = new Map(checks.map((check) => [check.table, check]))
  return {
    at,
    move,
    isHeld: isHeld(move, at),
    tables: move.tables.map((one) => ({ ...unchecked, ...checkOf.get(one.table), ...one })),
    differences,
    gates: gatesOf(move, at),
    jobs: shown,
  }
}

export interface SqliteFile {
  /** Absolute. */
  readonly path: string
  /** From the project's folder. */
  readonly name: string
  readonly bytes: number
  readonly modifiedAt: string
}

const magic = 'SQLite format 3\0'
const maxDepth = 3
const maxFiles = 200
const isSkipped = (name: string): boolean => name.startsWith('.') || name === 'node_modules' || name === 'dist'
const looksLikeOne = (name: string): boolean => /\.(db3?|sqlite3?|s3db)$/i.test(name)

const hasMagic = async (path: string): Promise<boolean> => {
  const handle = await open(path, 'r').catch(() => undefined)
  if (!handle) return false
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(magic.length), 0, magic.length, 0)
    return buffer.toString('latin1', 0, bytesRead) === magic
  } finally {
    await handle.close()
  }
}

const walk = async (folder: string, depth: number, found: string[]): Promise<void> => {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (found.length >= maxFiles || isSkipped(entry.name)) continue
    const path = join(folder, entry.name)
    if (entry.isFile() && looksLikeOne(entry.name) && (await hasMagic(path))) found.push(path)
    else if (entry.isDirectory() && depth < maxDepth) await walk(path, depth + 1, found)
  }
}

/** SQLite files in the project's folder, for who would rather choose than type. */
export const moveFiles = async ({
  cwd,
}: Project): Promise<{ readonly folder: string; readonly files: readonly SqliteFile[] }> => {
  const found: string[] = []
  await walk(cwd, 0, found)
  const files = found.sort().map(async (path): Promise<SqliteFile> => {
    const { size, mtime } = await stat(path)
    return { path, name: relative(cwd, path), bytes: size, modifiedAt: mtime.toISOString() }
  })
  return { folder: cwd, files: await Promise.all(files) }
}
