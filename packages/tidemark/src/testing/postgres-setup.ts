import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../postgres/embedded/embedded.js'
import { openState } from '../state/state.js'
import { adminUrlVariable, dropTemplates, runVariable } from './database.js'

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
    },
  })
  process.env[adminUrlVariable] = server.url
  return async () => {
    await server.stop()
    await rm(dir, { recursive: true, force: true })
  }
}
