/** A file that is copied as a live move and followed, for tests. */
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite, { type Database } from 'better-sqlite3'
import pg from 'pg'
import { openCaptureDatabase } from '../../../sqlite/capture/capture-database.js'
import { installCapture } from '../../../sqlite/capture/install.js'
import { copyMove } from '../../copy/copy.js'
import type { HeldRun } from '../../live/live-run.js'
import { requireLiveRun, takeOver } from '../../live/record.js'
import { captureTablesOf } from '../../log-key.js'
import type { CopyReport, MovePlan, VerifyReport } from '../../move.js'
import { planMove } from '../../plan/plan.js'
import { verifyMove } from '../../verify/verify.js'
import type { Follow, FollowOptions } from '../follow.js'
import { openFollow } from '../open-follow.js'

export interface FollowedFileOptions {
  readonly folder: string
  readonly url: string
  readonly schema: string
  /** Writes the file before the move begins. */
  readonly make: string | ((database: Database) => void)
  readonly encoding?: 'UTF-8' | 'UTF-16le' | 'UTF-16be'
  readonly choices?: object
  readonly map?: object
  /** Called while the rows are being copied. */
  readonly meanwhile?: (database: Database) => void
}

export interface FollowedFile {
  readonly path: string
  readonly plan: MovePlan
  readonly copy: CopyReport
  /** As the application has it open. */
  readonly app: Database
  readonly client: pg.Client
  held: HeldRun
  follow(options?: Partial<FollowOptions>): Promise<Follow>
  /** Takes the move over, as another process would. */
  takeOver(): Promise<HeldRun>
  verify(): Promise<VerifyReport>
  /** All rows of a table in the target, in the order of its columns. */
  rows(table: string, order?: string): Promise<unknown[][]>
  close(): Promise<void>
}

/** Puts the capture of a run into its file. */
export const captureRun = async (client: pg.Client, runId: string): Promise<HeldRun> => {
  const { run, epoch } = await takeOver(client, runId)
  const captureId = run.captureId ?? randomUUID()
  const capture = await openCaptureDatabase(run.path, { busyTimeoutMs: 5000 })
  try {
    await installCapture(capture, { runId, captureId, epoch, tables: captureTablesOf(run.plan) })
  } finally {
    capture.close()
  }
  await client.query('UPDATE tidemark.move_runs SET capture_id = $2 WHERE id = $1', [runId, captureId])
  return { run: { ...run, captureId }, epoch }
}

export const makeFile = ({ folder, schema, make, encoding = 'UTF-8' }: FollowedFileOptions): Database => {
  const app = new BetterSqlite(join(folder, `${schema}.db`))
  app.pragma(`encoding = '${encoding}'`)
  app.pragma('journal_mode = WAL')
  app.pragma('synchronous = OFF')
  app.pragma('foreign_keys = OFF')
  if (typeof make === 'string') app.exec(make)
  else make(app)
  return app
}

export const planFile = (options: FollowedFileOptions, path: string, live: boolean): Promise<MovePlan> => {
  const { folder, url, schema, choices, map } = options
  const choicesPath = join(folder, `${schema}.choices.json`)
  if (choices) writeFileSync(choicesPath, JSON.stringify({ version: 1, ...choices }))
  const mapPath = join(folder, `${schema}.map.json`)
  if (map) writeFileSync(mapPath, JSON.stringify(map))
  const into = map ? ({ into: 'existing', mapPath, target: { url } } as const) : {}
  return planMove({ path, schema, live, ...into, ...(choices && { choicesPath }) })
}

/** Copies the file as a live move; follow it with `follow`. */
export const followedFile = async (options: FollowedFileOptions): Promise<FollowedFile> => {
  const app = makeFile(options)
  const client = new pg.Client({ connectionString: options.url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await copied(options, app, client)
  } catch (error) {
    app.close()
    await client.end()
    throw error
  }
}

const copied = async (options: FollowedFileOptions, app: Database, client: pg.Client): Promise<FollowedFile> => {
  const { url, schema, meanwhile } = options
  const path = app.name
  const plan = await planFile(options, path, true)
  let held: HeldRun | undefined
  const copy = await copyMove(plan, {
    target: { url },
    onPrepared: async ({ id }) => {
      held = await captureRun(client, id)
      meanwhile?.(app)
    },
  })
  const follows: Follow[] = []
  const file: FollowedFile = {
    path,
    plan,
    copy,
    app,
    client,
    held: held!,
    follow: async (given = {}) => {
      const run = await requireLiveRun(client, { runId: copy.runId })
      const follow = await openFollow({ held: { run, epoch: file.held.epoch }, target: { url }, ...given })
      follows.push(follow)
      return follow
    },
    takeOver: async () => {
      file.held = await takeOver(client, copy.runId)
      return file.held
    },
    verify: () => verifyMove(plan, { target: { url } }),
    rows: async (table, order = '1') => {
      const text = `SELECT * FROM "${schema}"."${table}" ORDER BY ${order}`
      return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows
    },
    close: async () => {
      for (const follow of follows) await follow.close()
      app.close()
      await client.end()
    },
  }
  return file
}
