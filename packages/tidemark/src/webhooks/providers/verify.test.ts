import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { check, type DeliveryInput, outcome, sample, sampleJson } from '../testing/deliver.js'
import { generic } from './generic.js'
import { github } from './github.js'
import { gohighlevel } from './gohighlevel.js'
import { importKeys, type KeyInput, publicKey } from './keys.js'
import { lofty } from './lofty.js'
import { rollout } from './rollout.js'
import { createSignatureQueue } from './signature-queue.js'
import { standardKey, standardWebhooks } from './standard-webhooks.js'

const hmac = (secret: string | Buffer, text: string | Buffer) => createHmac('sha256', secret).update(text)
const spki = (key: ReturnType<typeof generateKeyPairSync>['publicKey']) =>
  (key as unknown as { export(o: object): Buffer }).export({ type: 'spki', format: 'der' }).toString('base64')

const ed25519 = generateKeyPairSync('ed25519')
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ghlKeys: readonly KeyInput[] = [
  { id: 'new', key: spki(ed25519.publicKey) },
  { id: 'old', key: spki(rsa.publicKey) },
]
const body = sample('ghl/ContactCreate.json')
const ghlSignature = sign(null, body, ed25519.privateKey).toString('base64')
const rsaSignature = sign('sha256', body, rsa.privateKey).toString('base64')

describe('GoHighLevel', () => {
  const signed = (headers: DeliveryInput['headers'], raw: Buffer = body) => ({
    keys: ghlKeys,
    headers: headers ?? [],
    body: raw as never,
  })

  it('is believed by its Ed25519 header over the bytes of the body', async () => {
    expect(await outcome(gohighlevel(), signed([['X-GHL-Signature', ghlSignature]]))).toBe(true)
    const again = Buffer.from(JSON.stringify(JSON.parse(body.toString())))
    expect(await outcome(gohighlevel(), signed([['x-ghl-signature', ghlSignature]], again))).toBe('bad_signature')
  })

  it('takes the old header with RSA only where that is turned on, and never to rescue the new one', async () => {
    const old = signed([['x-wh-signature', rsaSignature]])
    expect(await outcome(gohighlevel(), old)).toBe('missing_signature')
    expect(await outcome(gohighlevel({ rsa: true }), old)).toBe(true)
    const wrong = sign(null, Buffer.from('other'), ed25519.privateKey).toString('base64')
    const both = signed([
      ['x-ghl-signature', wrong],
      ['x-wh-signature', rsaSignature],
    ])
    expect(await outcome(gohighlevel({ rsa: true }), both)).toBe('bad_signature')
    expect(await outcome(gohighlevel({ rsa: true }), signed([['x-ghl-signature', rsaSignature]]))).toBe('malformed_signature')
  })

  it('comes with the published keys, which can be read', () => {
    expect(importKeys('gohighlevel', gohighlevel().keys, publicKey).map(({ kind }) => kind)).toEqual(['ed25519'])
    expect(importKeys('gohighlevel', gohighlevel({ rsa: true }).keys, publicKey).map(({ kind }) => kind)).toEqual([
      'ed25519',
      'rsa',
    ])
  })
})

describe('signature headers (F10)', () => {
  const at = (value: string | undefined, more: DeliveryInput['headers'] = []) =>
    outcome(gohighlevel(), {
      keys: ghlKeys,
      body: body as never,
      headers: [...(value === undefined ? [] : [['x-ghl-signature', value] as const]), ...more],
    })

  it.each([
    ['absent', undefined, 'missing_signature'],
    ['empty', '', 'missing_signature'],
    ['N/A', 'N/A', 'malformed_signature'],
    ['cut off', ghlSignature.slice(0, 40), 'malformed_signature'],
    ['too long', `${ghlSignature}AAAA`, 'malformed_signature'],
    ['no base64', `${ghlSignature.slice(0, -3)}!!!`, 'malformed_signature'],
    ['of hexadecimal digits', Buffer.from(ghlSignature, 'base64').toString('hex'), 'malformed_signature'],
    ['without its padding', ghlSignature.replace(/=+$/, ''), 'malformed_signature'],
    ['very long', 'A'.repeat(8192), 'malformed_signature'],
    ['of zeros', Buffer.alloc(64).toString('base64'), 'bad_signature'],
  ])('one that is %s is refused', async (_name, value, reason) => {
    expect(await at(value)).toBe(reason)
  })

  it('one that was sent twice is refused, even where both are right', async () => {
    expect(await at(ghlSignature, [['X-GHL-Signature', ghlSignature]])).toBe('missing_signature')
  })

  it('covers every byte: emoji, a byte order mark, CRLF, duplicate keys, white space at the end', async () => {
    const secret = 'rollout-test-secret'
    for (const text of ['{"a":"🎉"}', '\ufeff{"a":1}', '{\r\n"a":1}\r\n', '{"a":1,"a":2}', '{"a":1}  \n']) {
      const raw = Buffer.from(text)
      const signature = hmac(secret, raw.toString('base64')).digest('hex')
      const input = { keys: [{ key: secret }], headers: [['x-rollout-signature', signature]] as const }
      expect(await outcome(rollout(), { ...input, body: raw as never })).toBe(true)
      expect(
        await outcome(rollout(), { ...input, body: Buffer.from(text.trim() === text ? `${text} ` : text.trim()) as never }),
      ).toBe('bad_signature')
    }
  })
})

