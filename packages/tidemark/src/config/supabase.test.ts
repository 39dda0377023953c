import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { getSupabaseConfig, getSupabaseDatabaseUrl, isSupabaseConfigured, resolveConfig } from './config.js'

const cloud = { SUPABASE_URL: 'https://abc.supabase.co', SUPABASE_DB_PASS: 'pw' }

describe('getSupabaseDatabaseUrl', () => {
  it('R97: builds a connection string from SUPABASE_DB_*', () => {
    const env = { SUPABASE_DB_HOST: 'localhost', SUPABASE_DB_PORT: '54322', SUPABASE_DB_NAME: 'app', SUPABASE_DB_USER: 'me' }
    expect(getSupabaseDatabaseUrl(resolveConfig({ env }))).toBe('postgresql://me@localhost:54322/app')
    expect(getSupabaseDatabaseUrl(resolveConfig({ env: {} }))).toBeUndefined()
    expect(getSupabaseDatabaseUrl(resolveConfig({ env: { SUPABASE_DB_HOST: '::1' } }))).toBe(
      'postgresql://postgres@[::1]:5432/postgres',
    )
  })

  it('percent-encodes any user, password and name so that they come back as they were', () => {
    const word = fc
      .string({ minLength: 1, unit: 'grapheme' })
      .filter((text) => text.trim() === text && text !== '' && !/\p{Surrogate}/u.test(text))
    fc.assert(
      fc.property(
        word,
        word,
        word.filter((text) => !/^\.{1,2}$/.test(text)),
        (user, password, name) => {
          const database = { host: 'h', user, password, name }
          const url = new URL(getSupabaseDatabaseUrl(resolveConfig({ env: {}, file: { supabase: { database } } }))!)
          expect([url.username, url.password, url.pathname.slice(1)].map(decodeURIComponent)).toEqual([user, password, name])
        },
      ),
    )
  })

  it("finds the host of a cloud project's database, which speaks TLS only", () => {
    expect(getSupabaseDatabaseUrl(resolveConfig({ env: cloud }))).toBe(
      'postgresql://postgres:pw@db.abc.supabase.co:5432/postgres?sslmode=require',
    )
    expect(getSupabaseDatabaseUrl(resolveConfig({ env: { SUPABASE_URL: cloud.SUPABASE_URL } }))).toBeUndefined()
  })
})

describe('where the Supabase database stands', () => {
  it('R27, C71: it is the secondary beside another primary', () => {
    const { postgres } = resolveConfig({ env: { ...cloud, DATABASE_URL: 'postgres://h/d' } })
    expect(postgres.url).toBe('postgres://h/d')
    expect(postgres.secondaryUrl).toContain('db.abc.supabase.co')
  })

  it('it is the primary with the provider "supabase" and no DATABASE_URL', () => {
    const { postgres } = resolveConfig({ env: { ...cloud, DATABASE_PROVIDER: 'supabase' } })
    expect(postgres.url).toContain('db.abc.supabase.co')
    expect(postgres).not.toHaveProperty('secondaryUrl')
  })

  it('SECONDARY_DATABASE_URL comes before it', () => {
    const { postgres } = resolveConfig({ env: { ...cloud, SECONDARY_DATABASE_URL: 'postgres://other/d' } })
    expect(postgres.secondaryUrl).toBe('postgres://other/d')
  })

  it('R93: nowhere with ENABLE_SUPABASE_INTEGRATION=false', () => {
    const config = resolveConfig({ env: { ...cloud, SUPABASE_KEY: 'k', ENABLE_SUPABASE_INTEGRATION: 'false' } })
    expect(config.postgres).not.toHaveProperty('secondaryUrl')
    expect(isSupabaseConfigured(config)).toBe(false)
  })
})

describe('the settings object', () => {
  it('R97: says whether Supabase is configured', () => {
    expect(isSupabaseConfigured(resolveConfig({ env: {} }))).toBe(false)
    expect(isSupabaseConfigured(resolveConfig({ env: { SUPABASE_URL: 'https://x' } }))).toBe(false)
    expect(isSupabaseConfigured(resolveConfig({ env: { SUPABASE_URL: 'https://x', SUPABASE_KEY: 'k' } }))).toBe(true)
  })

  it('R97: holds the settings of the integration', () => {
    const settings = getSupabaseConfig(resolveConfig({ env: { ...cloud, SUPABASE_CONNECTION_TIMEOUT: '60' } }))
    expect(settings).toMatchObject({
      agentSchema: 'public',
      realtime: true,
      rowLevelSecurity: true,
      connectionTimeoutMs: 60_000,
      maxRetries: 3,
      retryDelayMs: 5000,
      databaseUrl: expect.stringContaining('db.abc.supabase.co'),
    })
  })

  it('C46: without credentials nothing is raised', () => {
    expect(() => getSupabaseConfig(resolveConfig({ env: { DATABASE_PROVIDER: 'sqlite' } }))).not.toThrow()
  })
})
