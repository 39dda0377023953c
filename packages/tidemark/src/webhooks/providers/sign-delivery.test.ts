import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { outcome } from '../testing/deliver.js'
import { generic } from './generic.js'
import { github } from './github.js'
import { gohighlevel } from './gohighlevel.js'
import { hmacKey, type KeyInput } from './keys.js'
import { lofty } from './lofty.js'
import { firstProof, hmacProof } from './proofs.js'
import { defineProvider, type Provider } from './provider.js'
import { rollout } from './rollout.js'
import { signDelivery } from './sign-delivery.js'
import { standardWebhooks } from './standard-webhooks.js'

const body = Buffer.from('{"name":"Zoë"}')
const now = Date.parse('2026-12-15T00:00:00Z')
const pathSecret = 'k'.repeat(43)
const standardSecret = `whsec_${Buffer.from('a secret of the standard').toString('base64')}`
const own = (proof: Provider['proof']): Provider => defineProvider({ name: 'own', proof, readKey: hmacKey, describe: () => ({}) })

/** What a provider says of a body that was signed with a key of its list. */
const told = async (provider: Provider, keys: readonly KeyInput[], nowMs = now) => {
  const shown = signDelivery({ ...provider, keys }, body, nowMs)
  if (!shown) return undefined
  return outcome(provider, {
    keys,
    nowMs,
    body: body as never,
    headers: Object.entries(shown.headers),
    secret: shown.pathSecret,
  })
}

describe('a delivery that is made as its provider makes it', () => {
  it.each<readonly [string, Provider, string]>([
    ['Rollout', rollout(), 's'],
    ['Rollout, over the body itself', rollout({ input: 'raw' }), 's'],
    ['GitHub', github(), 's'],
    ['Lofty', lofty(), pathSecret],
    ['Standard Webhooks', standardWebhooks(), standardSecret],
    ['Standard Webhooks under other names', standardWebhooks({ headerPrefix: 'svix' }), standardSecret],
    ['a secret in the path', generic(), pathSecret],
    ['a header', generic({ signature: { header: 'X-Acme' } }), 's'],
    [
      'a header in base64 over base64',
      generic({ signature: { header: 'x', encoding: 'base64', prefix: 'v0=', input: 'base64' } }),
      's',
    ],
    ['a definition of one’s own', own(hmacProof({ header: 'x-own', encoding: 'base64' })), 's'],
    [
      'the first of several',
      own(firstProof(hmacProof({ header: 'a', encoding: 'hex' }), hmacProof({ header: 'b', encoding: 'hex' }))),
      's',
    ],
  ])('is believed: %s', async (_name, provider, key) => {
    expect(await told(provider, [{ key }])).toBe(true)
  })

  it('is signed with a key that is good now, and of one account only where there is no other', async () => {
    const keys = [
      { id: 'old', key: 'old', notAfter: '2026-12-01T00:00:00Z' },
      { id: 'north', key: 'north', tenant: 'north' },
      { id: 'new', key: 'new' },
    ]
    const [old, north, current] = keys
    const of = (given: readonly KeyInput[]) => signDelivery({ ...github(), keys: given }, body, now)?.headers
    expect(of(keys)).toEqual(of([current!]))
    expect(of([old!, north!])).toEqual(of([north!]))
    expect(of([old!])).toBeUndefined()
  })

  it('cannot be made where only the provider has the key', async () => {
    const { publicKey } = generateKeyPairSync('ed25519')
    const spki = (publicKey as unknown as { export(o: object): Buffer }).export({ type: 'spki', format: 'der' })
    expect(signDelivery(gohighlevel(), body, now)).toBeUndefined()
    expect(await told(standardWebhooks(), [{ key: `whpk_${spki.subarray(-32).toString('base64')}` }])).toBeUndefined()
    expect(
      await told(
        own(() => 'missing_signature'),
        [{ key: 's' }],
      ),
    ).toBeUndefined()
    expect(() => signDelivery(github(), body, now)).toThrow(/has no key/)
  })
})
