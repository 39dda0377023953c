/** Decides, before anything is written, what becomes of every table, column, object and value of a SQLite file. */
import { createHash } from 'node:crypto'
import { basename, resolve } from 'node:path'
import { TidemarkError } from '../../errors.js'
import { type ConnectOptions, connectPostgres } from '../../postgres/driver/connect.js'
import { introspect } from '../../sqlite/introspect.js'
import { openSqlite } from '../../sqlite/open.js'
import type { SqliteFile, SqliteSchema } from '../../sqlite/sqlite.js'
import { sqliteCodeOf, toSqliteError } from '../../sqlite/sqlite-error.js'
import { type Choices, checkChoices, noChoices, readChoices } from '../choices.js'
import { readMap } from '../map.js'
import type { Hazard, MoveListener, MovePlan, ObjectDecision } from '../move.js'
import { danglingHazards, longHazards, nullHazards, orphanHazards, schemaHazards, valueHazards } from './hazards.js'
import { liveHazard, liveShape, withoutCapture } from './live-table.js'
import { type PlannedTable, planExisting } from './plan-existing.js'
import { planNew } from './plan-new.js'
import { rehearse } from './rehearse.js'
import type { Scan } from './scan.js'
import { scanTables } from './scan-tables.js'

export interface PlanOptions {
  /** The SQLite file. */
  readonly path: string
  /** Target schema; default `public`. */
  readonly schema?: string
  /** `exact` keeps names as they are (default); `lower` folds them, so that they need no quotes. */
  readonly identifiers?: 'exact' | 'lower'
  readonly into?: 'new' | 'existing'
  /** The map of a move into existing tables. */
  readonly mapPath?: string
  /** The file of choices, where there is one. */
  readonly choicesPath?: string
  /** Tables that stay behind. */
  readonly exclude?: readonly string[]
  /** Needed for a move into existing tables. */
  readonly target?: ConnectOptions
  /** True (default) reads every value, so that each reject is foretold; false reads what types need. The decisions are the same. */
  readonly thorough?: boolean
  /** Plans a move that follows its file after the copy (see {@link MovePlan.live}). Default false. */
  readonly live?: boolean
  readonly busyTimeoutMs?: number
  readonly onEvent?: MoveListener
  readonly signal?: AbortSignal
}

/** Below this, threads cost more than they bring. */
const smallFileBytes = 16 * 1024 * 1024

/** Rows per second assumed for the estimate, of a table of middling width on a small machine. */
const rowsPerSecond = 300_000
const bytesPerSecond = 40_000_000

const fingerprintOf = (plan: Pick<MovePlan, 'into' | 'targetSchema' | 'tables' | 'fileId' | 'live'>): string => {
  const shape = plan.tables.map(({ rows: _rows, highWater: _highWater, ...table }) => table)
  return createHash('sha256')
    .update(JSON.stringify([plan.fileId, plan.into, plan.targetSchema, shape, ...(plan.live ? ['live'] : [])]))
    .digest('hex')
    .slice(0, 32)
}

interface Planned {
  readonly tables: readonly PlannedTable[]
  readonly objects: readonly ObjectDecision[]
}

const leaveOut = (
  schema: SqliteSchema,
  choices: Choices,
  exclude: readonly string[],
): { schema: SqliteSchema; excluded: string[] } => {
  const unknown = exclude.find((name) => !schema.tables.some((table) => table.name === name))
  if (unknown)
    throw new TidemarkError('TM_CLI_USAGE', {
      reason: `--exclude names "${unknown}", and the file has no such table.`,
      command: 'tidemark move',
    })
  const excluded = schema.tables
    .map(({ name }) => name)
    .filter((name) => exclude.includes(name) || choices.tables[name]?.exclude === true)
  return { schema: { ...schema, tables: schema.tables.filter(({ name }) => !excluded.includes(name)) }, excluded }
}