describe('Rollout', () => {
  const vector = sampleJson<{ secret: string; hex_over_base64_body: string; hex_over_raw_body: string }>('rollout/vector.json')
  const keys = [{ key: vector.secret }]
  const raw = sample('rollout/peopleCreated.json') as never
  const headers = (value: string) => [['X-Rollout-Signature', value] as const]

  it('signs the base64 of the body, in hexadecimal digits of either case', async () => {
    expect(await outcome(rollout(), { keys, body: raw, headers: headers(vector.hex_over_base64_body) })).toBe(true)
    expect(await outcome(rollout(), { keys, body: raw, headers: headers(vector.hex_over_base64_body.toUpperCase()) })).toBe(true)
    expect(await outcome(rollout(), { keys, body: raw, headers: headers(vector.hex_over_raw_body) })).toBe('bad_signature')
  })

  it('signs the body itself where it is set so', async () => {
    expect(await outcome(rollout({ input: 'raw' }), { keys, body: raw, headers: headers(vector.hex_over_raw_body) })).toBe(true)
    expect(await outcome(rollout({ input: 'raw' }), { keys, body: raw, headers: headers(vector.hex_over_base64_body) })).toBe(
      'bad_signature',
    )
  })
})

describe('GitHub', () => {
  const vector = sampleJson<{ secret: string; body: string; signature: string }>('github/vector.json')

  it('is believed with the published values, and with nothing else', async () => {
    const at = (signature: string) =>
      outcome(github(), { keys: [{ key: vector.secret }], body: vector.body, headers: [['x-hub-signature-256', signature]] })
    expect(await at(vector.signature)).toBe(true)
    expect(await at(vector.signature.slice('sha256='.length))).toBe('malformed_signature')
    expect(await at(vector.signature.replace('sha256', 'sha1'))).toBe('malformed_signature')
    expect(await at(`sha256=${'0'.repeat(64)}`)).toBe('bad_signature')
  })
})

