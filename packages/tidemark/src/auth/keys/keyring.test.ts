import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jwtVerify, SignJWT } from 'jose'
import { beforeEach, describe, expect, test } from 'vitest'
import { resolveConfig } from '../../config/config.js'
import { openState, type State } from '../../state/state.js'
import { createFakeClock } from '../../testing/fake-clock.js'
import { useFolder } from '../../testing/use-folder.js'
import { createFindCaller } from '../find-caller.js'
import { createVerifier } from '../verifier.js'
import { addSigningKey, listKeys, rotateKey } from './change-keys.js'
import { apiKeysOf, openKeyring } from './keyring.js'

const folder = useFolder('keyring')
let state: State
let count = 0
const clock = createFakeClock()
const configOf = (env: Record<string, string> = {}) => resolveConfig({ env, cwd: folder })
const hourMs = 3_600_000

beforeEach(async () => {
  count += 1
  state = await openState(join(folder, `project-${count}`))
})

describe('the JWT keys', () => {
  test('are HS256 JWTs of the two roles, valid for ten years, and the same every time', async () => {
    const keys = await apiKeysOf(configOf(), state)
    expect(await apiKeysOf(configOf(), state)).toEqual(keys)
    const [secret] = (await openKeyring(configOf(), state).current()).secrets
    for (const [key, role] of [
      [keys.anon, 'anon'],
      [keys.service, 'service_role'],
    ] as const) {
      const { payload, protectedHeader } = await jwtVerify(key, new TextEncoder().encode(secret), { issuer: 'tidemark' })
      expect(protectedHeader).toEqual({ alg: 'HS256', typ: 'JWT' })
      expect(payload['role']).toBe(role)
      expect(payload.exp! - payload.iat!).toBe(10 * 365 * 86_400)
    }
  })

  test('are signed by the secret that a project has had so far', async () => {
    const secret = await state.secret('jwt-secret')
    await state.secret('keys-issued-at', () => '1700000000')
    const keyring = await openKeyring(configOf(), state, clock).current()
    expect(keyring.secrets).toEqual([secret])
    const { payload } = await jwtVerify(keyring.apiKeys.anon, new TextEncoder().encode(secret))
    expect(payload.iat).toBe(1_700_000_000)
  })

  test('change with their secret; configured ones are taken as they are', async () => {
    const keys = await apiKeysOf(configOf(), state)
    const other = await apiKeysOf(configOf({ SUPABASE_JWT_SECRET: 'another secret of at least 32 characters' }), state)
    expect(other.anon).not.toBe(keys.anon)
    const given = { SUPABASE_ANON_KEY: 'given-anon', SUPABASE_SERVICE_ROLE_KEY: 'given-service' }
    expect(await apiKeysOf(configOf(given), state)).toEqual({ anon: 'given-anon', service: 'given-service' })
    expect(await apiKeysOf(configOf({ SUPABASE_ANON_KEY: 'given-anon' }), state)).toEqual({
      anon: 'given-anon',
      service: keys.service,
    })
  })
})

test('the file is readable by its user alone, and made once by all who start at once', async () => {
  const rings = Array.from({ length: 8 }, () => openKeyring(configOf(), state, clock))
  const sets = await Promise.all(rings.map((ring) => ring.current()))
  expect(new Set(sets.map(({ apiKeys }) => apiKeys.anon)).size).toBe(1)
  expect(new Set(sets.map(({ known }) => known.map(({ digest }) => digest.toString('hex')).join())).size).toBe(1)
  expect((await stat(state.path('auth-keys.json'))).mode & 0o777).toBe(0o600)
})

test('a file that is none is an error that does not quote it', async () => {
  await writeFile(state.path('auth-keys.json'), '{"jwtSecrets":[{"secret":"do not show me"}]')
  await expect(openKeyring(configOf(), state, clock).current()).rejects.toMatchObject({
    code: 'TM_STATE_FOLDER_UNUSABLE',
    message: expect.not.stringContaining('do not show'),
  })
})

const openAll = (config = configOf()) => {
  const keyring = openKeyring(config, state, clock)
  const verifier = createVerifier({ keys: async () => (await keyring.current()).verification, clock })
  const findCaller = createFindCaller({ verifier, keys: async () => (await keyring.current()).known })
  return { keyring, verifier, findCaller }
}

const valueOfKind = async (kind: 'publishable' | 'secret') =>
  (await listKeys(state, clock)).find((key) => key.kind === kind && key.state === 'current')!.value!

