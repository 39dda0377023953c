import { describe, expect, test } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { useClient } from '../../testing/postgres/use-database.js'
import { type AuthServer, useAuthServer } from '../testing/use-auth-server.js'

const clock = createFakeClock()
const limited = useAuthServer({
  env: {
    TIDEMARK_AUTH_AUTOCONFIRM: 'true',
    TIDEMARK_AUTH_IP_HEADER: 'X-Forwarded-For',
    TIDEMARK_AUTH_CODE_PAUSE_MS: '60s',
    TIDEMARK_AUTH_LIMITS_SIGN_INS_PER_IP: '6',
    TIDEMARK_AUTH_LIMITS_REFRESHES_PER_IP: '3',
    TIDEMARK_AUTH_LIMITS_CODES_PER_IP: '4',
    TIDEMARK_AUTH_LIMITS_VERIFICATIONS_PER_IP: '30',
    TIDEMARK_AUTH_LIMITS_ANONYMOUS_PER_IP: '2',
    TIDEMARK_AUTH_LIMITS_FAILURES_PER_ACCOUNT: '8',
  },
  clock,
})
const silent = useAuthServer({ env: { TIDEMARK_AUTH_AUTOCONFIRM: 'false' }, sends: false })
const closed = useAuthServer({
  env: {
    TIDEMARK_AUTH_AUTOCONFIRM: 'true',
    TIDEMARK_AUTH_SIGNUP: 'false',
    TIDEMARK_AUTH_ANONYMOUS_USERS: 'false',
    TIDEMARK_AUTH_API_KEY_REQUIRED: 'true',
    TIDEMARK_AUTH_PASSWORD_MIN_LENGTH: '12',
    TIDEMARK_AUTH_PASSWORD_MAX_LENGTH: '72',
  },
})
const silentDb = useClient({
  get url() {
    return silent.databaseUrl
  },
})
const password = 'correct horse'

let addresses = 0
/** An address that nobody has come from so far. */
const newIp = () => {
  addresses += 1
  return `203.0.113.${addresses}`
}

