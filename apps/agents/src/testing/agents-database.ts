/** A database with the app's tables, for one test file. */
import { randomUUID } from 'node:crypto'
import { createPools, type Pool } from 'tidemark'
import { appSource, platformSource } from '../../../../packages/tidemark/src/schema/migration-files.js'
import { createMigrator } from '../../../../packages/tidemark/src/schema/migrator.js'
import type { Migrator, SchemaClient } from '../../../../packages/tidemark/src/schema/schema.js'
import {
  connectTo,
  createBootstrappedDatabase,
  testUrl,
} from '../../../../packages/tidemark/src/schema/testing/bootstrapped-template.js'
import { agents } from '../agents.js'

export interface AgentsDatabase {
  /** As the server's role, as the owner of the tables, and as the one that may replicate. */
  readonly urls: Readonly<Record<'app' | 'migrator' | 'feed', string>>
  readonly pool: Pool
  /** As the owner of the tables, whom no policy holds. */
  readonly owner: SchemaClient
  readonly migrator: Migrator
  /** One statement under a role and claims, then ROLLBACK. */
  as<T extends object>(role: string, claims: object, sql: string, values?: readonly unknown[]): Promise<readonly T[]>
  drop(): Promise<void>
}

export const openAgentsDatabase = async (): Promise<AgentsDatabase> => {
  const database = await createBootstrappedDatabase()
  const urls = {
    app: testUrl(database.url, 'app'),
    migrator: testUrl(database.url, 'migrator'),
    feed: testUrl(database.url, 'feed'),
  }
  const connect = connectTo(urls.migrator)
  const migrator = createMigrator({ connect, sources: [platformSource, appSource(agents.name, agents.migrations)] })
  await migrator.up()
  const owner = await connect()
  const authenticator = await connectTo(testUrl(database.url, 'authenticator'))()
  const pools = createPools({ url: urls.app, pools: { primary: { minConnections: 0, maxConnections: 20 } } })
  return {
    urls,
    pool: pools.primary,
    owner,
    migrator,
    as: async <T extends object>(role: string, claims: object, sql: string, values: readonly unknown[] = []) => {
      await authenticator.query('begin')
      try {
        await authenticator.query(`set local role ${role}`)
        await authenticator.query("select set_config('request.jwt.claims', $1, true)", [JSON.stringify(claims)])
        return (await authenticator.query<T>(sql, [...values])).rows
      } finally {
        await authenticator.query('rollback')
      }
    },
    drop: async () => {
      await owner.end()
      await authenticator.end()
      await pools.stop()
      await database.drop()
    },
  }
}

export const newName = (kind: string): string => `${kind}-${randomUUID().slice(0, 8)}`
