import { describe, expect, it } from 'vitest'
import { isPortTaken, isStillInUse, startFailure } from './start-failure.js'

describe('a server that did not start', () => {
  it('is reported with the words of its log, without times and notes', () => {
    const error = startFailure(
      '2024-01-01 00:00:00 UTC [1] LOG:  starting PostgreSQL\n2024-01-01 00:00:00 UTC [1] FATAL:  could not map anonymous shared memory.\n',
    )
    expect(error).toMatchObject({
      code: 'TM_POSTGRES_EMBEDDED_START',
      message: 'The embedded Postgres did not start: could not map anonymous shared memory.',
    })
  })

  it('had no space', () => {
    expect(startFailure('FATAL:  could not write file "x": No space left on device').code).toBe('TM_POSTGRES_DISK_FULL')
  })

  it('found its port taken, or its data still in use', () => {
    expect(isPortTaken(startFailure('LOG:  could not bind IPv4 address "127.0.0.1": Address already in use'))).toBe(true)
    expect(isStillInUse(startFailure('FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use'))).toBe(true)
    expect(isStillInUse(startFailure('FATAL:  lock file "postmaster.pid" already exists'))).toBe(true)
    expect(isPortTaken(new Error('Address already in use'))).toBe(false)
  })

  it.each([
    ['initdb: error: could not look up effective user ID 1234: user does not exist', '/etc/passwd'],
    ['initdb: error: could not create directory "/x": Permission denied', 'Give the user of the server the right'],
    ['error while loading shared libraries: libicuuc.so.60', 'glibc'],
    ['', 'postgres.log'],
  ])('says what to do about %j', (output, fix) => {
    expect(startFailure(output).fix).toContain(fix)
  })
})
