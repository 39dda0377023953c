import { basename, dirname, join, resolve } from 'node:path'
import type { TidemarkConfig } from '../../config/config.js'
import { withDatabase } from '../../config/database-in-url.js'
import { isTidemarkError } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import type { ConnectOptions, EmbeddedPostgres } from '../../postgres/postgres.js'
import type { BootstrapReport, LoginRole, Migrator, SchemaClient, SchemaConnect } from '../../schema/schema.js'
import type { State } from '../../state/state.js'
import { rolePasswords } from './role-passwords.js'

/** A Postgres that is prepared: roles made, platform tables there. */
export interface Database {
  /** Undefined where the server is not ours. */
  readonly embedded: EmbeddedPostgres | undefined
  /** Connection strings of sessions by role. They hold passwords. */
  readonly urls: Readonly<Record<LoginRole, string>>
  /** What `db url` and `status` give: the connection string that was configured, or the migrator's of the embedded server. */
  readonly url: string
  readonly bootstrap: BootstrapReport
  /** How a move connects: as the role that may make tables. */
  readonly target: ConnectOptions
  /** Over the platform's and the project's migrations. */
  readonly migrator: Migrator
  /** Lets go of the embedded server; the last one to do so stops it. */
  stop(): Promise<void>
}

export interface OpenDatabaseOptions {
  readonly config: TidemarkConfig
  readonly state: State
  readonly log: Logger
  /** The folder of the project, where `supabase/migrations` is looked for. */
  readonly cwd: string
  /** Another Postgres than the project's. */
  readonly url?: string
}

interface Given {
  readonly embedded: EmbeddedPostgres | undefined
  /** Of the most privileged role that is known. */
  readonly adminUrl: string
  readonly directUrl: string | undefined
}

const reach = async ({ config, state, log, cwd, url }: OpenDatabaseOptions): Promise<Given> => {
  const { postgres } = config
  if (url !== undefined) return { embedded: undefined, adminUrl: url, directUrl: undefined }
  const configured = postgres.migrationUrl ?? postgres.url
  if (configured !== undefined) {
    return {
      embedded: undefined,
      adminUrl: configured,
      directUrl: postgres.migrationUrl === undefined ? postgres.directUrl : undefined,
    }
  }
  const { startEmbeddedPostgres } = await import('../../postgres/postgres.js')
  const own = log.child('postgres')
  const embedded = await startEmbeddedPostgres({
    state,
    log: (message) => own.info(message),
    ...(postgres.archiveDir !== undefined && { archiveDir: resolve(cwd, postgres.archiveDir) }),
  })
  const adminUrl = postgres.database === undefined ? embedded.url : withDatabase(embedded.url, postgres.database)
  return { embedded, adminUrl, directUrl: undefined }
}

/** What every session of the project's database has in common. */
const sessionOptions = ({ postgres }: TidemarkConfig): Omit<ConnectOptions, 'url'> => ({
  connectTimeoutMs: postgres.migration.connectTimeoutMs,
  ...(postgres.sslMode !== undefined && { sslMode: postgres.sslMode }),
  ...(postgres.channelBinding !== undefined && { channelBinding: postgres.channelBinding }),
})

/** Which every Postgres has: where one logs in to make another. */
const maintenanceDatabase = 'postgres'

const madeMeanwhile: readonly string[] = ['42P04', '23505']

/** Makes the database that was asked for by its name. */
const createDatabase = async (url: string, name: string, options: OpenDatabaseOptions): Promise<void> => {
  const [{ connectPostgres, sqlstateOf }, { quoteIdentifier }] = await Promise.all([
    import('../../postgres/postgres.js'),
    import('../../schema/sql-errors.js'),
  ])
  const client = await connectPostgres({
    ...sessionOptions(options.config),
    url: withDatabase(url, maintenanceDatabase),
    name: 'create database',
  })
  try {
    await client.query(`create database ${quoteIdentifier(name)} template template0`)
  } catch (error) {
    if (!madeMeanwhile.includes(sqlstateOf(error) ?? '')) throw error
  } finally {
    await client.end().catch(() => undefined)
  }
}

