import { describe, expect, it } from 'vitest'
import { maskedConfig } from '../mask.js'
import { resolveConfig } from '../resolve.js'

const webhooksOf = (env: Readonly<Record<string, string>>) => resolveConfig({ env }).webhooks

describe('options of webhooks', () => {
  it('name providers and their keys in the environment, one provider as often as it has keys', () => {
    const { providers, keys } = webhooksOf({
      TIDEMARK_WEBHOOKS_PROVIDERS: 'gohighlevel, rollout',
      TIDEMARK_WEBHOOKS_KEYS: 'rollout=new==,rollout=old,lofty=abc',
    })
    expect(providers).toEqual({ gohighlevel: {}, rollout: {} })
    expect(keys).toEqual({ rollout: [{ key: 'new==' }, { key: 'old' }], lofty: [{ key: 'abc' }] })
  })

  it('take keys with their times and accounts as JSON', () => {
    const keys = { rollout: [{ key: 'a', id: '2026', notAfter: '2027-01-01T00:00:00Z', tenant: 'north' }] }
    expect(webhooksOf({ TIDEMARK_WEBHOOKS_KEYS: JSON.stringify(keys) }).keys).toEqual(keys)
  })

  it.each([
    ['TIDEMARK_WEBHOOKS_KEYS', 'rollout'],
    ['TIDEMARK_WEBHOOKS_KEYS', '{"rollout"'],
    ['TIDEMARK_WEBHOOKS_KEYS', '{"rollout":[]}'],
    ['TIDEMARK_WEBHOOKS_KEYS', '{"rollout":[{"secret":"a"}]}'],
    ['TIDEMARK_WEBHOOKS_KEYS', 'Not A Name=secret'],
    ['TIDEMARK_WEBHOOKS_PROVIDERS', 'Not A Name'],
    ['TIDEMARK_WEBHOOKS_DURABILITY', 'memory'],
    ['TIDEMARK_WEBHOOKS_PARTITIONS', '0'],
    ['TIDEMARK_WEBHOOKS_DEDUPE_TTL_MS', '1h'],
  ])('refuse %s=%s', (name, value) => {
    expect(() => webhooksOf({ [name]: value })).toThrow(expect.objectContaining({ code: 'TM_CONFIG_BAD_VALUE' }))
  })

  it('never show a key (SEC-2)', () => {
    const config = resolveConfig({ env: { TIDEMARK_WEBHOOKS_KEYS: 'rollout=hunter2hunter2hunter2' } })
    expect(JSON.stringify(maskedConfig(config))).not.toContain('hunter2')
    const bad = () => webhooksOf({ TIDEMARK_WEBHOOKS_KEYS: 'rollout=hunter2hunter2hunter2,Bad Name=hunter2hunter2' })
    expect(bad).toThrow(expect.objectContaining({ code: 'TM_CONFIG_BAD_VALUE' }))
    expect(bad).not.toThrow(/hunter2/)
  })
})
