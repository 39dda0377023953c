import { resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { isTidemarkError } from '../errors.js'
import { configSources, resolveConfig } from './config.js'
import { optionList } from './options/option-list.js'
import type { TidemarkConfig } from './options/options.js'
import { valueAt } from './options/tree.js'

const failure = (run: () => unknown): { code: string; message: string; fix: string } => {
  try {
    run()
  } catch (error) {
    if (isTidemarkError(error)) return { code: error.code, message: error.message, fix: error.fix }
    throw error
  }
  throw new Error('It was accepted.')
}

describe('resolveConfig', () => {
  it('fills in every default', () => {
    const config = resolveConfig({ env: {}, cwd: '/srv/app' })
    expect(config.server).toEqual({
      host: '127.0.0.1',
      port: 8080,
      portAsked: false,
      roles: ['all'],
      startTimeoutMs: 30_000,
      drainTimeoutMs: 10_000,
      leaveMs: 0,
    })
    expect(config.stateDir).toBe(resolve('/srv/app', '.tidemark'))
    expect(config.log).toEqual({ level: 'info' })
    expect(config.redis).toEqual({ embedded: true, commandTimeoutMs: 1000 })
    expect(config.apps).toEqual({})
    expect(config.move.workers).toBeGreaterThanOrEqual(1)
    expect(config.move.workers).toBeLessThanOrEqual(2)
  })

  it('R92, C51: the provider is what is named, and otherwise follows from the stores that an application has, wherever it runs', () => {
    for (const env of [{}, { ENV: 'development' }, { ENV: 'staging' }, { ENV: 'production', NODE_ENV: 'production' }])
      expect(resolveConfig({ env }).database.provider).toBeUndefined()
    expect(resolveConfig({ env: { DATABASE_PROVIDER: 'Supabase' } }).database.provider).toBe('supabase')
    expect(resolveConfig({ env: { DATABASE_PROVIDER: 'postgres' } }).database.provider).toBe('postgres')
  })

  it('R28: the pools have their documented sizes', () => {
    const { primary, analytics, migration, secondary } = resolveConfig({ env: {} }).postgres
    expect(primary).toEqual({ maxConnections: 20, minConnections: 5, idleTimeoutMs: 30_000, connectTimeoutMs: 2000 })
    expect(analytics).toMatchObject({ maxConnections: 10, minConnections: 2, idleTimeoutMs: 60_000 })
    expect(migration).toMatchObject({ maxConnections: 5, minConnections: 1 })
    expect(secondary.maxConnections).toBe(10)
  })

  it('R35: times that the documents count in seconds are milliseconds here', () => {
    const config = resolveConfig({
      env: {
        SUPABASE_TIMEOUT: '10',
        SUPABASE_CONNECTION_TIMEOUT: '60',
        SUPABASE_RETRY_DELAY: '250ms',
        SUPABASE_MAX_RETRIES: '7',
      },
    })
    expect(config.supabase).toMatchObject({ timeoutMs: 10_000, retryDelayMs: 250, maxRetries: 7 })
    expect(config.postgres.secondary.connectTimeoutMs).toBe(60_000)
    expect(resolveConfig({ env: {}, file: { supabase: { timeoutMs: 10 } } }).supabase.timeoutMs).toBe(10)
  })

  it('is frozen at every depth, and its types are readonly', () => {
    const config = resolveConfig({ env: {} })
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen))
    expect(frozen(config)).toBe(true)
    expectTypeOf<TidemarkConfig['server']['port']>().toEqualTypeOf<number>()
    expectTypeOf<TidemarkConfig['postgres']['url']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<TidemarkConfig['postgres']['driver']>().toEqualTypeOf<'pg' | 'neon'>()
    expectTypeOf<TidemarkConfig['server']['roles']>().toEqualTypeOf<readonly string[]>()
  })

  it('takes a flag before the environment, that before .env, that before the file, that before the default', () => {
    const layers = [
      { flags: { port: '1' } },
      { env: { PORT: '2' } },
      { dotenv: { PORT: '3' } },
      { file: { server: { port: 4 } } },
    ] as const
    const sources = ['--port', 'PORT', 'PORT in .env', 'the configuration file', 'default']
    for (let from = 0; from <= layers.length; from++) {
      const config = resolveConfig(Object.assign({ env: {} }, ...layers.slice(from)))
      expect(config.server.port).toBe(from < layers.length ? from + 1 : 8080)
      expect(config.server.portAsked).toBe(from < layers.length)
      expect(configSources(config).get('server.port')).toBe(sources[from])
    }
  })

  it('lets a variable of the environment hide the one of .env, also an empty one and under another name', () => {
    expect(resolveConfig({ env: { REDIS_URL: '' }, dotenv: { REDIS_URL: 'redis://h' } }).redis).not.toHaveProperty('url')
    const dotenv = { SUPABASE_SERVICE_ROLE_KEY: 'from-file' }
    expect(resolveConfig({ env: { SUPABASE_KEY: 'from-shell' }, dotenv }).supabase.serviceRoleKey).toBe('from-shell')
  })

  it('never lets undefined erase a default', () => {
    fc.assert(
      fc.property(fc.subarray(optionList.map(({ key }) => key)), (keys) => {
        const file: Record<string, unknown> = {}
        for (const key of keys) {
          const [group, ...rest] = key.split('.')
          file[group!] = rest.length === 0 ? undefined : { ...(file[group!] as object), [rest[0]!]: undefined }
        }
        const flags = Object.fromEntries(optionList.flatMap(({ attribute }) => (attribute ? [[attribute, undefined]] : [])))
        expect(resolveConfig({ env: { PORT: undefined }, file, flags })).toEqual(resolveConfig({ env: {} }))
      }),
    )
  })

  it('gives the same configuration when a resolved one is given as the file', () => {
    const env = {
      DATABASE_URL: 'postgres://a:b@h/d',
      LOG_LEVEL: 'DEBUG',
      SUPABASE_DB_HOST: 'localhost',
      TIDEMARK_ROLES: 'api, jobs',
    }
    const { portAsked, ...server } = resolveConfig({ env }).server
    const again = resolveConfig({ env: {}, file: { ...resolveConfig({ env }), server } })
    expect(again).toEqual({ ...resolveConfig({ env }), server: { ...server, portAsked: true } })
    expect(portAsked).toBe(false)
  })

  it('counts a value that is blank as not set', () => {
    expect(resolveConfig({ env: { PORT: '  ', DATABASE_URL: '' } })).toEqual(resolveConfig({ env: {} }))
  })

  it("takes the path that shells keep in ENV for the shell's", () => {
    expect(resolveConfig({ env: { ENV: '/etc/shinit', NODE_ENV: 'test' } }).environment).toBe('test')
    expect(resolveConfig({ env: { ENV: 'production', NODE_ENV: 'test' } }).environment).toBe('production')
  })

  it('reads levels in any case, and the names that Python has for them', () => {
    expect(resolveConfig({ env: { LOG_LEVEL: 'DEBUG' } }).log.level).toBe('debug')
    expect(resolveConfig({ env: { LOG_LEVEL: 'WARNING' } }).log.level).toBe('warn')
    expect(resolveConfig({ env: { SUPABASE_DEBUG: 'true' } }).log.level).toBe('debug')
    expect(resolveConfig({ env: { SUPABASE_DEBUG: 'true', LOG_LEVEL: 'error' } }).log.level).toBe('error')
  })

  it('reads durations, bytes, switches and lists from text', () => {
    const config = resolveConfig({
      env: {
        TIDEMARK_DRAIN_TIMEOUT: '1m',
        TIDEMARK_MOVE_CHUNK_BYTES: '2MiB',
        TIDEMARK_REDIS_EMBEDDED: 'Off',
        TIDEMARK_ROLES: 'a,b',
      },
    })
    expect(config.server.drainTimeoutMs).toBe(60_000)
    expect(config.move.chunkBytes).toBe(2_097_152)
    expect(config.redis.embedded).toBe(false)
    expect(config.server.roles).toEqual(['a', 'b'])
  })
})