const planInto = async (file: SqliteFile, schema: SqliteSchema, choices: Choices, options: PlanOptions): Promise<Planned> => {
  const {
    onEvent = () => {},
    thorough = true,
    signal,
    target,
    mapPath,
    schema: targetSchema = 'public',
    busyTimeoutMs = 10_000,
  } = options
  const onTable = (table: string, rows: number) => onEvent({ type: 'table', phase: 'plan', table, state: 'finished', rows })
  const workers = schema.sizeBytes > smallFileBytes ? 2 : 0
  const scan: Scan = (requests) =>
    scanTables(requests, { database: file.db, path: file.path, busyTimeoutMs, workers, signal, onTable })
  const common = { database: file.db, schema, targetSchema, thorough, scan }
  if (options.into !== 'existing') return planNew({ ...common, choices, identifiers: options.identifiers ?? 'exact' })
  if (!mapPath || !target) {
    throw new TidemarkError('TM_CLI_USAGE', {
      reason: 'A move into existing tables needs --map and a target.',
      command: 'tidemark move',
    })
  }
  const client = await connectPostgres(target)
  try {
    return await planExisting({ ...common, client, map: readMap(mapPath), mapPath })
  } finally {
    await client.end()
  }
}

const tableOf = ({ tables }: SqliteSchema, { source }: PlannedTable['plan']) => tables.find(({ name }) => name === source)!

const hazardsOf = (
  { db }: SqliteFile,
  schema: SqliteSchema,
  { tables }: Planned,
  { into, thorough = true, signal }: PlanOptions,
): readonly Hazard[] => [
  ...schemaHazards(db, schema),
  ...tables.flatMap(({ plan, facts, doubts = [], unproven }) => [
    ...doubts,
    ...valueHazards(plan, facts),
    ...nullHazards(db, plan, facts),
    ...(thorough ? rehearse(db, plan, unproven, signal) : []),
    ...orphanHazards(db, plan),
  ]),
  ...(into !== 'existing' ? tables.flatMap(({ plan, facts }) => longHazards(tableOf(schema, plan), facts)) : []),
  ...(into !== 'existing' && thorough ? schema.tables.flatMap((table) => danglingHazards(db, table, schema.tables)) : []),
]

/** Plans a move; reads the file and, for existing tables, the target's catalogue; writes nothing. Raises TM_SQLITE_*, TM_MOVE_*. */
export const planMove = async (options: PlanOptions): Promise<MovePlan> => {
  const { path, into = 'new', live = false, choicesPath, exclude = [], onEvent = () => {}, busyTimeoutMs = 10_000 } = options
  const file = openSqlite(path, { readonly: true, busyTimeoutMs })
  try {
    const whole = withoutCapture(introspect(file.db))
    if (whole.tables.length === 0) throw new TidemarkError('TM_SQLITE_EMPTY', { path })
    const choices = choicesPath ? readChoices(choicesPath) : noChoices
    if (choicesPath) checkChoices(choices, choicesPath, whole.tables)
    const { schema, excluded } = leaveOut(whole, choices, exclude)
    onEvent({ type: 'phase', phase: 'plan', rowsTotal: 0 })
    const planned = await planInto(file, schema, choices, options)
    const decided = { tables: planned.tables.map(({ plan }) => plan), objects: planned.objects }
    const loose = planned.tables.flatMap(({ plan, hasLooseKey }) => (hasLooseKey ? [plan.source] : []))
    const { tables, objects } = live ? liveShape(decided, loose) : decided
    const hazards = hazardsOf(file, schema, planned, options)
    const rows = tables.reduce((sum, table) => sum + table.rows, 0)
    const shape = {
      fileId: `${file.fileId.device}:${file.fileId.inode}`,
      into,
      ...(live && { live }),
      targetSchema: options.schema ?? 'public',
      tables,
    }
    return {
      version: 1,
      path: resolve(path),
      fileName: basename(path),
      schemaVersion: schema.schemaVersion,
      fingerprint: fingerprintOf(shape),
      ...shape,
      objects,
      hazards: live ? hazards.map(liveHazard) : hazards,
      excluded,
      totals: {
        tables: tables.length,
        rows,
        bytes: schema.sizeBytes,
        estimatedMs: Math.round(Math.max(rows / rowsPerSecond, schema.sizeBytes / bytesPerSecond) * 1000) + 500,
      },
    }
  } catch (error) {
    throw sqliteCodeOf(error) === null ? error : toSqliteError(error, path, { busyTimeoutMs })
  } finally {
    file.close()
  }
}
