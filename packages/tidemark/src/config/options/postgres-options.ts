import { databaseName, durationMs, integer, oneOf, postgresUrl, text } from './kinds.js'
import { option } from './option.js'

type Pool = 'primary' | 'analytics' | 'migration' | 'secondary' | 'auth' | 'rest' | 'realtime'

const maxConnections = (
  pool: Pool,
  value: number,
  systems?: readonly ['RE Engine'] | readonly ['RE Engine', 'Agents'] | readonly ['Agents'],
) => option(integer(1, 10_000), { help: `Most connections of the ${pool} pool.`, default: value, ...(systems && { systems }) })

const minConnections = (pool: Pool, value: number) =>
  option(integer(0, 10_000), { help: `Connections that the ${pool} pool keeps open.`, default: value })

const idleTimeoutMs = (pool: Pool, value: number) =>
  option(durationMs(0), {
    help: `After this long without work a connection of the ${pool} pool is closed; 0 never.`,
    default: value,
  })

const connectTimeoutMs = (pool: Pool, value: number) =>
  option(durationMs(1, 600_000), { help: `How long opening a connection of the ${pool} pool may take.`, default: value })

export const postgresOptions = {
  'postgres.url': option(postgresUrl, {
    help: 'The Postgres server that holds the truth.',
    env: ['DATABASE_URL'],
    flag: 'database-url',
    secret: true,
    defaultText: 'an embedded Postgres in the state folder',
    systems: ['REanna Router'],
  }),
  'postgres.database': option(databaseName, {
    help: 'A database beside the one of postgres.url, or of the embedded Postgres, for an application of its own; made where there is none. It takes the place of the one that URLs name.',
    env: ['TIDEMARK_DATABASE'],
    flag: 'database',
    defaultText: 'the one of postgres.url',
  }),
  'postgres.directUrl': option(postgresUrl, {
    help: 'The same database past a transaction pooler, for migrations, LISTEN and replication.',
    env: ['DIRECT_URL'],
    secret: true,
    defaultText: 'postgres.url',
  }),
  'postgres.analyticsUrl': option(postgresUrl, {
    help: 'Where the analytics pool connects; may be a transaction pooler (the "pooledConnectionString").',
    env: ['ANALYTICS_DATABASE_URL', 'POOLED_DATABASE_URL'],
    secret: true,
    defaultText: 'postgres.url',
    systems: ['RE Engine'],
  }),
  'postgres.migrationUrl': option(postgresUrl, {
    help: 'Where migrations connect, under a role that may change the schema.',
    env: ['MIGRATION_DATABASE_URL'],
    secret: true,
    defaultText: 'postgres.directUrl',
    systems: ['RE Engine'],
  }),
  'postgres.secondaryUrl': option(postgresUrl, {
    help: 'The second database, beside the primary.',
    env: ['SECONDARY_DATABASE_URL'],
    secret: true,
    defaultText: 'built from SUPABASE_DB_*, where that is set',
    systems: ['Agents'],
  }),
  'postgres.sslMode': option(oneOf(['disable', 'prefer', 'require', 'verify-ca', 'verify-full']), {
    help: 'TLS towards Postgres. A sslmode in a URL wins for that URL.',
    env: ['PGSSLMODE'],
    defaultText: 'what the URL says, else prefer on this machine and require elsewhere',
    systems: ['RE Engine'],
  }),
  'postgres.channelBinding': option(oneOf(['disable', 'prefer', 'require']), {
    help: 'SCRAM channel binding: ties the login to the TLS connection. A channel_binding in a URL wins for that URL.',
    env: ['PGCHANNELBINDING'],
    defaultText: 'what the URL says, else prefer',
    systems: ['RE Engine'],
  }),
  'postgres.archiveDir': option(text({ expected: 'the path of a folder', argument: 'folder' }), {
    help: 'Where the embedded Postgres archives its write-ahead log, so that `tidemark db restore` reaches any moment. Counts from its next start on.',
    defaultText: 'nowhere',
  }),
  'postgres.driver': option(oneOf(['pg', 'neon']), {
    help: "neon speaks Neon's WebSocket protocol and needs the package @neondatabase/serverless.",
    default: 'pg',
    systems: ['RE Engine'],
  }),
  'postgres.primary.maxConnections': maxConnections('primary', 20, ['RE Engine', 'Agents']),
  'postgres.primary.minConnections': minConnections('primary', 5),
  'postgres.primary.idleTimeoutMs': idleTimeoutMs('primary', 30_000),
  'postgres.primary.connectTimeoutMs': connectTimeoutMs('primary', 2000),
  'postgres.analytics.maxConnections': maxConnections('analytics', 10, ['RE Engine']),
  'postgres.analytics.minConnections': minConnections('analytics', 2),
  'postgres.analytics.idleTimeoutMs': idleTimeoutMs('analytics', 60_000),
  'postgres.analytics.connectTimeoutMs': connectTimeoutMs('analytics', 2000),
  'postgres.migration.maxConnections': maxConnections('migration', 5, ['RE Engine']),
  'postgres.migration.minConnections': minConnections('migration', 1),
  'postgres.migration.idleTimeoutMs': idleTimeoutMs('migration', 30_000),
  'postgres.migration.connectTimeoutMs': connectTimeoutMs('migration', 10_000),
  'postgres.secondary.maxConnections': maxConnections('secondary', 10, ['Agents']),
  'postgres.secondary.minConnections': minConnections('secondary', 1),
  'postgres.secondary.idleTimeoutMs': idleTimeoutMs('secondary', 30_000),
  'postgres.secondary.connectTimeoutMs': option(durationMs(1, 600_000), {
    help: 'How long opening a connection of the secondary pool may take. A bare number in SUPABASE_CONNECTION_TIMEOUT counts seconds.',
    env: ['SUPABASE_CONNECTION_TIMEOUT'],
    envUnit: 's',
    default: 30_000,
    systems: ['Agents'],
  }),
  'postgres.auth.maxConnections': maxConnections('auth', 5),
  'postgres.auth.minConnections': minConnections('auth', 0),
  'postgres.auth.idleTimeoutMs': idleTimeoutMs('auth', 30_000),
  'postgres.auth.connectTimeoutMs': connectTimeoutMs('auth', 2000),
  'postgres.rest.maxConnections': maxConnections('rest', 20),
  'postgres.rest.minConnections': minConnections('rest', 2),
  'postgres.rest.idleTimeoutMs': idleTimeoutMs('rest', 30_000),
  'postgres.rest.connectTimeoutMs': connectTimeoutMs('rest', 2000),
  'postgres.realtime.maxConnections': maxConnections('realtime', 4),
  'postgres.realtime.minConnections': minConnections('realtime', 0),
  'postgres.realtime.idleTimeoutMs': idleTimeoutMs('realtime', 30_000),
  'postgres.realtime.connectTimeoutMs': connectTimeoutMs('realtime', 2000),
  'postgres.statementTimeoutMs': option(durationMs(0), {
    help: 'Postgres ends a statement that runs longer; 0 never.',
    defaultText: 'what the server has set',
  }),
  'postgres.slowQueryMs': option(durationMs(0), {
    help: 'A statement that takes longer is logged and counted as slow.',
    default: 500,
    systems: ['Agents'],
  }),
} as const
