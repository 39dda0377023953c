// The one Postgres into which every contender of a benchmark copies.
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from '../../packages/tidemark/dist/postgres/embedded/embedded.js'
import { outsideDir } from '../../packages/tidemark/dist/postgres/embedded/place.js'
import { openState } from '../../packages/tidemark/dist/state/state.js'

export interface BenchPostgres {
  /** Of a database of its own. Holds a password. */
  readonly url: string
  /** Version and whose it is, for the report. */
  readonly description: string
  readonly client: pg.Client
  /** Writes out what the one before has left, so that nobody pays for another's pages. */
  settle(): Promise<void>
  /** Drops the database, and stops the server where it is ours. */
  stop(): Promise<void>
}

interface Server {
  readonly url: string
  readonly whose: string
  stop(): Promise<void>
}

/** As in production: with fsync, on its own folder, thrown away afterwards. */
const startOwn = async (): Promise<Server> => {
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-bench-postgres-'))
  const remove = async (): Promise<void> => {
    for (const path of [dir, outsideDir(dir)]) await rm(path, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    // The server of a root user runs under another account, which has to get there.
    await chmod(dir, 0o711)
    const state = await openState(dir)
    const embedded = await startEmbeddedPostgres({ state, restart: false })
    const stop = async (): Promise<void> => {
      await embedded.stop()
      await remove()
    }
    return { url: embedded.url, whose: 'embedded, its settings as in production', stop }
  } catch (error) {
    await remove()
    throw error
  }
}

const given = (): Server | undefined => {
  const url = process.env['BENCH_DATABASE_URL']
  return url ? { url, whose: 'BENCH_DATABASE_URL', stop: async () => undefined } : undefined
}

const connect = async (url: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: url, application_name: 'tidemark-bench' })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

const withDatabase = (url: string, name: string): string => {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}

const insufficientPrivilege = '42501'

const checkpoint = async (client: pg.Client): Promise<void> => {
  await client.query('CHECKPOINT').catch((error: unknown) => {
    if (!(error instanceof pg.DatabaseError && error.code === insufficientPrivilege)) throw error
  })
}

/** Starts the embedded server, or reaches the one that BENCH_DATABASE_URL names, and makes a database for the run. */
export const openBenchPostgres = async (): Promise<BenchPostgres> => {
  const server = given() ?? (await startOwn())
  const name = `tidemark_bench_${randomBytes(4).toString('hex')}`
  const admin = await connect(server.url).catch(async (error: unknown) => {
    await server.stop()
    throw error
  })
  const leave = async (): Promise<void> => {
    await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`).finally(() => admin.end())
  }
  try {
    await admin.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`)
    const url = withDatabase(server.url, name)
    const client = await connect(url)
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version')
    return {
      url,
      client,
      description: `Postgres ${rows[0]!.server_version} (${server.whose})`,
      settle: () => checkpoint(client),
      stop: async () => {
        await client.end()
        await leave().finally(server.stop)
      },
    }
  } catch (error) {
    await leave().finally(server.stop)
    throw error
  }
}
