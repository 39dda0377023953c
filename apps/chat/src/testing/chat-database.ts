/** A database with the app's tables, for one test file. */
import { randomUUID } from 'node:crypto'
import { createPools, type Pool } from 'tidemark'
import { appSource, platformSource } from '../../../../packages/tidemark/src/schema/migration-files.js'
import { createMigrator } from '../../../../packages/tidemark/src/schema/migrator.js'
import type { SchemaClient } from '../../../../packages/tidemark/src/schema/schema.js'
import {
  connectTo,
  createBootstrappedDatabase,
  testUrl,
} from '../../../../packages/tidemark/src/schema/testing/bootstrapped-template.js'
import { chat } from '../chat.js'

export interface ChatDatabase {
  /** As the server's role. */
  readonly url: string
  readonly pool: Pool
  /** As the owner of the tables, whom no policy holds. */
  readonly owner: SchemaClient
  /** One statement under a role and claims, then COMMIT. */
  as<T extends object>(role: string, claims: object, sql: string, values?: readonly unknown[]): Promise<readonly T[]>
  /** What the migrations would change; nothing. */
  differences(): Promise<readonly unknown[]>
  drop(): Promise<void>
}

export const openChatDatabase = async (): Promise<ChatDatabase> => {
  const database = await createBootstrappedDatabase()
  const connect = connectTo(testUrl(database.url, 'migrator'))
  const migrator = createMigrator({ connect, sources: [platformSource, appSource(chat.name, chat.migrations)] })
  await migrator.up()
  const owner = await connect()
  const authenticator = await connectTo(testUrl(database.url, 'authenticator'))()
  const url = testUrl(database.url, 'app')
  const pools = createPools({ url, pools: { primary: { minConnections: 0, maxConnections: 20 } } })
  return {
    url,
    pool: pools.primary,
    owner,
    differences: () => migrator.diff(),
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

export const newUser = (): string => randomUUID()
