/** Live moves for the tests of one file: each its own SQLite file and schema in one database. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Database } from 'better-sqlite3'
import pg from 'pg'
import { createTestDatabase, type TestDatabase } from '../../../testing/database.js'
import type { MovePlan } from '../../move.js'
import { planMove } from '../../plan/plan.js'
import { type MoveStatus, moveStatus } from '../../status.js'
import { verifyMove } from '../../verify/verify.js'
import { type ConductOptions, type ConductReport, conduct } from '../conductor.js'
import { makeLiveFile } from './live-file.js'

export interface LiveMove {
  readonly app: Database
  readonly path: string
  readonly schema: string
  readonly plan: MovePlan
  /** What every command is given. */
  readonly options: { readonly path: string; readonly target: { readonly url: string } }
  /** Copies and follows until a cutover would be let through. */
  ready(): Promise<void>
  /** A conductor at work, ended with the move. */
  conduct(options?: Partial<ConductOptions>): { readonly stop: AbortController; readonly done: Promise<ConductReport> }
  status(): Promise<MoveStatus>
  /** Compares both sides with verification's own eyes: the rows that differ. */
  differences(): Promise<readonly unknown[]>
  end(): Promise<void>
}

export interface LiveMoves {
  readonly database: TestDatabase
  readonly client: pg.Client
  readonly folder: string
  make(options?: { readonly journal?: 'WAL' | 'DELETE'; readonly prepare?: (app: Database) => void }): Promise<LiveMove>
  /** Ends what the last test left open. */
  clear(): Promise<void>
  end(): Promise<void>
}

const quick = { checkShare: 1 } as const

const liveMove = async (url: string, app: Database, schema: string): Promise<LiveMove> => {
  const options = { path: app.name, target: { url } }
  const plan = await planMove({ path: app.name, schema, live: true })
  const running: { readonly stop: AbortController; readonly done: Promise<ConductReport> }[] = []
  return {
    app,
    path: app.name,
    schema,
    plan,
    options,
    ready: async () => {
      await conduct({ ...options, ...quick, plan, until: 'ready' })
    },
    conduct: (more = {}) => {
      const stop = new AbortController()
      const done = conduct({ ...options, ...quick, signal: stop.signal, ...more })
      done.catch(() => undefined)
      running.push({ stop, done })
      return { stop, done }
    },
    status: async () => (await moveStatus(options))[0]!,
    differences: async () =>
      (await verifyMove(plan, options)).tables.flatMap(({ table, differences }) =>
        differences.map((each) => ({ table, ...each })),
      ),
    end: async () => {
      for (const { stop } of running) stop.abort()
      for (const { done } of running) await done.catch(() => undefined)
      app.close()
    },
  }
}

export const openLiveMoves = async (): Promise<LiveMoves> => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-live-'))
  const database = await createTestDatabase()
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  let made = 0
  let open: LiveMove[] = []
  const clear = async () => {
    for (const move of open) await move.end()
    open = []
  }
  return {
    database,
    client,
    folder,
    make: async ({ journal = 'WAL', prepare } = {}) => {
      const schema = `m${++made}`
      const app = makeLiveFile(folder, schema, journal)
      prepare?.(app)
      const move = await liveMove(database.url, app, schema)
      open.push(move)
      return move
    },
    clear,
    end: async () => {
      await clear()
      await client.end()
      await database.drop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
