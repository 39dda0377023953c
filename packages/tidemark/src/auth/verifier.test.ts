import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFakeClock } from '../testing/fake-clock.js'
import type { TokenReason } from './token-error.js'
import { createVerifier, type VerificationKeys, type VerifierOptions } from './verifier.js'

const secret = 'a secret of at least thirty-two characters'
const otherSecret = 'another secret of at least thirty-two characters'
const bytes = (text: string) => new TextEncoder().encode(text)
const clock = createFakeClock()
const now = () => Math.floor(clock.now() / 1000)

type Alg = 'ES256' | 'RS256' | 'EdDSA'
interface Pair {
  readonly privateKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey']
  readonly jwk: JWK
}
const pairs = new Map<Alg, Pair>()
const pairOf = (alg: Alg): Pair => pairs.get(alg)!

beforeAll(async () => {
  for (const alg of ['ES256', 'RS256', 'EdDSA'] as const) {
    const { privateKey, publicKey } = await generateKeyPair(alg)
    pairs.set(alg, { privateKey, jwk: { ...(await exportJWK(publicKey)), alg, kid: `key-${alg}`, use: 'sig' } })
  }
})

const hs = (claims: Record<string, unknown> = {}, by = secret, header: object = {}) =>
  new SignJWT({ role: 'authenticated', ...claims }).setProtectedHeader({ alg: 'HS256', ...header }).sign(bytes(by))

const signed = (alg: Alg, header: object = { kid: `key-${alg}` }, by = pairOf(alg)) =>
  new SignJWT({ role: 'authenticated', sub: 'x' }).setProtectedHeader({ alg, ...header }).sign(by.privateKey)

const verifierOf = (options: Partial<VerifierOptions> = {}) =>
  createVerifier({
    keys: { secrets: [secret], publicKeys: [...pairs.values()].map(({ jwk }) => jwk) },
    audience: ['authenticated'],
    clock,
    ...options,
  })