describe('Standard Webhooks', () => {
  interface Vectors {
    readonly sign: readonly [{ secret: string; id: string; timestamp: number; body: string; signature: string }]
  }
  const [vector] = sampleJson<Vectors>('standard-webhooks/vectors.json').sign
  const bare = vector.secret.slice('whsec_'.length)

  const at = (change: Partial<Record<'id' | 'timestamp' | 'signature', string>> = {}, key = vector.secret) => {
    const values = { id: vector.id, timestamp: String(vector.timestamp), signature: vector.signature, ...change }
    const headers = Object.entries(values).map(([name, value]) => [`webhook-${name}`, value] as const)
    return outcome(standardWebhooks(), { keys: [{ key }], body: vector.body, headers })
  }

  it('accepts the published vector, with and without the prefix of the secret', async () => {
    expect(await at()).toBe(true)
    expect(await at({}, bare)).toBe(true)
  })

  it('accepts one good signature among others', async () => {
    const wrong = `v1,${Buffer.alloc(32).toString('base64')}`
    expect(await at({ signature: `${wrong} v2,${bare} ${vector.signature} ${wrong}` })).toBe(true)
    expect(await at({ signature: [...Array<string>(8).fill(wrong), vector.signature].join(' ') })).toBe('malformed_signature')
  })

  it.each([
    ['no id', { id: '' }, 'missing_signature'],
    ['no timestamp', { timestamp: '' }, 'missing_signature'],
    ['no signature', { signature: '' }, 'missing_signature'],
    ['a timestamp of letters', { timestamp: 'hello' }, 'malformed_signature'],
    ['an id with a space', { id: 'msg 1' }, 'malformed_signature'],
    ['another signature', { signature: 'v1,dawfeoifkpqwoekfpqoekf' }, 'malformed_signature'],
    ['a cut off signature', { signature: vector.signature.slice(0, 8) }, 'malformed_signature'],
    ['an empty one', { signature: 'v1,' }, 'malformed_signature'],
    ['a version alone', { signature: 'v1' }, 'malformed_signature'],
    ['unknown versions only', { signature: vector.signature.replace('v1', 'v2') }, 'malformed_signature'],
    ['another id', { id: 'msg_other' }, 'bad_signature'],
    ['another time', { timestamp: String(vector.timestamp + 1) }, 'bad_signature'],
  ])('refuses %s', async (_name, change, reason) => {
    expect(await at(change)).toBe(reason)
  })

  it('knows v1a, which is Ed25519', async () => {
    const message = Buffer.from(`${vector.id}.${vector.timestamp}.${vector.body}`)
    const signature = `v1a,${sign(null, message, ed25519.privateKey).toString('base64')}`
    const raw = Buffer.from(spki(ed25519.publicKey), 'base64').subarray(-32).toString('base64')
    expect(await at({ signature }, `whpk_${raw}`)).toBe(true)
    expect(await at({ signature: `v1a,${Buffer.alloc(64).toString('base64')}` }, `whpk_${raw}`)).toBe('bad_signature')
    expect(await at({ signature: vector.signature }, `whpk_${raw}`)).toBe('bad_signature')
  })

  it('has other names for its headers at Svix', async () => {
    const headers = Object.entries({ id: vector.id, timestamp: String(vector.timestamp), signature: vector.signature })
    const provider = standardWebhooks({ headerPrefix: 'svix' })
    const named = headers.map(([name, value]) => [`svix-${name}`, value] as const)
    expect(await outcome(provider, { keys: [{ key: bare }], body: vector.body, headers: named })).toBe(true)
  })

  it('refuses keys that are none', () => {
    expect(standardKey('')).toBe('it is not base64')
    expect(standardKey('whsec_')).toBe('it is not base64')
    expect(standardKey('whpk_abc')).toBe('it is no public key')
    expect(standardKey(`whpk_${spki(rsa.publicKey)}`)).toBe('it is no key of Ed25519')
  })
})

describe('secrets in the path', () => {
  const secret = 'a'.repeat(43)
  const at = (shown: string | undefined) => outcome(lofty(), { keys: [{ key: secret }], secret: shown, body: '{}' })

  it('are all that Lofty has', async () => {
    expect(await at(secret)).toBe(true)
    expect(await at(`${secret.slice(1)}b`)).toBe('bad_signature')
    expect(await at(secret.slice(1))).toBe('bad_signature')
    expect(await at('')).toBe('missing_signature')
    expect(await at(undefined)).toBe('missing_signature')
  })

  it('have 256 bits', () => {
    expect(() => importKeys('lofty', [{ key: 'short' }], lofty().readKey)).toThrow(/256 bits/)
    expect(() => importKeys('lofty', [], lofty().readKey)).toThrow(/has no key/)
  })
})

describe('anyone else', () => {
  it('signs in a header of its own', async () => {
    const secret = 's3cret'
    const provider = generic({ signature: { header: 'X-Acme', encoding: 'base64', prefix: 'v0=' } })
    const keys = [{ key: secret }]
    const good = `v0=${hmac(secret, '{}').digest('base64')}`
    expect(await outcome(provider, { keys, body: '{}', headers: [['x-acme', good]] })).toBe(true)
    expect(await outcome(provider, { keys, body: '{ }', headers: [['x-acme', good]] })).toBe('bad_signature')
    expect(await outcome(provider, { keys, body: '{}', headers: [['x-acme', good.slice(3)]] })).toBe('malformed_signature')
    expect(generic().signed).toBe(false)
  })
})

