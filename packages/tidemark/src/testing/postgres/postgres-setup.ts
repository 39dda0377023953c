import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from '../../postgres/embedded/embedded.js'
import { openState } from '../../state/state.js'
import { adminUrlVariable, dropTemplates, runVariable } from './database.js'

/** The superuser's was hashed before the settings held. */
const hashPasswordAnew = async (url: string): Promise<void> => {
  const { username, password } = new URL(url)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const [role, secret] = [username, password].map(decodeURIComponent) as [string, string]
  await client.query(`alter role ${client.escapeIdentifier(role)} password ${client.escapeLiteral(secret)}`)
  await client.end()
}

/**
 * vitest's `globalSetup` of the tests that need Postgres: one throw-away cluster for the run, or the server that
 * TIDEMARK_TEST_DATABASE_URL names (as a superuser).
 */
export const setup = async (): Promise<() => Promise<void>> => {
  process.env[runVariable] = randomBytes(4).toString('hex')
  const given = process.env['TIDEMARK_TEST_DATABASE_URL']
  if (given) {
    process.env[adminUrlVariable] = given
    return dropTemplates
  }
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-test-'))
  const state = await openState(dir)
  const server = await startEmbeddedPostgres({
    state,
    disposable: true,
    restart: false,
    settings: {
      max_connections: '300',
      shared_buffers: '64MB',
      max_prepared_transactions: '10',
      max_replication_slots: '200',
      max_wal_senders: '100',
      // Thousands of sessions are opened: what makes a guess at a password costly is not what is tested.
      scram_iterations: '1',
    },
  })
  process.env[adminUrlVariable] = server.url
  await hashPasswordAnew(server.url)
  return async () => {
    await server.stop()
    await rm(dir, { recursive: true, force: true })
  }
}