const refusal = async (token: string | Promise<string>, options?: Partial<VerifierOptions>): Promise<TokenReason> => {
  const error = await verifierOf(options)
    .verify(await token)
    .then(
      () => 'accepted',
      (caught: unknown) => caught,
    )
  const { reason, message } = error as { reason?: TokenReason; message?: string }
  expect(message ?? '').not.toMatch(/eyJ/)
  return reason ?? (error as TokenReason)
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('what is accepted', () => {
  test('HS256 by the secret, with the role and every claim as signed', async () => {
    const caller = await verifierOf().verify(await hs({ sub: 'a', aud: 'authenticated', app_metadata: { plan: 'pro' } }))
    expect(caller).toEqual({
      role: 'authenticated',
      claims: { role: 'authenticated', sub: 'a', aud: 'authenticated', app_metadata: { plan: 'pro' } },
    })
  })

  test.each(['ES256', 'RS256', 'EdDSA'] as const)('%s by the key of its kid', async (alg) => {
    expect((await verifierOf().verify(await signed(alg))).role).toBe('authenticated')
  })

  test('a token without a role is anonymous', async () => {
    const token = await new SignJWT({ sub: 'a' }).setProtectedHeader({ alg: 'HS256' }).sign(bytes(secret))
    expect(await verifierOf().verify(token)).toEqual({ role: 'anon', claims: { sub: 'a', role: 'anon' } })
  })

  test('HS256 with a kid that some other system gave the secret', async () => {
    expect((await verifierOf().verify(await hs({}, secret, { kid: 'cloud' }))).role).toBe('authenticated')
  })

  test('every secret during a rotation, and none that is gone', async () => {
    const token = await hs({}, otherSecret)
    const verifier = verifierOf({ keys: { secrets: [secret, otherSecret], publicKeys: [] } })
    expect((await verifier.verify(token)).role).toBe('authenticated')
    expect(await refusal(token)).toBe('signature')
  })

  test('thirty seconds of difference between clocks, and no more', async () => {
    const at = (claims: object) => hs(claims as Record<string, unknown>)
    for (const claims of [{ exp: now() - 30 }, { nbf: now() + 30 }, { iat: now() + 30 }])
      await verifierOf().verify(await at(claims))
    expect(await refusal(at({ exp: now() - 31 }))).toBe('expired')
    expect(await refusal(at({ nbf: now() + 31 }))).toBe('notYetValid')
    expect(await refusal(at({ iat: now() + 31 }))).toBe('issuedInFuture')
  })
})

describe('what is refused', () => {
  test('no algorithm, in any spelling', async () => {
    const unsecured = new UnsecuredJWT({ role: 'service_role' }).encode()
    expect(await refusal(unsecured)).toBe('algorithm')
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      expect(await refusal(`${encode({ alg })}.${encode({ role: 'service_role' })}.`)).toBe('algorithm')
      expect(await refusal(`${encode({ alg })}.${encode({ role: 'service_role' })}.AAAA`)).toBe('algorithm')
    }
  })

  test('an HMAC made with the public key as its secret', async () => {
    const { jwk } = pairOf('RS256')
    for (const text of [JSON.stringify(jwk), jwk.n ?? '', `-----BEGIN PUBLIC KEY-----\n${jwk.n}\n-----END PUBLIC KEY-----`]) {
      expect(await refusal(hs({ role: 'service_role' }, text))).toBe('signature')
      expect(await refusal(hs({ role: 'service_role' }, text, { kid: 'key-RS256' }))).toBe('algorithm')
    }
  })

  test('the secret under the name of a public key', async () => {
    expect(await refusal(hs({}, secret, { kid: 'key-ES256' }))).toBe('algorithm')
  })

  test('a key of another type than the algorithm says', async () => {
    expect(await refusal(signed('ES256', { kid: 'key-RS256' }))).toBe('key')
    expect(await refusal(signed('EdDSA', { kid: 'key-ES256' }))).toBe('key')
  })

  test('other algorithms of the same keys', async () => {
    const hs512 = new SignJWT({}).setProtectedHeader({ alg: 'HS512' }).sign(bytes(secret))
    expect(await refusal(hs512)).toBe('algorithm')
    const head = encode({ alg: 'PS256', kid: 'key-RS256' })
    expect(await refusal(`${head}.${encode({ role: 'service_role' })}.AAAA`)).toBe('algorithm')
  })

  test('an unknown kid, and none', async () => {
    expect(await refusal(signed('ES256', { kid: 'key-unknown' }))).toBe('key')
    expect(await refusal(signed('ES256', {}))).toBe('key')
    expect(await refusal(signed('ES256', { kid: '../../etc/passwd' }))).toBe('key')
  })

  test('a key that the token brings along or points to', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    const jwk = await exportJWK(publicKey)
    const forged = { privateKey, jwk }
    expect(await refusal(signed('ES256', { kid: 'key-ES256', jwk }, forged))).toBe('signature')
    expect(await refusal(signed('ES256', { kid: 'mine', jku: 'http://127.0.0.1:1/jwks' }, forged))).toBe('key')
  })

  test('a payload or a header that was changed after the signature', async () => {
    const [head, payload, signature] = (await hs({ sub: 'a' })).split('.') as [string, string, string]
    expect(await refusal(`${head}.${encode({ role: 'service_role' })}.${signature}`)).toBe('signature')
    expect(await refusal(`${encode({ alg: 'HS256', typ: 'x' })}.${payload}.${signature}`)).toBe('signature')
    expect(await refusal(`${head}.${payload}.${signature.slice(0, -2)}`)).toBe('signature')
    expect(await refusal(`${head}.${payload}.`)).toBe('signature')
  })

  test('extensions that must be understood', async () => {
    const token = new SignJWT({}).setProtectedHeader({ alg: 'HS256', crit: ['b64'], b64: true }).sign(bytes(secret))
    expect(await refusal(token)).toBe('algorithm')
  })

  test('another audience, alone or among wrong ones', async () => {
    expect(await refusal(hs({ aud: 'somebody-else' }))).toBe('audience')
    expect(await refusal(hs({ aud: ['x', 'y'] }))).toBe('audience')
    expect(await refusal(hs({ aud: ['x', 'authenticated'] }))).toBe('accepted')
    expect(await refusal(hs({ aud: 5 }))).toBe('claims')
    expect(await refusal(hs({ aud: ['authenticated', 5] }))).toBe('claims')
  })

  test('another issuer, where one is asked for', async () => {
    expect(await refusal(hs({ iss: 'x' }), { issuer: 'https://here/auth/v1' })).toBe('issuer')
    expect(await refusal(hs(), { issuer: 'https://here/auth/v1' })).toBe('issuer')
  })

  test('times that are no numbers', async () => {
    const [head] = (await hs()).split('.') as [string]
    const sign = async (claims: object) => {
      const { createHmac } = await import('node:crypto')
      const body = `${head}.${encode(claims)}`
      return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
    }
    for (const name of ['exp', 'nbf', 'iat']) expect(await refusal(sign({ [name]: '99999999999' }))).toBe('claims')
    expect(await refusal(sign([1, 2] as unknown as object))).toBe('claims')
    expect(await refusal(sign({ exp: null }))).toBe('accepted')
  })

  test.each([['none'], ['NONE'], [''], [5], [['service_role']], [{ a: 1 }], ['a\0b'], ['x'.repeat(64)]])(
    'the role %j, which is none or means none',
    async (role) => {
      expect(await refusal(hs({ role }))).toBe('role')
    },
  )

  test('what is no token', async () => {
    const token = await hs()
    const malformed = [
      'a',
      'a.b',
      'a.b.c.d',
      '..',
      ' ',
      `${token} `,
      `${token}\n`,
      token.replace('.', '. '),
      'ä.ö.ü',
      `${encode(5)}.e30.x`,
      `${encode(null)}.e30.x`,
    ]
    for (const text of malformed) expect(await refusal(text)).toBe('malformed')
    expect(await refusal('')).toBe('empty')
    expect(await refusal(`${token}${'A'.repeat(20_000)}`)).toBe('oversized')
    expect(await refusal(hs({ big: 'x'.repeat(20_000) }))).toBe('oversized')
  })

  test('everything by a project without a secret', async () => {
    expect(await refusal(hs(), { keys: { secrets: [], publicKeys: [] } })).toBe('key')
  })
})

