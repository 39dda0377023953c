/** A database with an application's tables, for one test file. */
import { createPools, type Pool } from '../../postgres/postgres.js'
import { appSource, platformSource } from '../../schema/migration-files.js'
import { createMigrator } from '../../schema/migrator.js'
import type { Migrator, SchemaClient } from '../../schema/schema.js'
import { connectTo, createBootstrappedDatabase, testUrl } from '../../schema/testing/bootstrapped-template.js'

export interface AppDatabase {
  /** As the server's role, as the owner of the tables, and as the one that may replicate. */
  readonly urls: Readonly<Record<'app' | 'migrator' | 'feed', string>>
  /** As the server's role. */
  readonly pool: Pool
  /** As the owner of the tables, whom no policy holds. */
  readonly owner: SchemaClient
  readonly migrator: Migrator
  /** One statement under a role and claims, then COMMIT. */
  as<T extends object>(role: string, claims: object, sql: string, values?: readonly unknown[]): Promise<readonly T[]>
  drop(): Promise<void>
}

export const openAppDatabase = async (app: { readonly name: string; readonly migrations: URL }): Promise<AppDatabase> => {
  const database = await createBootstrappedDatabase()
  const urlOf = (role: 'app' | 'migrator' | 'feed' | 'authenticator') => testUrl(database.url, role)
  const urls = { app: urlOf('app'), migrator: urlOf('migrator'), feed: urlOf('feed') }
  const connect = connectTo(urls.migrator)
  const migrator = createMigrator({ connect, sources: [platformSource, appSource(app.name, app.migrations)] })
  await migrator.up()
  const owner = await connect()
  const authenticator = await connectTo(urlOf('authenticator'))()
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
        const { rows } = await authenticator.query<T>(sql, [...values])
        await authenticator.query('commit')
        return rows
      } catch (error) {
        await authenticator.query('rollback')
        throw error
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
