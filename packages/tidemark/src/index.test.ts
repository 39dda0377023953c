import { describe, expect, it } from 'vitest'
import { getSupabaseConfig, getSupabaseDatabaseUrl, isSupabaseConfigured, resolveConfig } from './index.js'

describe('the library', () => {
  it('R97: has the settings functions of the Supabase integration', () => {
    const env = { SUPABASE_URL: 'https://abc.supabase.co', SUPABASE_SERVICE_ROLE_KEY: 'service', SUPABASE_DB_PASS: 'p@ss' }
    const config = resolveConfig({ env })
    expect(isSupabaseConfigured(config)).toBe(true)
    expect(getSupabaseDatabaseUrl(config)).toBe('postgresql://postgres:p%40ss@db.abc.supabase.co:5432/postgres?sslmode=require')
    expect(getSupabaseConfig(config)).toMatchObject({
      url: 'https://abc.supabase.co',
      serviceRoleKey: 'service',
      timeoutMs: 10_000,
      databaseUrl: getSupabaseDatabaseUrl(config),
    })
    expect(isSupabaseConfigured(resolveConfig({ env: {} }))).toBe(false)
  })
})
