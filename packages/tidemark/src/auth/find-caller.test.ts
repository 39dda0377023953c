import { SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { createFindCaller, digestOf } from './find-caller.js'
import { createVerifier } from './verifier.js'

const secret = 'a secret of at least thirty-two characters'
const jwt = (claims: Record<string, unknown>, by = secret) =>
  new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(by))

const publishable = 'sb_publishable_abc'
const secretKey = 'sb_secret_abc'
const keys = [
  { digest: digestOf(publishable), role: 'anon' },
  { digest: digestOf(secretKey), role: 'service_role' },
]
const verifier = createVerifier({ keys: { secrets: [secret], publicKeys: [] } })
const findCaller = createFindCaller({ verifier, keys: () => keys })
const anonKey = jwt({ role: 'anon', iss: 'tidemark' })
const user = jwt({ role: 'authenticated', sub: 'ana' })

test('the apikey alone says who calls', async () => {
  expect(await findCaller({ apikey: publishable })).toEqual({ role: 'anon', claims: { role: 'anon' } })
  expect(await findCaller({ apikey: secretKey })).toEqual({ role: 'service_role', claims: { role: 'service_role' } })
  expect(await findCaller({ apikey: await anonKey })).toEqual({ role: 'anon', claims: { role: 'anon', iss: 'tidemark' } })
})

test.each([['Bearer '], ['bearer '], ['BEARER   ']])('"%s" before a token says more than the apikey', async (scheme) => {
  const caller = await findCaller({ apikey: secretKey, authorization: `${scheme}${await user}` })
  expect(caller).toMatchObject({ role: 'authenticated', claims: { sub: 'ana' } })
})

test('an opaque key counts as a bearer token only where it is the apikey too', async () => {
  expect((await findCaller({ apikey: secretKey, authorization: `Bearer ${secretKey}` })).role).toBe('service_role')
  await expect(findCaller({ apikey: publishable, authorization: `Bearer ${secretKey}` })).rejects.toMatchObject({
    reason: 'malformed',
  })
  await expect(findCaller({ authorization: `Bearer ${secretKey}` })).rejects.toMatchObject({ reason: 'malformed' })
})

test.each([['sb_secret_abd'], ['sb_secret_ab'], ['sb_publishable_'], ['x'], ['a.b.c'], [`${secretKey} `]])(
  'an unknown apikey is refused: %s',
  async (apikey) => {
    const refusal = { name: 'ApiKeyError', reason: 'unknown', message: 'Invalid API key' }
    await expect(findCaller({ apikey })).rejects.toMatchObject(refusal)
    await expect(findCaller({ apikey, authorization: `Bearer ${await user}` })).rejects.toMatchObject(refusal)
  },
)

test('an apikey that another secret signed is refused, unless it was configured', async () => {
  const foreign = await jwt({ role: 'service_role' }, 'a secret of the cloud that is not known here')
  await expect(findCaller({ apikey: foreign })).rejects.toMatchObject({ reason: 'unknown' })
  const configured = createFindCaller({ verifier, keys: () => [{ digest: digestOf(foreign), role: 'service_role' }] })
  expect(await configured({ apikey: foreign })).toEqual({ role: 'service_role', claims: { role: 'service_role' } })
})

test('a configured key that expired is refused', async () => {
  const expired = await jwt({ role: 'service_role', exp: 1_000_000 })
  const configured = createFindCaller({ verifier, keys: () => [{ digest: digestOf(expired), role: 'service_role' }] })
  await expect(configured({ apikey: expired })).rejects.toMatchObject({ reason: 'unknown' })
})

test('a bad token is refused also beside a good apikey', async () => {
  await expect(findCaller({ apikey: secretKey, authorization: 'Bearer a.b.c' })).rejects.toMatchObject({ reason: 'malformed' })
  await expect(findCaller({ apikey: secretKey, authorization: 'Bearer ' })).rejects.toMatchObject({ reason: 'empty' })
})

test('nobody is anonymous, and so is who comes with another scheme', async () => {
  expect(await findCaller({})).toEqual({ role: 'anon', claims: { role: 'anon' } })
  expect(await findCaller({ authorization: 'Basic dTpw' })).toEqual({ role: 'anon', claims: { role: 'anon' } })
  const strict = createFindCaller({ verifier, keys: () => keys, requireApiKey: true })
  await expect(strict({})).rejects.toMatchObject({ reason: 'missing', message: 'No API key found in request' })
  await expect(strict({ authorization: `Bearer ${await user}` })).rejects.toMatchObject({ reason: 'missing' })
})
