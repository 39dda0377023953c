import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../errors.js'
import { isConnectionLoss, isOutcomeUnknown, sqlstateOf, toPostgresError } from './postgres-error.js'

const target = { name: 'db:5432/app', user: 'ann' }
const failure = (code: string, message = 'it failed') => Object.assign(new Error(message), { code })
const map = (error: unknown) => toPostgresError(error, target)

describe('an error of Postgres', () => {
  it.each([
    ['28P01', 'TM_POSTGRES_AUTHENTICATION'],
    ['28000', 'TM_POSTGRES_AUTHENTICATION'],
    ['42501', 'TM_POSTGRES_PERMISSION'],
    ['53100', 'TM_POSTGRES_DISK_FULL'],
    ['53300', 'TM_POSTGRES_UNREACHABLE'],
    ['57P01', 'TM_POSTGRES_UNREACHABLE'],
    ['57P02', 'TM_POSTGRES_UNREACHABLE'],
    ['57P03', 'TM_POSTGRES_UNREACHABLE'],
    ['08006', 'TM_POSTGRES_UNREACHABLE'],
    ['3D000', 'TM_POSTGRES_NO_DATABASE'],
    ['40001', 'TM_POSTGRES_CONFLICT'],
    ['40P01', 'TM_POSTGRES_CONFLICT'],
    ['57014', 'TM_POSTGRES_TIMEOUT'],
    ['55P03', 'TM_POSTGRES_TIMEOUT'],
    ['23505', 'TM_POSTGRES_QUERY'],
    ['42P01', 'TM_POSTGRES_QUERY'],
  ])('with SQLSTATE %s becomes %s, which keeps it', (sqlstate, code) => {
    const original = failure(sqlstate)
    const error = map(original)
    expect(error).toMatchObject({ code, cause: original })
    expect(sqlstateOf(error)).toBe(sqlstate)
  })

  it('that says the disk is full is one, whatever its SQLSTATE', () => {
    expect(map(failure('58030', 'could not write: No space left on device')).code).toBe('TM_POSTGRES_DISK_FULL')
  })

  it('that asks for encryption is about TLS', () => {
    expect(map(failure('28000', 'no pg_hba.conf entry for host "1.2.3.4", user "ann", no encryption')).code).toBe(
      'TM_POSTGRES_TLS',
    )
  })
})

describe('an error on the way to Postgres', () => {
  it.each(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'ENOTFOUND', 'EPIPE', 'EHOSTUNREACH', 'EAI_AGAIN'])(
    '%s is that it cannot be reached',
    (errno) => {
      const error = map(failure(errno))
      expect(error.code).toBe('TM_POSTGRES_UNREACHABLE')
      expect(isConnectionLoss(error)).toBe(true)
      expect(sqlstateOf(error)).toBeUndefined()
    },
  )

  it('of several addresses is told by the first', () => {
    const error = map(new AggregateError([failure('ECONNREFUSED', 'refused ::1'), failure('ECONNREFUSED', 'refused 127.0.0.1')]))
    expect(error).toMatchObject({ code: 'TM_POSTGRES_UNREACHABLE', message: expect.stringContaining('refused ::1') })
  })

  it.each(['SELF_SIGNED_CERT_IN_CHAIN', 'ERR_TLS_CERT_ALTNAME_INVALID', 'CERT_HAS_EXPIRED', 'EPROTO'])(
    '%s is about TLS',
    (code) => {
      expect(map(failure(code)).code).toBe('TM_POSTGRES_TLS')
    },
  )

  it('of the login on this side is an authentication error', () => {
    expect(map(new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string')).code).toBe(
      'TM_POSTGRES_AUTHENTICATION',
    )
  })

  it('leaves the outcome open where the server said nothing and the statement was sent', () => {
    expect(isOutcomeUnknown(map(new Error('Connection terminated unexpectedly')))).toBe(true)
    expect(isOutcomeUnknown(map(failure('57P01')))).toBe(false)
    expect(isOutcomeUnknown(map(new Error('Client has encountered a connection error and is not queryable')))).toBe(false)
    expect(isOutcomeUnknown(map(failure('23505')))).toBe(false)
  })
})

describe('any other error', () => {
  it('is internal, without secrets in its text, and a mapped one stays what it is', () => {
    const error = map(new Error('odd: postgres://ann:topsecret@db/app'))
    expect(error.code).toBe('TM_INTERNAL')
    expect(error.message).not.toContain('topsecret')
    expect(map(error)).toBe(error)
    expect(map('thrown text')).toBeInstanceOf(TidemarkError)
  })
})