const post = async ({ url, anon }: AuthServer, path: string, body: unknown, ip = newIp(), token?: string) => {
  const response = await fetch(`${url}/auth/v1${path}`, {
    method: 'POST',
    headers: {
      apikey: anon,
      'content-type': 'application/json',
      'x-supabase-api-version': '2024-01-01',
      'x-forwarded-for': `198.51.100.1, ${ip}`,
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: (await response.json()) as Record<string, string>,
  }
}
const tooMany = {
  status: 429,
  retryAfter: expect.stringMatching(/^[1-9]\d*$/),
  body: { code: 'over_request_rate_limit', message: 'Request rate limit reached' },
}
const statuses = async (n: number, ask: (index: number) => Promise<{ status: number }>) => {
  const all: number[] = []
  for (let index = 0; index < n; index += 1) all.push((await ask(index)).status)
  return all
}

describe('by address', () => {
  test('sign-ins and sign-ups share a limit, which frees itself', async () => {
    const ip = newIp()
    const signUp = (n: number) => post(limited, '/signup', { email: `ip${n}@example.com`, password }, ip)
    expect(await statuses(6, signUp)).toEqual(Array(6).fill(200))
    expect(await signUp(7)).toEqual(tooMany)
    expect(await post(limited, '/token?grant_type=password', { email: 'ip1@example.com', password }, ip)).toEqual(tooMany)
    expect((await post(limited, '/token?grant_type=password', { email: 'ip1@example.com', password })).status).toBe(200)
    await clock.advance(300_001)
    expect((await post(limited, '/token?grant_type=password', { email: 'ip1@example.com', password }, ip)).status).toBe(200)
  })

  test('only the entry that the proxy has added counts', async () => {
    const ip = newIp()
    const spoofed = (n: number) =>
      fetch(`${limited.url}/auth/v1/signup`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-forwarded-for': `10.0.0.${n}, ${ip}` },
        body: '{}',
      })
    expect(await statuses(3, spoofed)).toEqual([200, 200, 429])
  })

  test('SEC: of IPv6 by the network, all addresses of which are one sender’s', async () => {
    expect(await statuses(3, (n) => post(limited, '/signup', {}, `2001:db8:1:2::${n + 1}`))).toEqual([200, 200, 429])
    expect((await post(limited, '/signup', {}, '2001:db8:1:3::1')).status).toBe(200)
  })

  test('SEC: a password is guessed by signing up no more often than by signing in', async () => {
    const email = 'made@example.com'
    await limited.admin().createUser({ email, password })
    const guess = (word: string) => post(limited, '/signup', { email, password: word })
    expect(await statuses(8, (n) => guess(`guess number ${n}`))).toEqual(Array(8).fill(422))
    expect(await guess(password)).toEqual(tooMany)
    expect(await post(limited, '/token?grant_type=password', { email, password })).toEqual(tooMany)
  })

  test('refreshes, codes, verifications and anonymous users have limits of their own', async () => {
    const ip = newIp()
    const refresh = () => post(limited, '/token?grant_type=refresh_token', { refresh_token: 'x' }, ip)
    expect(await statuses(4, refresh)).toEqual([400, 400, 400, 429])
    const recover = (n: number) => post(limited, '/recover', { email: `nobody${n}@example.com` }, ip)
    expect(await statuses(5, recover)).toEqual([200, 200, 200, 200, 429])
    const verify = (n: number) =>
      post(limited, '/verify', { type: 'email', email: `nobody${n}@example.com`, token: '000000' }, ip)
    expect((await statuses(31, verify)).at(-1)).toBe(429)
    expect(await statuses(3, () => post(limited, '/signup', {}, ip))).toEqual([200, 200, 429])
  })

  test('a link that is followed too often leads to the application all the same', async () => {
    const ip = newIp()
    const follow = () =>
      fetch(`${limited.url}/auth/v1/verify?type=magiclink&token=x`, { redirect: 'manual', headers: { 'x-forwarded-for': ip } })
    expect(await statuses(30, follow)).toEqual(Array(30).fill(303))
    expect((await follow()).headers.get('location')).toContain('over_request_rate_limit')
  })
})

describe('by account', () => {
  test('wrong passwords from anywhere close it for a while, the right one included; others go on', async () => {
    await post(limited, '/signup', { email: 'target@example.com', password })
    await post(limited, '/signup', { email: 'other@example.com', password })
    const guess = (text: string) => post(limited, '/token?grant_type=password', { email: 'Target@Example.com', password: text })
    expect(await statuses(4, () => guess('wrong'))).toEqual(Array(4).fill(400))
    expect((await guess(password)).status).toBe(200)
    expect(await statuses(4, () => guess('wrong'))).toEqual(Array(4).fill(400))
    expect(await guess(password)).toEqual(tooMany)
    expect((await post(limited, '/token?grant_type=password', { email: 'other@example.com', password })).status).toBe(200)
    await clock.advance(900_001)
    expect((await guess(password)).status).toBe(200)
  })

  test('somebody who does not exist is closed in the same way', async () => {
    const guess = () => post(limited, '/token?grant_type=password', { email: 'ghost@example.com', password: 'wrong' })
    expect(await statuses(9, guess)).toEqual([...Array(8).fill(400), 429])
  })

  test('a burst of guesses counts as what it is', async () => {
    await post(limited, '/signup', { email: 'burst@example.com', password })
    const guess = () => post(limited, '/token?grant_type=password', { email: 'burst@example.com', password: 'wrong' })
    const answers = await Promise.all(Array.from({ length: 40 }, guess))
    expect(answers.filter(({ status }) => status === 400).length).toBeLessThanOrEqual(8)
    expect(answers.every(({ status }) => status === 400 || status === 429)).toBe(true)
  })

  test('so do wrong codes', async () => {
    await post(limited, '/signup', { email: 'codes@example.com', password })
    await post(limited, '/otp', { email: 'codes@example.com' })
    const { code } = limited.sent.at(-1)!
    const guess = (token: string) => post(limited, '/verify', { type: 'email', email: 'codes@example.com', token })
    const wrong = code === '000000' ? '111111' : '000000'
    expect(await statuses(8, () => guess(wrong))).toEqual(Array(8).fill(403))
    expect(await guess(code)).toEqual(tooMany)
  })
})

test('two codes to one user are a minute apart', async () => {
  await post(limited, '/signup', { email: 'pause@example.com', password })
  expect((await post(limited, '/otp', { email: 'pause@example.com' })).status).toBe(200)
  await clock.advance(10_000)
  expect(await post(limited, '/otp', { email: 'pause@example.com' })).toEqual({
    status: 429,
    retryAfter: '50',
    body: { code: 'over_email_send_rate_limit', message: 'For security purposes, you can only request this after 50 seconds.' },
  })
  await clock.advance(50_001)
  expect((await post(limited, '/otp', { email: 'pause@example.com' })).status).toBe(200)
})

describe('where nothing can be sent', () => {
  const cannot = (code: string) => ({ status: 422, body: { code, message: expect.stringContaining('auth.sendCode') } })

  test.each([
    ['/signup', { email: 'x@example.com', password }, 'email_provider_disabled'],
    ['/signup', { phone: '4915112345678', password }, 'phone_provider_disabled'],
    ['/otp', { email: 'x@example.com' }, 'email_provider_disabled'],
    ['/otp', { phone: '4915112345678' }, 'phone_provider_disabled'],
    ['/recover', { email: 'x@example.com' }, 'email_provider_disabled'],
    ['/resend', { type: 'signup', email: 'x@example.com' }, 'email_provider_disabled'],
    ['/invite', { email: 'x@example.com' }, 'email_provider_disabled'],
  ])('%s %j says so, for everybody alike, and writes nothing', async (path, body, code) => {
    expect(await post(silent, path, body, newIp(), path === '/invite' ? silent.service : undefined)).toMatchObject(cannot(code))
    expect((await silentDb.query('select from auth.users')).rowCount).toBe(0)
  })

  test('links for mail of the application are made all the same', async () => {
    const made = await post(
      silent,
      '/admin/generate_link',
      { type: 'signup', email: 'own@example.com', password },
      newIp(),
      silent.service,
    )
    expect(made).toMatchObject({ status: 200, body: { action_link: expect.any(String) } })
    const { data } = await silent.client().verifyOtp({ token_hash: made.body['hashed_token']!, type: 'signup' })
    expect((await silent.client().signInWithPassword({ email: 'own@example.com', password })).error).toBeNull()
    const client = silent.client()
    await client.setSession(data.session!)
    expect((await client.updateUser({ email: 'next@example.com' })).error).toMatchObject({ code: 'email_provider_disabled' })
    expect((await client.updateUser({ data: { a: 1 } })).error).toBeNull()
    expect((await client.reauthenticate()).error).toMatchObject({ code: 'email_provider_disabled' })
  })
})

describe('what can be closed', () => {
  test('sign-up, for anonymous users and others, by code too; administrators go on', async () => {
    expect(await post(closed, '/signup', { email: 'x@example.com', password })).toMatchObject({
      status: 422,
      body: { code: 'signup_disabled' },
    })
    expect(await post(closed, '/signup', {})).toMatchObject({ status: 422, body: { code: 'anonymous_provider_disabled' } })
    expect(await post(closed, '/otp', { email: 'x@example.com' })).toMatchObject({
      status: 422,
      body: { code: 'signup_disabled' },
    })
    expect((await closed.admin().createUser({ email: 'made@example.com', password: 'long enough for it' })).error).toBeNull()
    expect((await closed.admin().createUser({ email: 'weak@example.com', password: 'too short' })).error).toMatchObject({
      code: 'weak_password',
    })
    const long = await post(
      closed,
      '/admin/users',
      { email: 'long@example.com', password: 'x'.repeat(73) },
      newIp(),
      closed.service,
    )
    expect(long).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
  })

  test('requests without a key', async () => {
    const answer = await fetch(`${closed.url}/auth/v1/settings`)
    expect({ status: answer.status, body: await answer.json() }).toEqual({
      status: 401,
      body: { message: 'No API key found in request', hint: 'No `apikey` request header or url param was found.' },
    })
    expect((await fetch(`${closed.url}/auth/v1/settings?apikey=${closed.anon}`)).status).toBe(200)
    expect((await fetch(`${closed.url}/auth/v1/.well-known/jwks.json`)).status).toBe(200)
    expect((await fetch(`${closed.url}/auth/v1/verify?type=signup&token=x`, { redirect: 'manual' })).status).toBe(303)
  })
})
