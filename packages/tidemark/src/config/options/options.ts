import { availableParallelism } from 'node:os'
import { alertsOptions } from './alerts-options.js'
import { authOptions } from './auth-options.js'
import { cacheOptions } from './cache-options.js'
import { dashboardOptions } from './dashboard-options.js'
import { feedOptions } from './feed-options.js'
import { boolean, bytes, durationMs, host, integer, names, oneOf, paths, secrets, tableNames, text } from './kinds.js'
import { type Given, option, type Resolved } from './option.js'
import { postgresOptions } from './postgres-options.js'
import { pusherOptions } from './pusher-options.js'
import { realtimeOptions } from './realtime-options.js'
import { redisOptions } from './redis-options.js'
import { relayOptions } from './relay-options.js'
import { resilienceOptions } from './resilience-options.js'
import { restOptions } from './rest-options.js'
import { supabaseOptions } from './supabase-options.js'
import { webhookOptions } from './webhook-options.js'
import { webhookWorkerOptions } from './webhook-worker-options.js'

const serverOptions = {
  'server.host': option(host, {
    help: 'Address to listen on. 0.0.0.0 opens the server to the network.',
    env: ['HOST'],
    flag: 'host',
    default: '127.0.0.1',
  }),
  'server.port': option(integer(0, 65_535), {
    help: 'Port to listen on. Where it is not given and taken, the next free one is used; 0 takes any free one.',
    env: ['PORT'],
    flag: 'port',
    default: 8080,
    systems: ['REanna Router'],
  }),
  'server.roles': option(names, {
    help: 'What this process does. "all" is everything.',
    env: ['TIDEMARK_ROLES'],
    flag: 'roles',
    default: ['all'],
  }),
  'server.adminToken': option(
    text({
      pattern: /^\S{16,}$/,
      reason: 'it is shorter than 16 characters or holds a space',
      expected: 'at least 16 characters without spaces',
    }),
    {
      help: 'Bearer token of /admin/v1.',
      env: ['TIDEMARK_ADMIN_TOKEN'],
      secret: true,
      defaultText: 'drawn once and kept in the state folder',
    },
  ),
  'server.previousAdminTokens': option(secrets, {
    help: 'Tokens that TIDEMARK_ADMIN_TOKEN held before: they go on to open /admin/v1, until nobody uses them.',
    secret: true,
    defaultText: 'none',
  }),
  'server.startTimeoutMs': option(durationMs(0, 3_600_000), {
    help: 'How long a start waits for a Postgres that cannot be reached, such as one that starts at the same time; 0 not at all.',
    env: ['TIDEMARK_START_TIMEOUT'],
    default: 30_000,
  }),
  'server.leaveMs': option(durationMs(0, 600_000), {
    help: 'How long after SIGTERM everything is still answered while /readyz says 503, so that a balancer sends nobody here when the server stops listening. A little longer than the balancer takes to notice.',
    env: ['TIDEMARK_LEAVE'],
    default: 0,
  }),
  'server.drainTimeoutMs': option(durationMs(0, 3_600_000), {
    help: 'How long SIGTERM waits for what is under way.',
    env: ['TIDEMARK_DRAIN_TIMEOUT'],
    default: 10_000,
  }),
} as const

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

const generalOptions = {
  environment: option(
    text({
      pattern: /^[A-Za-z][\w-]*$/,
      reason: 'it is not one word',
      expected: 'a word such as development, test or production',
      argument: 'name',
    }),
    {
      help: 'Name of the environment, for logs and /health.',
      env: ['ENV', 'NODE_ENV'],
      // POSIX shells keep the path of their start-up file in ENV.
      foreignEnv: /[/~$]/,
      default: 'development',
      systems: ['REanna Router'],
    },
  ),
  stateDir: option(text({ expected: 'the path of a folder', argument: 'folder' }), {
    help: 'Folder of what is kept on this machine: embedded servers, generated keys, locks.',
    env: ['TIDEMARK_STATE_DIR'],
    flag: 'state-dir',
    default: '.tidemark',
  }),
  'log.level': option(oneOf(logLevels, { warning: 'warn', critical: 'fatal', notset: 'trace' }), {
    help: 'Least severe level that is logged.',
    env: ['LOG_LEVEL'],
    flag: 'log-level',
    default: 'info',
    systems: ['REanna Router', 'Agents'],
  }),
  'log.pretty': option(boolean, {
    help: 'Log lines for people instead of JSON.',
    env: ['TIDEMARK_LOG_PRETTY'],
    defaultText: 'true on a terminal',
  }),
  'database.provider': option(oneOf(['sqlite', 'supabase', 'postgres'], { postgresql: 'postgres' }), {
    help: 'Which store an application works on. While a live move exists its state decides, and this may not contradict it.',
    env: ['DATABASE_PROVIDER'],
    defaultText: 'sqlite where the application has a SQLite file configured, else postgres',
    systems: ['Supportive Yarn'],
  }),
  'schema.folders': option(paths, {
    help: "Folders of migrations besides the project's supabase/migrations, applied after it, each under the name of its app.",
    env: ['TIDEMARK_MIGRATIONS'],
    flag: 'migrations',
    default: [],
    defaultText: 'none',
  }),
  'schema.rowSecurity': option(oneOf(['refuse', 'warn'], { warning: 'warn' }), {
    help: 'What `tidemark schema up` does with a migration that opens rows to anon or authenticated: takes it back, or says so.',
    env: ['TIDEMARK_ROW_SECURITY'],
    default: 'refuse',
  }),
  'schema.accepted': option(tableNames, {
    help: 'Tables, views and functions that are open on purpose: `tidemark schema check` warns of them instead.',
    env: ['TIDEMARK_SCHEMA_ACCEPTED'],
    default: [],
    defaultText: 'none',
  }),
  'move.workers': option(integer(1, 64), {
    help: 'Tables or key ranges that `tidemark move` copies at a time.',
    flag: 'workers',
    default: Math.min(2, availableParallelism()),
    defaultText: 'the number of cores, at most 2',
  }),
  'move.chunkBytes': option(bytes(65_536, 256 * 1024 ** 2), {
    help: 'Roughly how much `tidemark move` copies in one transaction.',
    default: 24 * 1024 ** 2,
    defaultText: '24MiB',
  }),
} as const

