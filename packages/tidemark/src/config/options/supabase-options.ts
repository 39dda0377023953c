import { boolean, durationMs, host, httpUrl, integer, relationNames, text } from './kinds.js'
import { option } from './option.js'

const identifier = text({
  pattern: /^[A-Za-z_][\w$]{0,62}$/,
  reason: 'it is not the name of a schema',
  expected: 'the name of a schema',
  argument: 'name',
})

// A path of one or two dots means a folder, in any spelling, so that no URL can name such a database.
const databaseName = text({
  pattern: /^(?!\.{1,2}$)/,
  reason: 'no connection string can name it',
  expected: 'the name of a database',
  argument: 'name',
})

const key = (name: string) =>
  text({ pattern: /^\S+$/, reason: 'it holds a space', expected: `the ${name} of the Supabase project` })

export const supabaseOptions = {
  'supabase.enabled': option(boolean, {
    help: 'False leaves Supabase alone whatever else is set.',
    env: ['ENABLE_SUPABASE_INTEGRATION'],
    default: true,
    systems: ['Agents'],
  }),
  'supabase.url': option(httpUrl, {
    help: 'The cloud project. Without it this server answers /rest/v1, /realtime/v1 and /auth/v1 itself.',
    env: ['SUPABASE_URL'],
    systems: ['REanna Router', 'Supportive Yarn', 'Agents'],
  }),
  'supabase.anonKey': option(key('anon key'), {
    help: 'Key that browsers may know; row-level security applies.',
    env: ['SUPABASE_ANON_KEY'],
    secret: true,
    systems: ['Supportive Yarn', 'Agents'],
  }),
  'supabase.serviceRoleKey': option(key('service role key'), {
    help: 'Key of the server, which row-level security does not bind. Never give it to a browser.',
    env: ['SUPABASE_SERVICE_ROLE_KEY', 'SUPABASE_KEY'],
    secret: true,
    systems: ['REanna Router', 'Supportive Yarn', 'Agents'],
  }),
  'supabase.jwtSecret': option(text({ expected: 'the secret that signs the JWTs, best 32 characters or more' }), {
    help: 'Secret that signs and checks JWTs, the same for all parts of a system.',
    env: ['SUPABASE_JWT_SECRET', 'JWT_SECRET'],
    secret: true,
    defaultText: 'drawn once and kept in the state folder',
    systems: ['REanna Router', 'Agents'],
  }),
  'supabase.database.host': option(host, {
    help: 'Host of the Supabase database.',
    env: ['SUPABASE_DB_HOST'],
    defaultText: 'db.<project>.supabase.co, where the URL names a project and a password is set',
    systems: ['Agents'],
  }),
  'supabase.database.port': option(integer(1, 65_535), {
    help: 'Port of the Supabase database.',
    env: ['SUPABASE_DB_PORT'],
    default: 5432,
    systems: ['Agents'],
  }),
  'supabase.database.name': option(databaseName, {
    help: 'Name of the Supabase database.',
    env: ['SUPABASE_DB_NAME'],
    default: 'postgres',
    systems: ['Agents'],
  }),
  'supabase.database.user': option(text({ expected: 'the name of a role', argument: 'name' }), {
    help: 'Role that logs in to the Supabase database.',
    env: ['SUPABASE_DB_USER'],
    default: 'postgres',
    systems: ['Agents'],
  }),
  'supabase.database.password': option(text({ expected: 'the password as it is, without percent-encoding' }), {
    help: 'Password of that role.',
    env: ['SUPABASE_DB_PASS', 'SUPABASE_DB_PASSWORD'],
    secret: true,
    systems: ['Agents'],
  }),
  'supabase.agentSchema': option(identifier, {
    help: 'Schema of the agent tables.',
    env: ['SUPABASE_AGENT_SCHEMA'],
    default: 'public',
    systems: ['Agents'],
  }),
  'supabase.realtime': option(boolean, {
    help: 'Realtime events of the agent tables.',
    env: ['SUPABASE_ENABLE_REALTIME'],
    default: true,
    systems: ['Agents'],
  }),
  'supabase.rowLevelSecurity': option(boolean, {
    help: 'Row-level security of the agent tables.',
    env: ['SUPABASE_ENABLE_RLS'],
    default: true,
    systems: ['Agents'],
  }),
  'supabase.healthTables': option(relationNames, {
    help: 'Tables that GET /api/v1/health/supabase looks at; without a schema, of the schema of the agent tables.',
    env: ['SUPABASE_HEALTH_TABLES'],
    default: [],
    defaultText: 'none',
  }),
  'supabase.timeoutMs': option(durationMs(1, 600_000), {
    help: 'How long a request may take. A bare number in the environment counts seconds.',
    env: ['SUPABASE_TIMEOUT'],
    envUnit: 's',
    default: 10_000,
    systems: ['Supportive Yarn'],
  }),
  'supabase.maxRetries': option(integer(0, 100), {
    help: 'How often a failed request is repeated.',
    env: ['SUPABASE_MAX_RETRIES'],
    default: 3,
    systems: ['Supportive Yarn', 'Agents'],
  }),
  'supabase.retryDelayMs': option(durationMs(0, 600_000), {
    help: 'Pause before the first repetition. A bare number in the environment counts seconds.',
    env: ['SUPABASE_RETRY_DELAY'],
    envUnit: 's',
    default: 5000,
    systems: ['Agents'],
  }),
  'supabase.debug': option(boolean, {
    help: 'Logs at the level debug unless a level is given.',
    env: ['SUPABASE_DEBUG'],
    default: false,
    systems: ['Agents'],
  }),
} as const