describe('rotation', () => {
  const session = async (secret: string) =>
    new SignJWT({ role: 'authenticated' }).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(secret))

  test('R124: of the secret: a running server signs with the new one, and takes the old one until the grace is over', async () => {
    const { keyring, verifier, findCaller } = openAll()
    const before = await keyring.current()
    const token = await session(before.secrets[0])
    await verifier.verify(token)
    await rotateKey(configOf(), state, 'jwt-secret', { graceMs: hourMs, clock })
    await clock.advance(2_001)
    const after = await keyring.current()
    expect(after.secrets).toEqual([expect.not.stringMatching(before.secrets[0]), before.secrets[0]])
    expect(after.apiKeys.anon).not.toBe(before.apiKeys.anon)
    expect((await verifier.verify(token)).role).toBe('authenticated')
    expect((await findCaller({ apikey: before.apiKeys.service })).role).toBe('service_role')
    await clock.advance(hourMs)
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'signature' })
    await expect(findCaller({ apikey: before.apiKeys.service })).rejects.toMatchObject({ reason: 'unknown' })
    expect((await findCaller({ apikey: after.apiKeys.service })).role).toBe('service_role')
  })

  test('of a secret that leaked: it counts no more', async () => {
    const { keyring, verifier } = openAll()
    const token = await session((await keyring.current()).secrets[0])
    await verifier.verify(token)
    await rotateKey(configOf(), state, 'jwt-secret', { graceMs: 0, clock })
    await clock.advance(2_001)
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'signature' })
  })

  test('of an opaque key, the other kind left alone', async () => {
    const { findCaller } = openAll()
    const [publishable, secret] = [await valueOfKind('publishable'), await valueOfKind('secret')]
    expect((await findCaller({ apikey: publishable })).role).toBe('anon')
    expect((await findCaller({ apikey: secret })).role).toBe('service_role')
    await rotateKey(configOf(), state, 'secret', { graceMs: 0, clock })
    await clock.advance(2_001)
    await expect(findCaller({ apikey: secret })).rejects.toMatchObject({ reason: 'unknown' })
    expect((await findCaller({ apikey: publishable })).role).toBe('anon')
    expect((await findCaller({ apikey: await valueOfKind('secret') })).role).toBe('service_role')
  })

  test('of a configured secret is refused, and its predecessors are named in the configuration', async () => {
    const [current, previous] = ['the current secret of thirty-two chars', 'the previous secret of thirty-two chars']
    const config = configOf({ SUPABASE_JWT_SECRET: current, TIDEMARK_AUTH_PREVIOUS_JWT_SECRETS: previous })
    await expect(rotateKey(config, state, 'jwt-secret', { graceMs: 0, clock })).rejects.toMatchObject({
      code: 'TM_AUTH_KEY_CONFIGURED',
    })
    const { verifier, keyring } = openAll(config)
    expect((await keyring.current()).secrets).toEqual([current, previous])
    expect((await verifier.verify(await session(previous))).role).toBe('authenticated')
  })

  test('of the ES256 key, whose public part stays published until the grace is over', async () => {
    await expect(rotateKey(configOf(), state, 'es256', { graceMs: 0, clock })).rejects.toMatchObject({
      code: 'TM_AUTH_KEY_MISSING',
    })
    const { keyring, verifier } = openAll()
    await addSigningKey(state, clock)
    await expect(addSigningKey(state, clock)).rejects.toMatchObject({ code: 'TM_AUTH_KEY_EXISTS' })
    const first = (await keyring.current()).signing
    if (first.alg !== 'ES256') throw new Error('no ES256 key')
    const token = await new SignJWT({ role: 'authenticated' })
      .setProtectedHeader({ alg: 'ES256', kid: first.kid })
      .sign(first.key)
    expect((await verifier.verify(token)).role).toBe('authenticated')
    await rotateKey(configOf(), state, 'es256', { graceMs: hourMs, clock })
    await clock.advance(2_001)
    const { verification, signing } = await keyring.current()
    expect(verification.publicKeys).toHaveLength(2)
    expect(JSON.stringify(verification.publicKeys)).not.toContain('"d"')
    expect(signing).toMatchObject({ alg: 'ES256', kid: expect.not.stringMatching(first.kid) })
    expect((await verifier.verify(token)).role).toBe('authenticated')
    await clock.advance(hourMs)
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'key' })
  })
})

test('a server goes on with the keys it knows where the file cannot be read', async () => {
  const { keyring } = openAll()
  const known = await keyring.current()
  await writeFile(state.path('auth-keys.json'), 'broken')
  await clock.advance(2_001)
  expect(await keyring.current()).toBe(known)
  await rm(state.path('auth-keys.json'))
  expect(await readFile(state.path('secrets.json'), 'utf8')).toContain('jwt-secret')
})
