import pg from 'pg'
import { createTestDatabase, type TestDatabase, type TestTemplate } from '../../testing/postgres/database.js'
import { bootstrap, urlForRole } from '../bootstrap.js'
import { platformSource } from '../migration-files.js'
import { createMigrator } from '../migrator.js'
import type { LoginRole, SchemaClient, SchemaConnect } from '../schema.js'

/** One set for all tests: roles belong to the server, and the files of a run share it. */
export const testPasswords: Readonly<Record<LoginRole, string>> = {
  migrator: 'test-migrator-password',
  authenticator: 'test-authenticator-password',
  app: 'test-app-password',
  feed: 'test-feed-password',
  auth: 'test-auth-password',
}

const roles: Readonly<Record<LoginRole, string>> = {
  migrator: 'tidemark_migrator',
  authenticator: 'authenticator',
  app: 'tidemark_app',
  feed: 'tidemark_feed',
  auth: 'supabase_auth_admin',
}

/** The URL of a test database as one of the roles that the bootstrap makes. */
export const testUrl = (url: string, role: LoginRole): string => urlForRole(url, roles[role], testPasswords[role])

/** Sessions by connection string, as {@link SchemaConnect} gives them. */
export const connectTo =
  (url: string): SchemaConnect =>
  async (database) => {
    const target = new URL(url)
    if (database !== undefined) target.pathname = `/${database}`
    const client = new pg.Client({ connectionString: target.href })
    await client.connect()
    // A server that stops takes its sessions along; the next statement says so.
    client.on('error', () => undefined)
    return client as unknown as SchemaClient
  }

const bootstrapTest = async (url: string): Promise<void> => {
  const admin = await connectTo(url)()
  try {
    await bootstrap(admin, { url, passwords: testPasswords })
  } finally {
    await admin.end()
  }
}

/** The bootstrap and the platform's own migrations. */
export const bootstrappedTemplate: TestTemplate = {
  name: 'bootstrapped',
  prepare: async (url) => {
    await bootstrapTest(url)
    await createMigrator({ connect: connectTo(testUrl(url, 'migrator')), sources: [platformSource] }).up()
  },
  // What is granted on a database itself is not cloned.
  complete: bootstrapTest,
}

/** A database after the bootstrap and the platform's own migrations. */
export const createBootstrappedDatabase = (): Promise<TestDatabase> => createTestDatabase({ template: bootstrappedTemplate })
