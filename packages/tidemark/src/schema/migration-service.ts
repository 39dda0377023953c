import { readCatalogue } from './catalogue.js'
import { compareCatalogues } from './compare-catalogues.js'
import { compareVersions, platformSource } from './migration-files.js'
import type { DiffOptions, MigrationStatus, Migrator, SchemaConnect, SchemaDifference, UpReport } from './schema.js'

/** What `getMigrationStatus` answers. */
export interface MigrationOverview {
  /** The newest applied version but those of the platform; null before the first. */
  readonly current: string | null
  /** The newest version there is a file of. */
  readonly head: string | null
  readonly upToDate: boolean
  readonly migrations: readonly MigrationStatus[]
}

/** What `syncSchemas` answers: it compares and changes nothing. */
export interface SchemaComparison {
  readonly inSync: boolean
  readonly differences: readonly SchemaDifference[]
}

/** The service by the names under which the agents' documentation knows it. */
export interface MigrationService {
  /** Applies what is pending, up to the version given or `'head'`. */
  runMigrations(target?: string): Promise<UpReport>
  getMigrationStatus(): Promise<MigrationOverview>
  /** Differences between the database and the files, or between the two databases where there is a second. */
  syncSchemas(options?: DiffOptions): Promise<SchemaComparison>
  /** Writes a new empty migration and gives its path. */
  createMigration(message: string): Promise<string>
}

/**
 * Compares two databases; `database` in a difference is the first, `files` the second.
 * Without `schemas` those that the second one has.
 */
const compareDatabases = async (
  first: SchemaConnect,
  second: SchemaConnect,
  options: DiffOptions = {},
): Promise<readonly SchemaDifference[]> => {
  const [here, there] = await Promise.all(
    [first, second].map(async (connect) => {
      const client = await connect()
      try {
        return await readCatalogue(client)
      } finally {
        await client.end().catch(() => undefined)
      }
    }),
  )
  return compareCatalogues(here ?? [], there ?? [], options)
}

export interface MigrationServiceOptions {
  readonly migrator: Migrator
  /** Both, where a second database must have the same schema as the first. */
  readonly databases?: { readonly primary: SchemaConnect; readonly secondary: SchemaConnect }
}

const newest = (migrations: readonly MigrationStatus[]): string | null =>
  migrations
    .map(({ version }) => version)
    .sort(compareVersions)
    .at(-1) ?? null

/** Makes a {@link MigrationService} over a migrator. */
export const createMigrationService = ({ migrator, databases }: MigrationServiceOptions): MigrationService => ({
  runMigrations: (target = 'head') => migrator.up({ target }),
  getMigrationStatus: async () => {
    const migrations = await migrator.status()
    const own = migrations.filter(({ source }) => source !== platformSource.name)
    return {
      current: newest(own.filter(({ state }) => state === 'applied' || state === 'changed' || state === 'missing')),
      head: newest(own.filter(({ state }) => state !== 'missing')),
      upToDate: migrations.every(({ state }) => state === 'applied'),
      migrations,
    }
  },
  syncSchemas: async (options = {}) => {
    const differences = databases
      ? await compareDatabases(databases.primary, databases.secondary, options)
      : await migrator.diff(options)
    return { inSync: differences.length === 0, differences }
  },
  createMigration: (message) => migrator.create(message),
})
