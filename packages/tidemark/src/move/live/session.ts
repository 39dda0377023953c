/** One command's session with the Postgres of a move. */
import { resolve } from 'node:path'
import type pg from 'pg'
import { isTidemarkError } from '../../errors.js'
import { type ConnectOptions, connectPostgres } from '../../postgres/driver/connect.js'
import { parseConnection } from '../../postgres/driver/connection.js'
import { toPostgresError } from '../../postgres/postgres-error.js'
import { sqliteCodeOf, toSqliteError } from '../../sqlite/sqlite-error.js'
import type { RunChoice } from './record.js'
import type { LiveMoveOptions } from './switch-options.js'

/**
 * A move's session waits for no statement of its own without end, except where one is expected to take its time; and a process that stands
 * still in a transaction loses it, so that whoever takes over need not wait.
 */
const settings =
  "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '5s'; SET timezone = 'UTC'"

/** Connects to the target for a live move. The caller ends it. */
export const connectMove = async (target: ConnectOptions): Promise<pg.Client> => {
  const client = await connectPostgres({ ...target, name: 'move' })
  client.on('error', () => undefined)
  await client.query(settings)
  return client
}

/** Whatever was raised while a move was worked on, as one of ours. */
export const asMoveError = (error: unknown, { path, target }: Pick<LiveMoveOptions, 'path' | 'target'>): unknown => {
  if (isTidemarkError(error)) return error
  if (sqliteCodeOf(error) !== null) return toSqliteError(error, path)
  // What aborts and what is a mistake of the program's own stays as it is.
  const code = (error as { code?: unknown } | null)?.code
  const isPostgres = typeof code === 'string' && /^(?:[0-9A-Z]{5}|E[A-Z]+)$/.test(code)
  return isPostgres || /Connection terminated|not queryable/.test(String(error))
    ? toPostgresError(error, parseConnection(target.url, target))
    : error
}

/** Runs one command's work over a session of its own. */
export const withSession = async <T>(options: LiveMoveOptions, work: (client: pg.Client) => Promise<T>): Promise<T> => {
  const client = await connectMove(options.target)
  try {
    return await work(client)
  } catch (error) {
    throw options.signal?.aborted ? error : asMoveError(error, options)
  } finally {
    await client.end().catch(() => undefined)
  }
}

export const choiceOf = ({ path, targetSchema }: LiveMoveOptions): RunChoice => ({ path: resolve(path), targetSchema })