describe('unknown names', () => {
  it('are refused in the file with the name that was meant', () => {
    const file = { postgres: { primary: { maxConection: 3 } } }
    expect(failure(() => resolveConfig({ env: {}, file, fileName: 'tidemark.config.ts' }))).toEqual({
      code: 'TM_CONFIG_UNKNOWN_KEY',
      message: 'Unknown option "postgres.primary.maxConection" in tidemark.config.ts.',
      fix: 'Remove it or correct its name (did you mean "postgres.primary.maxConnections"?). docs/configuration.md lists every option.',
    })
  })

  it('are refused under our own prefix only', () => {
    expect(failure(() => resolveConfig({ env: { TIDEMARK_STATEDIR: '/x' } }))).toMatchObject({
      code: 'TM_CONFIG_UNKNOWN_KEY',
      fix: expect.stringContaining('did you mean "TIDEMARK_STATE_DIR"?'),
    })
    expect(failure(() => resolveConfig({ env: {}, dotenv: { TIDEMARK_X: '1' } })).message).toContain('in .env')
    expect(() => resolveConfig({ env: { SOMETHING_ELSE: '1', TIDEMARK_TEST_POSTGRES_URL: 'x' } })).not.toThrow()
  })

  it('are refused among the flags', () => {
    expect(failure(() => resolveConfig({ env: {}, flags: { statDir: 'x' } })).fix).toContain('did you mean "stateDir"?')
  })

  it('are named without a suggestion where nothing is near', () => {
    expect(failure(() => resolveConfig({ env: {}, file: { zebra: 1 } })).fix).not.toContain('did you mean')
  })
})

