import { expect, it } from 'vitest'
import { secondaryUrlOf } from './secondary-url.js'

it('R96, R27: the second database is the address that is given, or that of a Supabase project, or none', () => {
  const project = { SUPABASE_URL: 'https://abc.supabase.co', SUPABASE_DB_PASS: 'pw' }
  expect(secondaryUrlOf(project)).toMatch('//postgres:pw@db.abc.supabase.co:5432/postgres')
  const named = { SUPABASE_DB_HOST: 'localhost', SUPABASE_DB_PORT: '54322', SUPABASE_DB_USER: 'me', SUPABASE_DB_PASS: 'pw' }
  expect(secondaryUrlOf(named)).toBe('postgresql://me:pw@localhost:54322/postgres')
  expect(secondaryUrlOf({ ...project, SECONDARY_DATABASE_URL: 'postgres://other/one' })).toBe('postgres://other/one')
  expect(secondaryUrlOf({ ...project, ENABLE_SUPABASE_INTEGRATION: 'false' })).toBeUndefined()
  expect(secondaryUrlOf({ SUPABASE_URL: 'http://127.0.0.1:8080', DATABASE_URL: 'postgres://first/one' })).toBeUndefined()
})
