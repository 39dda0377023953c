import { describe, expect, it } from 'vitest'
import { subjectCallerOf } from './subject-caller.js'

describe('a caller by subject', () => {
  it('is a user by any text that is not empty, and not too long', () => {
    const claims = { sub: 'agent 123' }
    expect(subjectCallerOf({ role: 'authenticated', claims })).toEqual({
      role: 'authenticated',
      sub: 'agent 123',
      isAdmin: false,
      claims,
    })
    for (const sub of [undefined, null, 7, '', 'x'.repeat(257)])
      expect(subjectCallerOf({ role: 'authenticated', claims: { sub } })).toBeNull()
  })

  it('is the service without a subject, whatever its token says', () => {
    expect(subjectCallerOf({ role: 'service_role', claims: { sub: 'x' } })).toMatchObject({ sub: '', isAdmin: true })
  })

  it('is nobody under another role', () => {
    for (const role of ['anon', '', 'postgres']) expect(subjectCallerOf({ role, claims: { sub: 'x' } })).toBeNull()
  })

  it('is an admin by app_metadata alone, which users cannot write (C2)', () => {
    const isAdmin = (claims: object) => subjectCallerOf({ role: 'authenticated', claims: { sub: 'x', ...claims } })?.isAdmin
    expect(isAdmin({ app_metadata: { role: 'admin' } })).toBe(true)
    for (const claims of [
      { user_metadata: { role: 'admin' } },
      { app_metadata: null },
      { app_metadata: 'admin' },
      { app_metadata: { role: ['admin'] } },
      { is_admin: true },
    ])
      expect(isAdmin(claims)).toBe(false)
  })
})
