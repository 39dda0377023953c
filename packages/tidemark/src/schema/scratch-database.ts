import { randomBytes } from 'node:crypto'
import { reasonOf, TidemarkError } from '../errors.js'
import type { Clock } from '../time/clock.js'
import { databaseSteps } from './bootstrap-steps.js'
import type { SchemaClient, SchemaConnect } from './schema.js'
import { quoteIdentifier as id, postgresErrorOf } from './sql-errors.js'

const prefix = 'tidemark_scratch_'
const abandonedAfterMs = 15 * 60_000

const inUse = '55006'

/** By force only where sessions stand in the way: force asks for the right to end each of them, also a vacuum of the server's own, which goes by itself. */
const drop = async (client: SchemaClient, name: string): Promise<void> => {
  try {
    await client.query(`drop database if exists ${id(name)}`)
  } catch (error) {
    if (postgresErrorOf(error)?.code !== inUse) throw error
    await client.query(`drop database if exists ${id(name)} with (force)`)
  }
}

/** A killed process leaves its scratch database behind; the name tells its age. */
const dropAbandoned = async (client: SchemaClient, nowMs: number): Promise<void> => {
  const { rows } = await client.query<{ datname: string }>(
    `select datname from pg_database
      where starts_with(datname, $1) and pg_has_role(current_user, datdba, 'USAGE')`,
    [prefix],
  )
  for (const { datname } of rows) {
    const madeAtMs = Number.parseInt(datname.slice(prefix.length).split('_')[0] ?? '', 36)
    if (nowMs - madeAtMs > abandonedAfterMs) await drop(client, datname)
  }
}

/** What the bootstrap gives a database besides roles, as far as this role may: the files tell what they miss. */
const prepare = async (scratch: SchemaClient, database: string): Promise<void> => {
  const { rows } = await scratch.query<{ me: string; app: boolean }>(
    "select current_user::text as me, exists (select from pg_roles where rolname = 'tidemark_app') as app",
  )
  const me = rows[0]?.me ?? ''
  const owners = { migrator: me, admin: me, authenticator: me, feed: me, auth: me, app: rows[0]?.app ? 'tidemark_app' : me }
  for (const { sql } of databaseSteps(owners, database)) {
    await scratch.query(sql).catch((error: unknown) => {
      if (!postgresErrorOf(error)) throw error
    })
  }
}

/**
 * Runs `work` in a new empty database of the same server, prepared as the bootstrap would, and drops it afterwards.
 * Raises TM_SCHEMA_SCRATCH where the role may not make one.
 */
export const withScratchDatabase = async <T>(
  connect: SchemaConnect,
  clock: Clock,
  work: (scratch: SchemaClient) => Promise<T>,
): Promise<T> => {
  const client = await connect()
  const name = `${prefix}${clock.now().toString(36)}_${randomBytes(4).toString('hex')}`
  try {
    await dropAbandoned(client, clock.now())
    try {
      // template0: whatever somebody put into template1 is no part of the files.
      await client.query(`create database ${id(name)} template template0`)
    } catch (error) {
      throw new TidemarkError('TM_SCHEMA_SCRATCH', { reason: reasonOf(error) }, { cause: error })
    }
    try {
      const scratch = await connect(name)
      try {
        await prepare(scratch, name)
        return await work(scratch)
      } finally {
        await scratch.end().catch(() => undefined)
      }
    } finally {
      await drop(client, name)
    }
  } finally {
    await client.end().catch(() => undefined)
  }
}