describe('keys', () => {
  const sentWith = (secret: string) => ({
    body: '{}',
    headers: [['x-rollout-signature', hmac(secret, Buffer.from('{}').toString('base64')).digest('hex')]] as const,
  })
  const keys: readonly KeyInput[] = [
    { id: '2027', key: 'new', notBefore: '2026-12-01T00:00:00Z' },
    { id: '2026', key: 'old', notAfter: '2027-01-01T00:00:00Z' },
  ]
  const at = (secret: string, day: string) => check(rollout(), { keys, ...sentWith(secret), nowMs: Date.parse(day) })

  it('are good side by side while one follows the other, and each in its time only (F10)', async () => {
    expect(await at('old', '2026-12-15')).toMatchObject({ ok: true, key: { id: '2026' } })
    expect(await at('new', '2026-12-15')).toMatchObject({ ok: true, key: { id: '2027' } })
    expect(await at('old', '2027-01-01')).toEqual({ ok: false, reason: 'expired_key', keyId: '2026' })
    expect(await at('new', '2026-11-30')).toEqual({ ok: false, reason: 'expired_key', keyId: '2027' })
    expect(await at('none', '2026-12-15')).toEqual({ ok: false, reason: 'bad_signature', keyId: undefined })
  })

  it('of one account are none of another, and an account without a key is refused in the same way (F11)', async () => {
    const own: readonly KeyInput[] = [
      { id: 'a', key: 'secret-a', tenant: 'a' },
      { id: 'b', key: 'secret-b', tenant: 'b' },
    ]
    const as = (secret: string, tenant: string) => outcome(rollout(), { keys: own, ...sentWith(secret), tenant })
    expect(await as('secret-a', 'a')).toBe(true)
    expect(await as('secret-b', 'a')).toBe('bad_signature')
    expect(await as('secret-a', 'unknown')).toBe('bad_signature')
    expect(await outcome(rollout(), { keys: own, ...sentWith('secret-b') })).toBe(true)
  })

  it.each([
    [{ key: '' }, /it is empty/],
    [{ key: 'a', notBefore: 'soon' }, /no time/],
    [{ key: 'a', notBefore: '2027-01-01', notAfter: '2026-01-01' }, /ends before it begins/],
  ])('that make no sense are refused when the server starts', (key, reason) => {
    expect(() => importKeys('rollout', [key], rollout().readKey)).toThrow(reason)
  })

  it('have ids of their own', () => {
    const twice = [
      { key: 'a', id: 'x' },
      { key: 'b', id: 'x' },
    ]
    expect(() => importKeys('rollout', twice, rollout().readKey)).toThrow(/same id/)
  })

  it('never stand in an error', () => {
    expect(() => importKeys('lofty', [{ key: 'hunter2hunter2' }], lofty().readKey)).not.toThrow(/hunter2/)
  })

  it('are public ones as PEM, as SPKI or as the bytes of Ed25519', () => {
    const pem = (ed25519.publicKey as unknown as { export(o: object): string }).export({ type: 'spki', format: 'pem' })
    expect(publicKey(pem)).toMatchObject({ kind: 'ed25519' })
    expect(publicKey(spki(rsa.publicKey))).toMatchObject({ kind: 'rsa' })
    expect(publicKey('nonsense')).toBe('it is no public key')
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    expect(publicKey(spki(ec.publicKey))).toMatch(/neither Ed25519 nor RSA/)
  })
})

describe('the queue of signatures (F21)', () => {
  it('is bounded, and goes on when there is room again', async () => {
    const queue = createSignatureQueue({ maxRunning: 1, maxWaiting: 1 })
    const one = () => queue.verify(null, body, ed25519.publicKey, Buffer.from(ghlSignature, 'base64'))
    const [first, second, third] = [one(), one(), one()]
    expect(queue.waiting).toBe(1)
    await expect(third).rejects.toMatchObject({ code: 'TM_WEBHOOKS_BUSY' })
    expect(await Promise.all([first, second])).toEqual([true, true])
    expect(await one()).toBe(true)
  })

  it('takes what OpenSSL cannot read for a wrong signature', async () => {
    const queue = createSignatureQueue()
    expect(await queue.verify('sha256', body, rsa.publicKey, Buffer.alloc(3))).toBe(false)
  })
})
