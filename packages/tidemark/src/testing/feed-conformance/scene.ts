import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import type { Source } from '../../feed/feed.js'
import { connectPostgres } from '../../postgres/driver/connect.js'
import { createBootstrappedDatabase } from '../../schema/testing/bootstrapped-template.js'
import type { MakeSource } from '../feed/feed-conformance.js'
import type { TestDatabase } from '../postgres/database.js'
import { type Collected, type Reading, type ReadOptions, read } from './collected.js'

export interface TableName {
  readonly schema: string
  readonly table: string
}

/** One test's source with its readings, and as many connections as it wants. */
export interface Scene {
  readonly sql: pg.Client
  connect(): Promise<pg.Client>
  /** Makes a source of the tables and begins to read it. Under a name, it goes on from what was confirmed under that. */
  follow(tables: readonly TableName[], options?: ReadOptions & { readonly name?: string }): Promise<Followed>
  /** Runs statements in one transaction and gives the feed's transaction. */
  commit(reading: Reading, statements: readonly string[], client?: pg.Client): Promise<Collected>
}

export interface Followed {
  readonly source: Source
  readonly reading: Reading
  readonly name: string
  /** Ends both. */
  end(): Promise<void>
}

export interface Stage {
  open(): Promise<Scene>
  /** Ends what the test left open, and passes on what went wrong with it. */
  close(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

/** Removes the slots of a database that nobody reads any more. */
export const dropSlots = async (url: string): Promise<void> => {
  const client = await connectPostgres({ url, name: 'slots' })
  try {
    await client.query(
      `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() and not active`,
    )
  } finally {
    await client.end()
  }
}

/** What all tests of a suite share: a database. */
export const createStage = (makeSource: MakeSource, cleanUp: (url: string) => Promise<void>): Stage => {
  let database: TestDatabase
  let ends: (() => Promise<unknown>)[] = []

  const connect = async (): Promise<pg.Client> => {
    const client = await connectPostgres({ url: database.url, name: 'writer' })
    await client.query(
      `set timezone = 'UTC'; set extra_float_digits = 3; set intervalstyle = 'postgres'; set datestyle = 'ISO, YMD'`,
    )
    ends.push(() => client.end())
    return client
  }

  const follow: Scene['follow'] = async (tables, { name = `c${randomBytes(5).toString('hex')}`, ...options } = {}) => {
    const source = await makeSource({ url: database.url, name, tables })
    const reading = read(source, options)
    let ended: Promise<void> | undefined
    const end = () => {
      ended ??= reading.end().finally(() => source.stop())
      return ended
    }
    ends.push(end)
    return { source, reading, name, end }
  }

  const open = async (): Promise<Scene> => {
    const sql = await connect()
    const commit: Scene['commit'] = async (reading, statements, client = sql) => {
      await client.query('begin')
      for (const statement of statements) await client.query(statement)
      const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
      await client.query('commit')
      return reading.transaction(({ xid }) => xid === BigInt(rows[0]!.xid))
    }
    return { sql, connect, follow, commit }
  }

  return {
    open,
    close: async () => {
      const failures: unknown[] = []
      // The latest first: a consumer may still use a connection that was made before it.
      for (const end of ends.reverse()) await end().catch((error: unknown) => failures.push(error))
      ends = []
      // All files of a run share the slots of one server.
      await dropSlots(database.url)
      if (failures.length > 0) throw failures[0]
    },
    start: async () => {
      database = await createBootstrappedDatabase()
    },
    stop: async () => {
      await cleanUp(database.url)
      await database.drop()
    },
  }
}
