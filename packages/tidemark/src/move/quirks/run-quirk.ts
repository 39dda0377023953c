/** Moves the file of one quirk and tells everything that came of it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite, { type Database } from 'better-sqlite3'
import pg from 'pg'
import type { ConnectOptions } from '../../postgres/driver/connect.js'
import { copyMove } from '../copy/copy.js'
import type { CopyReport, MovePlan, VerifyReport } from '../move.js'
import { planMove } from '../plan/plan.js'
import { verifyMove } from '../verify/verify.js'
import { comparePlainly, type PlainComparison } from './plain-comparison.js'
import type { Quirk } from './quirk.js'

/** Writes the quirk's file; answers the maker's connection where it is to stay open. */
export const makeFile = (quirk: Pick<Quirk, 'make' | 'encoding' | 'heldOpen' | 'damage'>, path: string): Database | undefined => {
  const database = new BetterSqlite(path)
  if (quirk.encoding) database.pragma(`encoding = '${quirk.encoding}'`)
  database.pragma('foreign_keys = OFF')
  database.pragma('synchronous = OFF')
  if (typeof quirk.make === 'string') database.exec(quirk.make)
  else quirk.make(database)
  if (quirk.heldOpen) return database
  database.close()
  quirk.damage?.(path)
  return undefined
}

export interface Moved {
  readonly plan: MovePlan
  readonly copy: CopyReport
  readonly verification: VerifyReport
  readonly plain: Readonly<Record<string, PlainComparison>>
  /** Rejected rows by table, as `tidemark.move_rejects` knows them. */
  readonly noted: Readonly<Record<string, number>>
}

export interface MoveFileOptions {
  readonly folder: string
  readonly path: string
  readonly schema: string
  readonly target: ConnectOptions
  readonly choices?: object | undefined
  readonly identifiers?: 'exact' | 'lower' | undefined
  /** Moves into existing tables by this map. */
  readonly map?: object | undefined
}

const notedRejects = async (client: pg.Client, runId: string): Promise<Record<string, number>> => {
  const { rows } = await client.query<{ table: string; rows: number }>(
    `SELECT table_name AS table, count(DISTINCT row_key)::int AS rows FROM tidemark.move_rejects
      WHERE run_id = $1 AND outcome = 'rowRejected' GROUP BY 1`,
    [runId],
  )
  return Object.fromEntries(rows.map(({ table, rows }) => [table, rows]))
}

/** Looks at both sides with the plain drivers. */
export const lookPlainly = async (
  { path, target }: Pick<MoveFileOptions, 'path' | 'target'>,
  plan: MovePlan,
  runId: string,
): Promise<Pick<Moved, 'plain' | 'noted'>> => {
  const database = new BetterSqlite(path, { readonly: true })
  const client = new pg.Client({ connectionString: target.url })
  await client.connect()
  try {
    await client.query("SET timezone = 'UTC'; SET datestyle = 'ISO'")
    const compared: Record<string, PlainComparison> = {}
    for (const table of plan.tables) compared[table.source] = await comparePlainly(database, client, table)
    return { plain: compared, noted: await notedRejects(client, runId) }
  } finally {
    database.close()
    await client.end()
  }
}

/** Plans, copies, verifies, and compares plainly. */
export const moveFile = async (options: MoveFileOptions): Promise<Moved> => {
  const { folder, path, schema, target, choices, identifiers, map } = options
  const choicesPath = join(folder, `${schema}.choices.json`)
  if (choices) writeFileSync(choicesPath, JSON.stringify({ version: 1, ...choices }))
  const mapPath = join(folder, `${schema}.map.json`)
  if (map) writeFileSync(mapPath, JSON.stringify(map))
  const into = map ? ({ into: 'existing', mapPath, target } as const) : {}
  const plan = await planMove({ path, schema, ...into, ...(choices && { choicesPath }), ...(identifiers && { identifiers }) })
  const copy = await copyMove(plan, { target })
  const verification = await verifyMove(plan, { target })
  return { plan, copy, verification, ...(await lookPlainly(options, plan, copy.runId)) }
}
