import { realpath } from 'node:fs/promises'
import pg from 'pg'
import { superuser } from './cluster.js'
import { startFailure } from './start-failure.js'

export const host = '127.0.0.1'

/** The superuser's connection string; the server speaks no TLS, it listens on the loopback alone. */
export const superuserUrl = (port: number, password: string): string =>
  `postgres://${superuser}:${encodeURIComponent(password)}@${host}:${port}/postgres?sslmode=disable`

const connectTimeoutMs = 5_000

/**
 * Logs in and asks who answers: the port of a record may belong to another project's server by now.
 * Gives the server's version, or undefined where it refused the password.
 */
export const confirm = async (port: number, password: string, dataDir: string): Promise<string | undefined> => {
  const client = new pg.Client({
    host,
    port,
    user: superuser,
    password,
    database: 'postgres',
    ssl: false,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'tidemark/embedded',
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<{ dir: string; version: string }>(
      `select current_setting('data_directory') as dir, current_setting('server_version') as version`,
    )
    const answer = rows[0]!
    if ((await realpath(answer.dir)) === (await realpath(dataDir))) return answer.version
    throw startFailure(`another server answers on port ${port}`)
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === '28P01') return undefined
    throw error
  } finally {
    await client.end().catch(() => undefined)
  }
}
