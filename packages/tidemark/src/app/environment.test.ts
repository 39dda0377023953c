import { describe, expect, it } from 'vitest'
import { cachePlaces, databaseVariables, readEnvironment, variables } from './environment.js'

const secret = 's'.repeat(32)

describe('the settings of an application', () => {
  it('come from its environment, with what is left out filled in', () => {
    const shape = { PORT: variables.port(8000), HOST: variables.host(), SECRET: variables.secret(), LOUD: variables.flag(true) }
    expect(readEnvironment(shape, { SECRET: secret, LOUD: '0', PATH: '/bin' })).toEqual({
      PORT: 8000,
      HOST: '127.0.0.1',
      SECRET: secret,
      LOUD: false,
    })
    expect(readEnvironment({ PORT: variables.port(8000) }, { PORT: '0' })).toEqual({ PORT: 0 })
  })

  it('are all named where they are missing or wrong, without their values', () => {
    const shape = { SECRET: variables.secret(), DATABASE_URL: variables.required(), LOUD: variables.flag(false) }
    const attempt = () => readEnvironment(shape, { SECRET: 'short-one', LOUD: 'loudly' })
    expect(attempt).toThrow(expect.objectContaining({ code: 'TM_APP_SETTINGS', exitCode: 3 }))
    expect(attempt).toThrow(/SECRET has fewer than 32 bytes; DATABASE_URL is missing; LOUD /)
    expect(attempt).not.toThrow(/short-one|loudly/)
  })

  it('say where the data are', () => {
    const least = readEnvironment(databaseVariables, { DATABASE_URL: 'postgres://h/d' })
    expect(cachePlaces(least)).toEqual({
      database: 'postgres://h/d',
      owner: undefined,
      replication: undefined,
      redis: undefined,
      prefix: '',
      encryption: undefined,
    })
    const { encryption } = cachePlaces({ ...least, CACHE_KEY: 'k' })
    expect(encryption).toEqual({ keys: { one: 'k' }, current: 'one' })
  })
})
