/** The migrations of the agents' tables, under the documented names (R85), and whether the second database has the same tables (R86). */
import { appSource, createMigrationService, createMigrator, type MigrationService, platformSource, sessionsOf } from 'tidemark'
import { agents } from './agents.js'

export interface AgentsMigrationOptions {
  /** The first database, with the login that owns the tables. */
  readonly database: string
  /** The second one, likewise. Without it the first is compared with the files. */
  readonly secondary?: string | undefined
}

/** Migrates the first database; for the second one, whose migrations are the same, it is made with its address as `database`. Raises TM_SCHEMA_*. */
export const createAgentsMigrations = ({ database, secondary }: AgentsMigrationOptions): MigrationService => {
  const primary = sessionsOf({ url: database })
  const own = appSource(agents.name, agents.migrations)
  const service = createMigrationService({
    migrator: createMigrator({ connect: primary, sources: [platformSource, own] }),
    ...(secondary !== undefined && { databases: { primary, secondary: sessionsOf({ url: secondary }) } }),
  })
  return { ...service, createMigration: createMigrator({ connect: primary, sources: [own] }).create }
}
