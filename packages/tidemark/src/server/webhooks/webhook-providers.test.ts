import { describe, expect, it } from 'vitest'
import { type ConfigInput, resolveConfig } from '../../config/config.js'
import { defineProvider, github, hmacKey, hmacProof } from '../../webhooks/providers/providers.js'
import { takesWebhooks } from './serves-webhooks.js'
import { webhookProviders } from './webhook-providers.js'

const configOf = (webhooks: NonNullable<ConfigInput['webhooks']>, env: Readonly<Record<string, string>> = {}) =>
  resolveConfig({ env, file: { webhooks } })

const names = (config: ReturnType<typeof resolveConfig>) => webhookProviders(config).map(({ name }) => name)

describe('the providers of a configuration', () => {
  it('are none where nothing is said of webhooks', () => {
    expect(takesWebhooks(resolveConfig({ env: {} }))).toBe(false)
  })

  it('are those that have keys, Rollout by the secret of its API (R94)', () => {
    const config = resolveConfig({ env: { ROLLOUT_CLIENT_SECRET: 'secret', TIDEMARK_WEBHOOKS_KEYS: 'github=other' } })
    expect(takesWebhooks(config)).toBe(true)
    expect(webhookProviders(config)).toMatchObject([
      { name: 'rollout', keys: [{ key: 'secret', id: 'client-secret' }] },
      { name: 'github', keys: [{ key: 'other' }] },
    ])
  })

  it('are those that are named, where some are', () => {
    const env = { ROLLOUT_CLIENT_SECRET: 'secret', TIDEMARK_WEBHOOKS_PROVIDERS: 'gohighlevel' }
    expect(names(resolveConfig({ env }))).toEqual(['gohighlevel'])
    expect(() => webhookProviders(resolveConfig({ env: { TIDEMARK_WEBHOOKS_PROVIDERS: 'unknown' } }))).toThrow(
      expect.objectContaining({ code: 'TM_WEBHOOKS_UNKNOWN_PROVIDER' }),
    )
  })

  it('are of a kind with settings, or defined in a few lines', () => {
    const mine = defineProvider({
      name: 'whatever',
      proof: hmacProof({ header: 'x-mine', encoding: 'hex' }),
      readKey: hmacKey,
      describe: () => ({}),
    })
    const config = configOf({
      providers: { acme: { kind: 'generic', signature: { header: 'x-acme' }, tenants: ['t'], maxBytes: 10 }, mine },
      keys: { acme: [{ key: 'a' }], mine: [{ key: 'b' }] },
    } as never)
    expect(webhookProviders(config)).toMatchObject([
      { name: 'acme', tenants: ['t'], maxBytes: 10, signed: true, keys: [{ key: 'a' }] },
      { name: 'mine', trust: 'statement', onOutage: 503, keys: [{ key: 'b' }] },
    ])
  })

  it.each([
    [{ gohighlevel: { tenant: ['loc1'] } }, /providers.gohighlevel .* nobody knows "tenant" \(did you mean "tenants"\?\)/],
    [{ rollout: { rsa: true } }, /nobody knows "rsa"/],
    [{ gohighlevel: { tenants: 'loc1' } }, /no list of texts/],
    [{ mine: { ...github('mine'), tenants: 'loc1' } }, /no list of texts/],
    [{ github: { maxBytes: '1MB' } }, /no whole number/],
    [{ acme: { kind: 'generic', signature: { name: 'x-acme' } } }, /names no "header"/],
  ])(
    'are refused where a setting is misspelt, which would be as if it were not there, or is of another type: %j',
    (providers, said) => {
      expect(() => webhookProviders(configOf({ providers } as never))).toThrow(said)
    },
  )
})
