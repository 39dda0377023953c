/** Live moves for the tests of one file: each its own SQLite file and schema in one database. */
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import { afterEach } from 'vitest'
import { useClient, useDatabase } from '../../../testing/postgres/use-database.js'
import { useFolder } from '../../../testing/use-folder.js'
import { type Clock, systemClock } from '../../../time/clock.js'
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

export interface LiveMoveOptions {
  readonly journal?: 'WAL' | 'DELETE'
  readonly prepare?: (app: Database) => void
}

export interface LiveMoves {
  readonly url: string
  readonly client: pg.Client
  readonly folder: string
  make(options?: LiveMoveOptions): Promise<LiveMove>
  /** Makes one that a cutover would be let through for. */
  makeReady(options?: LiveMoveOptions): Promise<LiveMove>
  /** How many replication slots there are. */
  slots(): Promise<number>
}

/** Five times as fast: for a switch that is to be refused, which otherwise waits ten seconds to see whether rows stay different. */
export const hasty: Clock = { ...systemClock, monotonicMs: () => 5 * systemClock.monotonicMs() }

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

/** Each move is ended after its test. */
export const useLiveMoves = (): LiveMoves => {
  const folder = useFolder('live')
  const { url } = useDatabase()
  const client = useClient({ url })
  let made = 0
  const open: LiveMove[] = []
  afterEach(async () => {
    for (const move of open.splice(0)) await move.end()
  })
  const make = async ({ journal = 'WAL', prepare }: LiveMoveOptions = {}): Promise<LiveMove> => {
    const schema = `m${++made}`
    const app = makeLiveFile(folder, schema, journal)
    prepare?.(app)
    const move = await liveMove(url, app, schema)
    open.push(move)
    return move
  }
  return {
    url,
    client,
    folder,
    make,
    makeReady: async (options) => {
      const move = await make(options)
      await move.ready()
      return move
    },
    slots: async () => {
      const { rowCount } = await client.query('SELECT FROM pg_replication_slots WHERE database = current_database()')
      return rowCount ?? 0
    },
  }
}