const secretText = (what: string) => text({ expected: what })

const appOptions = {
  'apps.apiKey': option(secretText('the key that clients of the REanna API send'), {
    help: 'Key that clients of the REanna API send.',
    env: ['API_KEY'],
    secret: true,
    systems: ['REanna Router'],
  }),
  'apps.googleMapsApiKey': option(secretText('an API key of Google Maps'), {
    help: 'Google Maps, for routes between visits.',
    env: ['GOOGLE_MAPS_API_KEY'],
    secret: true,
    systems: ['REanna Router'],
  }),
  'apps.rolloutClientId': option(text({ expected: 'a client id of Rollout' }), {
    help: 'Rollout, for CRM connections.',
    env: ['ROLLOUT_CLIENT_ID'],
    systems: ['REanna Router'],
  }),
  'apps.rolloutClientSecret': option(secretText('a client secret of Rollout'), {
    help: 'Rollout, for CRM connections.',
    env: ['ROLLOUT_CLIENT_SECRET'],
    secret: true,
    systems: ['REanna Router'],
  }),
} as const

/** Every option there is. Types, environment names, flags, help and docs/configuration.md all come from this table. */
export const options = {
  ...serverOptions,
  ...generalOptions,
  ...postgresOptions,
  ...redisOptions,
  ...feedOptions,
  ...cacheOptions,
  ...resilienceOptions,
  ...restOptions,
  ...supabaseOptions,
  ...restOptions,
  ...dashboardOptions,
  ...realtimeOptions,
  ...pusherOptions,
  ...relayOptions,
  ...authOptions,
  ...webhookOptions,
  ...alertsOptions,
  ...webhookWorkerOptions,
  ...appOptions,
} as const

/**
 * Everything Tidemark can be told, resolved once: every default filled in, every value checked, deeply readonly.
 * Options that are not set and have no default are absent. docs/configuration.md describes each.
 */
export type TidemarkConfig = Resolved<typeof options> & {
  readonly server: {
    /** True where the port was given, so that a taken one is an error instead of a reason to take the next. */
    readonly portAsked: boolean
  }
}

/** What `tidemark.config.ts` holds: any part of the options, nested as in {@link TidemarkConfig}. */
export type ConfigInput = Given<typeof options>

/** The name of a pool, which is also its group under `postgres`. */
export type PoolName = 'primary' | 'analytics' | 'migration' | 'secondary' | 'auth' | 'rest' | 'realtime'

/** Documented variables that are not taken over under their own name, and what to use instead. */
export const successors: Readonly<Record<string, string>> = {
  VITE_SUPABASE_DEBUG: 'Read by the browser build only. For the server: SUPABASE_DEBUG.',
  VITE_LOG_LEVEL: 'Read by the browser build only. For the server: LOG_LEVEL.',
  GOTRUE_JWT_SECRET: 'SUPABASE_JWT_SECRET. The server answers /auth/v1 itself; no container reads this.',
  PGRST_JWT_SECRET: 'SUPABASE_JWT_SECRET. The server answers /rest/v1 itself; no container reads this.',
  API_JWT_SECRET: 'SUPABASE_JWT_SECRET. The server answers /realtime/v1 itself; no container reads this.',
  GOTRUE_DATABASE_URL: 'DATABASE_URL.',
  POSTGRES_PASSWORD: 'The password in DATABASE_URL, or SUPABASE_DB_PASS. The embedded Postgres draws its own.',
  DATABASE_PATH: 'The file is an argument: `tidemark move <file>`.',
}