describe('what is remembered', () => {
  test('a token is checked once, and refused when it expires', async () => {
    const own = createFakeClock()
    let asked = 0
    const keys: VerificationKeys = {
      get secrets() {
        asked += 1
        return [secret]
      },
      publicKeys: [],
    }
    const verifier = createVerifier({ keys, clock: own })
    const token = await hs({ exp: Math.floor(own.now() / 1000) + 60 })
    const first = await verifier.verify(token)
    expect(await verifier.verify(token)).toBe(first)
    expect(asked).toBe(1)
    await own.advance(91_000)
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'expired' })
  })

  test('nothing outlives the keys', async () => {
    let keys: VerificationKeys = { secrets: [secret], publicKeys: [] }
    const verifier = createVerifier({ keys: () => keys, clock })
    const token = await hs()
    await verifier.verify(token)
    keys = { secrets: [otherSecret], publicKeys: [] }
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'signature' })
  })

  test('no more than the bound, and the least recently used goes first', async () => {
    let asked = 0
    const keys: VerificationKeys = {
      get secrets() {
        asked += 1
        return [secret]
      },
      publicKeys: [],
    }
    const verifier = createVerifier({ keys, clock, maxCached: 2 })
    const [a, b, c] = await Promise.all([hs({ sub: 'a' }), hs({ sub: 'b' }), hs({ sub: 'c' })])
    for (const token of [a, b, a, c, a]) await verifier.verify(token)
    expect(asked).toBe(3)
    await verifier.verify(b)
    expect(asked).toBe(4)
  })
})

describe('keys at an address', () => {
  let requests = 0
  let answer: () => { status: number; body: string }
  const server = createServer((_request, response) => {
    requests += 1
    const { status, body } = answer()
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  })
  let jwksUrl = ''
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`
  })
  afterAll(() => new Promise((resolve) => server.close(resolve)))

  const serve = (...algs: readonly Alg[]) => {
    requests = 0
    answer = () => ({ status: 200, body: JSON.stringify({ keys: algs.map((alg) => pairOf(alg).jwk) }) })
  }
  const remote = () => createVerifier({ keys: { secrets: [], publicKeys: [] }, jwksUrl, clock })

  test('are fetched once for all who ask at once, and not for every unknown kid', async () => {
    serve('ES256', 'RS256')
    const verifier = remote()
    const tokens = await Promise.all([signed('ES256'), signed('RS256')])
    await Promise.all(tokens.map((token) => verifier.verify(token)))
    expect(requests).toBe(1)
    for (let n = 0; n < 20; n += 1) {
      await expect(verifier.verify(await signed('ES256', { kid: `guess-${n}` }))).rejects.toMatchObject({ reason: 'key' })
    }
    expect(requests).toBe(1)
  })

  test('are not asked for by a token that a secret signs', async () => {
    serve('ES256')
    await expect(remote().verify(await hs())).rejects.toMatchObject({ reason: 'key' })
    expect(requests).toBe(0)
  })

  test.each([
    ['an error', () => ({ status: 500, body: '' })],
    ['a redirect', () => ({ status: 302, body: '' })],
    ['no keys', () => ({ status: 200, body: '{"keys":"none"}' })],
    ['no JSON', () => ({ status: 200, body: '<html>' })],
    ['more than keys have reason to be', () => ({ status: 200, body: JSON.stringify({ keys: [], pad: 'x'.repeat(300_000) }) })],
  ] as const)('that answer with %s are unavailable, and left alone for a while', async (_what, given) => {
    requests = 0
    answer = given
    const verifier = remote()
    const token = await signed('ES256')
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'TM_AUTH_JWKS', httpStatus: 503 })
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'TM_AUTH_JWKS' })
    expect(requests).toBe(1)
  })

  test('that hold a secret key sign nothing', async () => {
    requests = 0
    answer = () => ({
      status: 200,
      body: JSON.stringify({ keys: [{ kty: 'oct', k: Buffer.from(secret).toString('base64url'), kid: 'shared', alg: 'HS256' }] }),
    })
    await expect(remote().verify(await hs({}, secret, { kid: 'shared' }))).rejects.toMatchObject({ reason: 'key' })
  })
})
