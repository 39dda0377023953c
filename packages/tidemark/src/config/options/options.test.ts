import { describe, expect, it } from 'vitest'
import { configFlags, pickFlags, resolveConfig } from '../config.js'
import { optionList } from './option-list.js'
import { successors } from './options.js'
import { valueAt } from './tree.js'

/** Every variable that the documents name, with a value in their form, and the option and value that come of it. */
const documented: Readonly<Record<string, Record<string, readonly [string, string, unknown]>>> = {
  R92: { DATABASE_PROVIDER: ['supabase', 'database.provider', 'supabase'] },
  R93: {
    ENABLE_SUPABASE_INTEGRATION: ['true', 'supabase.enabled', true],
    SUPABASE_ENABLE_REALTIME: ['false', 'supabase.realtime', false],
    SUPABASE_ENABLE_RLS: ['false', 'supabase.rowLevelSecurity', false],
  },
  R94: {
    DATABASE_URL: ['postgresql://postgres:pw@h:5432/postgres', 'postgres.url', 'postgresql://postgres:pw@h:5432/postgres'],
    SUPABASE_URL: ['https://p.supabase.co', 'supabase.url', 'https://p.supabase.co'],
    SUPABASE_KEY: ['key', 'supabase.serviceRoleKey', 'key'],
    REDIS_URL: ['redis://u:pw@h:6379', 'redis.url', 'redis://u:pw@h:6379'],
    UPSTASH_REDIS_REST_URL: ['https://r.h.upstash.io', 'redis.restUrl', 'https://r.h.upstash.io'],
    UPSTASH_REDIS_REST_TOKEN: ['token', 'redis.restToken', 'token'],
    PORT: ['8081', 'server.port', 8081],
    ENV: ['production', 'environment', 'production'],
    LOG_LEVEL: ['info', 'log.level', 'info'],
    JWT_SECRET: ['secret', 'supabase.jwtSecret', 'secret'],
    API_KEY: ['key', 'apps.apiKey', 'key'],
    GOOGLE_MAPS_API_KEY: ['key', 'apps.googleMapsApiKey', 'key'],
    ROLLOUT_CLIENT_ID: ['id', 'apps.rolloutClientId', 'id'],
    ROLLOUT_CLIENT_SECRET: ['secret', 'apps.rolloutClientSecret', 'secret'],
  },
  R95: {
    SUPABASE_ANON_KEY: ['key', 'supabase.anonKey', 'key'],
    SUPABASE_SERVICE_ROLE_KEY: ['key', 'supabase.serviceRoleKey', 'key'],
    SUPABASE_TIMEOUT: ['10', 'supabase.timeoutMs', 10_000],
    SUPABASE_MAX_RETRIES: ['3', 'supabase.maxRetries', 3],
  },
  R96: {
    SUPABASE_JWT_SECRET: ['secret', 'supabase.jwtSecret', 'secret'],
    SUPABASE_DB_HOST: ['db.p.supabase.co', 'supabase.database.host', 'db.p.supabase.co'],
    SUPABASE_DB_PORT: ['5433', 'supabase.database.port', 5433],
    SUPABASE_DB_NAME: ['app', 'supabase.database.name', 'app'],
    SUPABASE_DB_USER: ['me', 'supabase.database.user', 'me'],
    SUPABASE_DB_PASS: ['pw', 'supabase.database.password', 'pw'],
    SUPABASE_AGENT_SCHEMA: ['agents', 'supabase.agentSchema', 'agents'],
    SUPABASE_CONNECTION_TIMEOUT: ['30', 'postgres.secondary.connectTimeoutMs', 30_000],
    SUPABASE_RETRY_DELAY: ['5', 'supabase.retryDelayMs', 5000],
    SUPABASE_DEBUG: ['true', 'supabase.debug', true],
  },
  C67: { SUPABASE_DB_PASSWORD: ['pw', 'supabase.database.password', 'pw'] },
  house: {
    DIRECT_URL: ['postgres://h/d', 'postgres.directUrl', 'postgres://h/d'],
    ANALYTICS_DATABASE_URL: ['postgres://h/d', 'postgres.analyticsUrl', 'postgres://h/d'],
    POOLED_DATABASE_URL: ['postgres://h/d', 'postgres.analyticsUrl', 'postgres://h/d'],
    MIGRATION_DATABASE_URL: ['postgres://h/d', 'postgres.migrationUrl', 'postgres://h/d'],
    SECONDARY_DATABASE_URL: ['postgres://h/d', 'postgres.secondaryUrl', 'postgres://h/d'],
    HOST: ['0.0.0.0', 'server.host', '0.0.0.0'],
    NODE_ENV: ['test', 'environment', 'test'],
    PGSSLMODE: ['verify-full', 'postgres.sslMode', 'verify-full'],
    PGCHANNELBINDING: ['require', 'postgres.channelBinding', 'require'],
    TIDEMARK_STATE_DIR: ['/var/lib/tidemark', 'stateDir', '/var/lib/tidemark'],
    TIDEMARK_ADMIN_TOKEN: ['0123456789abcdef', 'server.adminToken', '0123456789abcdef'],
    TIDEMARK_ROLES: ['api', 'server.roles', ['api']],
    TIDEMARK_POSTGRES_DRIVER: ['neon', 'postgres.driver', 'neon'],
  },
}

