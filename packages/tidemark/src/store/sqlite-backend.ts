/** The application's SQLite file as a store. The driver is loaded when one is opened, and not before. */
import type { Database } from 'better-sqlite3'
import { CompiledQuery, Kysely, SqliteDialect } from 'kysely'
import type { Clock } from '../time/clock.js'
import { type Backend, readOnlyPlugin } from './backend.js'
import { isBusy } from './refusal.js'
import type { SqliteStoreOptions } from './store.js'
import { decodeInteger } from './values/column-coder.js'
import type { ValuePlugin } from './values/value-plugin.js'
import { type Watch, watched } from './watched-dialect.js'

/** How long the thread may be blocked by another program's lock at a time. */
const blockMs = 20
const pauseMs = 10
const defaultBusyMs = 5000

/** Opens the file itself, for a look at it. */
export const openSqliteFile = async (path: string): Promise<Database> => {
  const { default: Sqlite } = await import('better-sqlite3')
  const db = new Sqlite(path, { timeout: blockMs })
  db.defaultSafeIntegers(true)
  return db
}

const decodeRow = (row: unknown): unknown => {
  const decoded = row as Record<string, unknown>
  for (const name in decoded) {
    const value = decoded[name]
    if (typeof value === 'bigint') decoded[name] = decodeInteger(value)
  }
  return decoded
}

const waitFor = (clock: Clock, timeoutMs: number): Watch['again'] => {
  return async (step) => {
    const endMs = clock.monotonicMs() + timeoutMs
    for (;;) {
      try {
        return await step()
      } catch (error) {
        if (!isBusy(error) || clock.monotonicMs() >= endMs) throw error
      }
      await clock.sleep(pauseMs)
    }
  }
}

/** Opens the file; made by the first connection where it is not there. */
export const openSqliteBackend = async <DB>(
  { path, busyTimeoutMs = defaultBusyMs }: SqliteStoreOptions,
  values: ValuePlugin,
  clock: Clock,
): Promise<Backend<DB>> => {
  const again = waitFor(clock, busyTimeoutMs)
  const rows = (found: readonly unknown[]) => found.map(decodeRow)
  const writing = await openSqliteFile(path)
  const reading = await openSqliteFile(path).catch((error: unknown) => {
    writing.close()
    throw error
  })
  reading.pragma('query_only = ON')
  const dialect = (database: Database, begin: string) =>
    watched(new SqliteDialect({ database }), {
      failsWhole: false,
      again,
      rows,
      begin: async (connection) => {
        await connection.executeQuery(CompiledQuery.raw(begin))
      },
    })
  // The lock is taken at the beginning: a transaction that read first could not wait for it.
  const writer = new Kysely<DB>({ dialect: dialect(writing, 'begin immediate'), plugins: [values] })
  const reader = new Kysely<DB>({ dialect: dialect(reading, 'begin'), plugins: [readOnlyPlugin, values] })
  return {
    kind: 'sqlite',
    writer,
    reader,
    close: async () => {
      // Kysely closes what it has opened, and nothing where it was never asked.
      await Promise.all([writer.destroy(), reader.destroy()])
      for (const db of [writing, reading]) if (db.open) db.close()
    },
  }
}