describe('bad values', () => {
  const cases: readonly (readonly [string, Record<string, string>, string, string])[] = [
    ['a port that is no number', { PORT: 'http' }, 'server.port', 'cannot be read as a whole number'],
    ['a port with a fraction', { PORT: '80.5' }, 'server.port', 'not a whole number'],
    ['a port that is too large', { PORT: '65536' }, 'server.port', 'above 65,535'],
    ['a negative port', { PORT: '-1' }, 'server.port', 'below 0'],
    ['a switch that is neither', { SUPABASE_ENABLE_RLS: 'maybe' }, 'supabase.rowLevelSecurity', 'cannot be read'],
    [
      'a word that is not offered',
      { PGSSLMODE: 'sometimes' },
      'postgres.sslMode',
      'none of disable, prefer, require, verify-ca, verify-full',
    ],
    ['another database', { DATABASE_URL: 'mysql://h/d' }, 'postgres.url', 'does not begin with postgresql:// or postgres://'],
    ['no host', { DATABASE_URL: 'postgres:///d' }, 'postgres.url', 'names no host'],
    ['a placeholder', { DATABASE_URL: 'postgresql://postgres:[PASSWORD]@h/d' }, 'postgres.url', 'placeholder'],
    ['a short admin token', { TIDEMARK_ADMIN_TOKEN: 'short' }, 'server.adminToken', 'shorter than 16'],
    ['an empty list', { TIDEMARK_ROLES: ' , ' }, 'server.roles', 'empty'],
    ['a duration without a known unit', { TIDEMARK_DRAIN_TIMEOUT: '5 weeks' }, 'server.drainTimeoutMs', 'duration'],
    ['a database that no URL can name', { SUPABASE_DB_NAME: '..' }, 'supabase.database.name', 'no connection string can name it'],
    ['a host that is a URL', { SUPABASE_DB_HOST: 'https://db.p.supabase.co' }, 'supabase.database.host', 'no host name has'],
    ['text that is not well-formed', { SUPABASE_DB_PASS: '\uD800' }, 'supabase.database.password', 'not well-formed'],
    ['a schema that is no name', { SUPABASE_AGENT_SCHEMA: 'a;b' }, 'supabase.agentSchema', 'not the name of a schema'],
  ]
  it.each(cases)('refuses %s', (_what, env, option, reason) => {
    const { code, message, fix } = failure(() => resolveConfig({ env }))
    expect(code).toBe('TM_CONFIG_BAD_VALUE')
    expect(message).toContain(`Option ${option} has the value`)
    expect(message).toContain(`(from ${Object.keys(env)[0]})`)
    expect(message).toContain(reason)
    expect(fix).toMatch(/^Give it /)
  })

  it('are refused also where another value hides them', () => {
    expect(failure(() => resolveConfig({ env: { PORT: 'x' }, flags: { port: '80' } })).code).toBe('TM_CONFIG_BAD_VALUE')
  })

  it('are refused in the file: null, a group that is none, a text that is a number', () => {
    const refuse = (file: Record<string, unknown>) => failure(() => resolveConfig({ env: {}, file })).message
    expect(refuse({ postgres: { url: null } })).toContain('the value null')
    expect(refuse({ postgres: 5 })).toContain('Option postgres has the value a number')
    expect(refuse({ postgres: null })).toContain('Option postgres has the value null')
    expect(refuse({ postgres: ['x'] })).toContain('Option postgres has the value a list')
    expect(refuse({ server: { host: 5 } })).toContain('it is not text')
    expect(refuse({ server: { port: {} } })).toContain('the value an object')
    expect(refuse({ server: { port: () => 1 } })).toContain('the value a function')
    expect(refuse({ server: { host: 'h'.repeat(300), port: 'p'.repeat(300) } }).length).toBeLessThan(400)
  })

  it('are not let in by the names of the prototype', () => {
    const file = JSON.parse('{"__proto__": {"port": 1}}') as Record<string, unknown>
    expect(failure(() => resolveConfig({ env: {}, file })).code).toBe('TM_CONFIG_UNKNOWN_KEY')
    expect(failure(() => resolveConfig({ env: {}, file: { server: { constructor: 1 } } })).code).toBe('TM_CONFIG_UNKNOWN_KEY')
  })

  it('SEC-2: no error shows the password of a URL or a secret, well-formed or not', () => {
    const password = fc.string({ minLength: 6, maxLength: 24 }).map((text) => `s3cr3t${text.replace(/\s/g, '')}`)
    fc.assert(
      fc.property(password, fc.constantFrom('DATABASE_URL', 'REDIS_URL', 'SECONDARY_DATABASE_URL'), (secret, name) => {
        const { message, fix } = failure(() => resolveConfig({ env: { [name]: `mysql://user:${secret}@host/db` } }))
        expect(message + fix).not.toContain('s3cr3t')
      }),
    )
    expect(failure(() => resolveConfig({ env: { SUPABASE_KEY: 'very secret key' } })).message).not.toContain('secret key')
  })
})

