import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { maskedConfig, resolveConfig } from './config.js'
import { optionList } from './options/option-list.js'

describe('maskedConfig', () => {
  it('lists every option, with its value where it has one', () => {
    const shown = maskedConfig(resolveConfig({ env: { TIDEMARK_ROLES: 'api,jobs' } }))
    expect(shown.map(({ option }) => option)).toEqual(optionList.map(({ key }) => key))
    expect(shown).toContainEqual({ option: 'server.roles', value: 'api,jobs' })
    expect(shown).toContainEqual({ option: 'postgres.url', value: undefined })
  })

  it('shows where a URL leads', () => {
    const shown = maskedConfig(resolveConfig({ env: { DATABASE_URL: 'postgres://me:pw@h:5433/d?sslmode=require' } }))
    expect(shown).toContainEqual({ option: 'postgres.url', value: 'postgres://me:***@h:5433/d?sslmode=require' })
  })

  it('shows each node of a cluster', () => {
    const url = 'redis://:pw,1@h:7000, redis://:pw@h:7001'
    const shown = maskedConfig(resolveConfig({ env: { REDIS_URL: url } }))
    expect(shown).toContainEqual({ option: 'redis.url', value: 'redis://:***@h:7000,redis://:***@h:7001' })
  })

  it('SEC-2: no secret shows, whichever option holds it', () => {
    const word = fc.stringMatching(/^[A-Za-z0-9]{12,40}$/)
    fc.assert(
      fc.property(word, (secret) => {
        const login = `user:${secret}@host`
        const file = {
          server: { adminToken: `${secret}01234567` },
          postgres: { url: `postgres://${login}/d`, secondaryUrl: `postgres://host/d?user=u&password=${secret}` },
          redis: { url: `redis://:${secret}@host`, restUrl: 'https://x', restToken: secret },
          supabase: { serviceRoleKey: secret, anonKey: secret, jwtSecret: secret, database: { host: 'h', password: secret } },
          apps: { apiKey: secret, googleMapsApiKey: secret, rolloutClientSecret: secret },
        }
        const shown = JSON.stringify(maskedConfig(resolveConfig({ env: {}, file })))
        expect(shown).not.toContain(secret)
      }),
    )
  })
})