const rows = Object.entries(documented).flatMap(([number, variables]) =>
  Object.entries(variables).map(([name, [value, key, expected]]) => [number, name, value, key, expected] as const),
)

/** What a variable needs beside it to be accepted. */
const beside: Readonly<Record<string, Record<string, string>>> = {
  UPSTASH_REDIS_REST_URL: { UPSTASH_REDIS_REST_TOKEN: 't' },
  UPSTASH_REDIS_REST_TOKEN: { UPSTASH_REDIS_REST_URL: 'https://h' },
}

describe('documented variables', () => {
  it.each(rows)('%s: %s=%s sets %s', (_number, name, value, key, expected) => {
    // @holds R92, R93, R94, R95, R96, C67
    expect(valueAt(resolveConfig({ env: { ...beside[name], [name]: value } }), key.split('.'))).toEqual(expected)
  })

  it('R96: those of the browser build are accepted and named with what to use on the server', () => {
    expect(successors['VITE_SUPABASE_DEBUG']).toContain('SUPABASE_DEBUG')
    expect(successors['VITE_LOG_LEVEL']).toContain('LOG_LEVEL')
    expect(() => resolveConfig({ env: { VITE_SUPABASE_DEBUG: 'true', VITE_LOG_LEVEL: 'debug' } })).not.toThrow()
  })

  it('C26: SUPABASE_KEY is the service role key, and gives way to the clearer name', () => {
    const env = { SUPABASE_KEY: 'old', SUPABASE_SERVICE_ROLE_KEY: 'new' }
    expect(resolveConfig({ env }).supabase.serviceRoleKey).toBe('new')
  })
})

describe('the options table', () => {
  it('gives each option a variable of its own, and no name to two', () => {
    const names = optionList.flatMap(({ env }) => env)
    expect(new Set(names).size).toBe(names.length)
    // Functions, and lists of objects, have no text: they are given in a file.
    const alerts = ['alerts.channels', 'alerts.routes', 'alerts.rules', 'alerts.thresholds']
    const inFilesOnly = new Set(['caches', 'auth.sendCode', 'realtime.relays', 'webhooks.on', ...alerts])
    for (const { key, env } of optionList) if (!inFilesOnly.has(key)) expect(env.length, key).toBeGreaterThan(0)
    for (const name of names) expect(name).toMatch(/^[A-Z][A-Z0-9_]+$/)
  })

  it('names no successor that is also accepted', () => {
    const names = new Set(optionList.flatMap(({ env }) => env))
    for (const name of Object.keys(successors)) expect(names.has(name), name).toBe(false)
  })

  it('has defaults that pass their own check', () => {
    for (const { key, kind, default: preset } of optionList) {
      if (preset !== undefined) expect(kind.schema.safeParse(preset).success, key).toBe(true)
    }
  })

  it('says what each option is, in a sentence', () => {
    for (const { key, help, kind } of optionList) {
      expect(help, key).toMatch(/^[A-Za-z].*\.$/)
      expect(kind.expected, key).not.toMatch(/\.$/)
    }
  })

  it('marks everything that is a key, a token, a password or a database URL as secret', () => {
    for (const { key, secret } of optionList) {
      if (/(key|token|secret|password)$/i.test(key) || /^(postgres|redis)\..*url$/i.test(key)) expect(secret, key).toBe(true)
    }
  })
})

describe('flags', () => {
  it('carry the form that the command line needs', () => {
    const byKey = new Map(configFlags.map((flag) => [flag.key, flag]))
    expect(byKey.get('server.port')).toMatchObject({ attribute: 'port', syntax: '--port <number>' })
    expect(byKey.get('server.port')?.help).toMatch(/\[PORT; default: 8080\]$/)
    expect(byKey.get('stateDir')).toMatchObject({ attribute: 'stateDir', syntax: '--state-dir <folder>' })
    expect(byKey.get('redis.embedded')).toMatchObject({ attribute: 'embeddedRedis', syntax: '--no-embedded-redis' })
    expect(byKey.get('redis.embedded')?.help).toMatch(/^Turns off what is on by default: Start /)
  })

  it('never show a default that is a secret', () => {
    for (const { key, secret, default: preset } of optionList) if (secret) expect(preset, key).toBeUndefined()
  })

  it("are picked out of a command's own", () => {
    expect(pickFlags({ port: '80', json: true, stateDir: undefined })).toEqual({ port: '80' })
    expect(resolveConfig({ env: {}, flags: pickFlags({ embeddedRedis: false, yes: true }) }).redis.embedded).toBe(false)
  })
})