describe('pools', () => {
  it('lower a default minimum to a smaller maximum', () => {
    const { primary } = resolveConfig({ env: { TIDEMARK_POSTGRES_PRIMARY_MAX_CONNECTIONS: '3' } }).postgres
    expect(primary).toMatchObject({ maxConnections: 3, minConnections: 3 })
  })

  it('refuse a minimum that was given above the maximum', () => {
    const file = { postgres: { analytics: { minConnections: 11 } } }
    expect(failure(() => resolveConfig({ env: {}, file })).message).toContain(
      'it is above postgres.analytics.maxConnections, which is 10',
    )
  })
})

describe('Redis over REST', () => {
  it('needs its URL and its token together', () => {
    expect(failure(() => resolveConfig({ env: { UPSTASH_REDIS_REST_URL: 'https://x.upstash.io' } }))).toEqual({
      code: 'TM_CONFIG_MISSING',
      message: 'Option redis.restToken is not set.',
      fix: 'Set UPSTASH_REDIS_REST_TOKEN beside UPSTASH_REDIS_REST_URL.',
    })
    expect(failure(() => resolveConfig({ env: { UPSTASH_REDIS_REST_TOKEN: 't' } })).message).toContain('redis.restUrl')
  })
})

describe('valueAt', () => {
  it('is undefined where the path leaves the tree', () => {
    expect(valueAt({ a: { b: 1 } }, ['a', 'b'])).toBe(1)
    expect(valueAt({ a: 1 }, ['a', 'b'])).toBeUndefined()
    expect(valueAt({}, ['constructor'])).toBeUndefined()
  })
})