const connectAdmin = async (url: string, options: OpenDatabaseOptions): Promise<SchemaClient> => {
  const { connectPostgres } = await import('../../postgres/postgres.js')
  const { database } = options.config.postgres
  const connect = async () =>
    (await connectPostgres({ ...sessionOptions(options.config), url, name: 'bootstrap' })) as SchemaClient
  try {
    return await connect()
  } catch (error) {
    if (database === undefined || options.url !== undefined || !isTidemarkError(error, 'TM_POSTGRES_NO_DATABASE')) throw error
    await createDatabase(url, database, options)
    return connect()
  }
}

const prepare = async (given: Given, options: OpenDatabaseOptions): Promise<BootstrapReport> => {
  const [{ parseConnection }, { sessionUrl }, { bootstrap }] = await Promise.all([
    import('../../postgres/postgres.js'),
    import('../../postgres/driver/connect.js'),
    import('../../schema/bootstrap.js'),
  ])
  const shared = sessionOptions(options.config)
  const url = sessionUrl(given.adminUrl, given.directUrl)
  const passwords = await rolePasswords(parseConnection(url).password, options.state)
  const client = await connectAdmin(url, options)
  try {
    const report = await bootstrap(client, { passwords, url })
    if (!report.upToDate || (await canLogIn({ ...shared, url: report.urls.migrator }))) return report
    // Prepared by another node under an older password: give the roles theirs anew.
    await client.query('comment on schema tidemark is null')
    return await bootstrap(client, { passwords, url })
  } finally {
    await client.end().catch(() => undefined)
  }
}

const canLogIn = async (options: ConnectOptions): Promise<boolean> => {
  const { connectPostgres } = await import('../../postgres/postgres.js')
  try {
    const client = await connectPostgres({ ...options, name: 'login check' })
    await client.end()
    return true
  } catch (error) {
    if (isTidemarkError(error, 'TM_POSTGRES_AUTHENTICATION')) return false
    throw error
  }
}

const loadSchema = () => Promise.all([import('../../schema/migrator.js'), import('../../schema/migration-files.js')])

/** The name of the app whose migrations a folder holds: the folder's own, or its parent's where it is just called so. */
const appName = (folder: string): string => (basename(folder) === 'migrations' ? basename(dirname(folder)) : basename(folder))

const openMigrator = async (connect: SchemaConnect, { config, cwd, log }: OpenDatabaseOptions): Promise<Migrator> => {
  const [{ createMigrator }, { appSource, platformSource, projectSource }] = await loadSchema()
  const folders = config.schema.folders.map((folder) => resolve(cwd, folder))
  return createMigrator({
    connect,
    sources: [
      platformSource,
      projectSource(join(cwd, 'supabase', 'migrations')),
      ...folders.map((folder) => appSource(appName(folder), folder)),
    ],
    listener: ({ type, source, version, name }) => log.debug(type, { source, version, name }),
    rowSecurity: { mode: config.schema.rowSecurity, schemas: config.rest.schemas, accepted: config.schema.accepted },
  })
}

const migratePlatform = async (connect: SchemaConnect): Promise<void> => {
  const [{ createMigrator }, { platformSource }] = await loadSchema()
  await createMigrator({ connect, sources: [platformSource] }).up()
}

/**
 * Reaches the configured Postgres, or attaches to the project's embedded one and starts it where it does not run; then makes
 * roles, schemas and the platform's tables where they are missing. From then on nothing runs as the role that was given.
 * Raises TM_POSTGRES_*, TM_SCHEMA_*, TM_STATE_*.
 */
export const openDatabase = async (options: OpenDatabaseOptions): Promise<Database> => {
  const given = await reach(options)
  try {
    const report = await prepare(given, options)
    const { connectPostgres } = await import('../../postgres/postgres.js')
    const target: ConnectOptions = { ...sessionOptions(options.config), url: report.urls.migrator }
    const connect: SchemaConnect = async (database) =>
      (await connectPostgres({
        ...target,
        name: 'schema',
        url: database === undefined ? target.url : withDatabase(target.url, database),
      })) as SchemaClient
    await migratePlatform(connect)
    return {
      embedded: given.embedded,
      urls: report.urls,
      url: given.embedded ? report.urls.migrator : (options.url ?? options.config.postgres.url ?? given.adminUrl),
      bootstrap: report,
      target,
      migrator: await openMigrator(connect, options),
      stop: async () => given.embedded?.stop(),
    }
  } catch (error) {
    await given.embedded?.stop()
    throw error
  }
}
