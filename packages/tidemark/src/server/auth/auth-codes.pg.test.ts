import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { useClient } from '../../testing/postgres/use-database.js'
import { clientOf, useAuthServer } from '../testing/use-auth-server.js'

const clock = createFakeClock(Date.now())
const server = useAuthServer({
  env: {
    TIDEMARK_AUTH_AUTOCONFIRM: 'false',
    TIDEMARK_AUTH_SITE_URL: 'https://app.example.com',
    TIDEMARK_AUTH_REDIRECT_URLS: 'https://other.example.com/**,myapp://callback',
    TIDEMARK_AUTH_PASSWORD_CHANGE_NEEDS_CODE: 'true',
  },
  clock,
})
const quick = useAuthServer({ env: { TIDEMARK_AUTH_AUTOCONFIRM: 'true' } })
const db = useClient({
  get url() {
    return server.databaseUrl
  },
})
const password = 'correct horse'
let people = 0
const newEmail = () => {
  people += 1
  return `mail${people}@example.com`
}
const newPhone = () => {
  people += 1
  return `49151000${1000 + people}`
}

const lastSent = (to: string, { sent } = server) => {
  const message = sent.filter((one) => one.to === to).at(-1)
  if (!message) throw new Error(`nothing was sent to ${to}`)
  return message
}

const ask = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(path.startsWith('http') ? path : `${server.url}/auth/v1${path}`, {
    method,
    headers: { 'content-type': 'application/json', 'x-supabase-api-version': '2024-01-01', ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    redirect: 'manual',
  })
  const text = await response.text()
  return { status: response.status, location: response.headers.get('location'), body: text === '' ? undefined : JSON.parse(text) }
}
const verify = (body: object) => ask('POST', '/verify', body)
const expired = { status: 403, body: { code: 'otp_expired' } }

const confirmed = async (email = newEmail(), from = server) => {
  await from.admin().createUser({ email, password, email_confirm: true })
  const client = from.client()
  const { data } = await client.signInWithPassword({ email, password })
  return { client, email, user: data.user!, session: data.session! }
}

/** What stands behind the # of an address. */
const fragmentOf = (location: string | null) => Object.fromEntries(new URLSearchParams(new URL(location!).hash.slice(1)))

describe('sign-up with a confirmation', () => {
  test('gives a user first, and a session for the code', async () => {
    const email = newEmail()
    const { data, error } = await server.client().signUp({ email, password })
    expect(error).toBeNull()
    expect(data.session).toBeNull()
    expect(data.user).toMatchObject({ email, confirmation_sent_at: expect.any(String) })
    expect(data.user?.email_confirmed_at).toBeUndefined()
    expect((await server.client().signInWithPassword({ email, password })).error).toMatchObject({ code: 'email_not_confirmed' })
    const { kind, code, link } = lastSent(email)
    expect({ kind, code }).toEqual({ kind: 'signup', code: expect.stringMatching(/^\d{6}$/) })
    expect(link).toMatch(new RegExp(`^${server.url}/auth/v1/verify\\?token=[0-9a-f]{64}&type=signup&redirect_to=`))
    const done = await server.client().verifyOtp({ email, token: code, type: 'signup' })
    expect(done.error).toBeNull()
    expect(done.data.user).toMatchObject({ email_confirmed_at: expect.any(String), user_metadata: { email_verified: true } })
    expect(decodeJwt(done.data.session!.access_token)['amr']).toMatchObject([{ method: 'otp' }])
    expect(done.data.user?.identities?.[0]?.identity_data).toMatchObject({ email_verified: true })
    expect(await verify({ email, token: code, type: 'signup' })).toMatchObject(expired)
  })

  test('of a taken address looks like any other', async () => {
    const { email, user } = await confirmed()
    const { data, error } = await server.client().signUp({ email, password: 'another password', options: { data: { a: 1 } } })
    expect(error).toBeNull()
    expect(data.session).toBeNull()
    expect(data.user).toMatchObject({ email, user_metadata: { a: 1 }, identities: [] })
    expect(data.user!.id).not.toBe(user.id)
    expect((await server.client().signInWithPassword({ email, password })).error).toBeNull()
  })

  test('asked for again sends another code, and leaves the password alone', async () => {
    const email = newEmail()
    await server.client().signUp({ email, password })
    const first = lastSent(email)
    await server.client().signUp({ email, password: 'of somebody else' })
    expect(await verify({ email, token: first.code, type: 'signup' })).toMatchObject(expired)
    await server.client().resend({ type: 'signup', email })
    const { code } = lastSent(email)
    expect((await server.client().verifyOtp({ email, token: code, type: 'email' })).error).toBeNull()
    expect((await server.client().signInWithPassword({ email, password })).error).toBeNull()
    expect((await server.client().signInWithPassword({ email, password: 'of somebody else' })).error).not.toBeNull()
  })

  test('by phone, by text message', async () => {
    const phone = newPhone()
    await server.client().signUp({ phone, password })
    const { code, channel, link } = lastSent(phone)
    expect({ channel, link }).toEqual({ channel: 'sms', link: undefined })
    const { data, error } = await server.client().verifyOtp({ phone, token: code, type: 'sms' })
    expect(error).toBeNull()
    expect(data.user).toMatchObject({ phone, phone_confirmed_at: expect.any(String) })
    expect((await server.client().signInWithPassword({ phone, password })).error).toBeNull()
  })
})

describe('codes', () => {
  test('to sign in with, for somebody known and somebody new', async () => {
    const { email, user } = await confirmed()
    await server.client().signInWithOtp({ email })
    const known = await server.client().verifyOtp({ email, token: lastSent(email).code, type: 'email' })
    expect(known.data.user?.id).toBe(user.id)
    const fresh = newEmail()
    await server.client().signInWithOtp({ email: fresh, options: { data: { a: 1 } } })
    const made = await server.client().verifyOtp({ email: fresh, token: lastSent(fresh).code, type: 'email' })
    expect(made.data.user).toMatchObject({ email: fresh, user_metadata: { a: 1 } })
    expect((await server.client().signInWithPassword({ email: fresh, password: '' })).error).not.toBeNull()
    const nobody = await server.client().signInWithOtp({ email: newEmail(), options: { shouldCreateUser: false } })
    expect(nobody.error).toMatchObject({ status: 422, code: 'otp_disabled' })
  })

  test('by phone, by WhatsApp where that is wished', async () => {
    const phone = newPhone()
    expect((await server.client().signInWithOtp({ phone, options: { channel: 'whatsapp' } })).error).toBeNull()
    expect(lastSent(phone)).toMatchObject({ kind: 'sms', channel: 'whatsapp' })
    expect((await server.client().verifyOtp({ phone, token: lastSent(phone).code, type: 'sms' })).error).toBeNull()
    await server.client().signInWithOtp({ phone })
    expect((await server.client().verifyOtp({ phone, token: lastSent(phone).code, type: 'sms' })).error).toBeNull()
  })

  test('count once, also for two who send one at the same moment', async () => {
    const { email } = await confirmed()
    await server.client().signInWithOtp({ email })
    const { code } = lastSent(email)
    const answers = await Promise.all(Array.from({ length: 6 }, () => verify({ email, token: code, type: 'email' })))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(5)
  })

  test('count for an hour', async () => {
    const { email } = await confirmed()
    await server.client().signInWithOtp({ email })
    const { code, tokenHash, link } = lastSent(email)
    await clock.advance(3_600_001)
    expect(await verify({ email, token: code, type: 'email' })).toMatchObject(expired)
    expect(await verify({ token_hash: tokenHash, type: 'magiclink' })).toMatchObject(expired)
    expect(fragmentOf((await ask('GET', link!)).location)).toMatchObject({ error_code: 'otp_expired' })
  })

  test('count for their address, their user and their purpose alone', async () => {
    const [ana, ben] = [await confirmed(), await confirmed()]
    await server.client().resetPasswordForEmail(ana.email)
    const { code, tokenHash } = lastSent(ana.email)
    expect(await verify({ email: ben.email, token: code, type: 'recovery' })).toMatchObject(expired)
    expect(await verify({ email: ana.email, token: code, type: 'signup' })).toMatchObject(expired)
    expect(await verify({ email: ana.email, token: code, type: 'email_change' })).toMatchObject(expired)
    expect(await verify({ token_hash: tokenHash, type: 'invite' })).toMatchObject(expired)
    expect(await verify({ token_hash: tokenHash!.toUpperCase(), type: 'recovery' })).toMatchObject(expired)
    expect(await verify({ email: ana.email, token: code, type: 'recovery' })).toMatchObject({ status: 200 })
  })

  test('are void once the address has changed', async () => {
    const { email, user } = await confirmed()
    await server.client().resetPasswordForEmail(email)
    const { code } = lastSent(email)
    await server.admin().updateUserById(user.id, { email: newEmail() })
    expect(await verify({ email, token: code, type: 'recovery' })).toMatchObject(expired)
  })

  test('open nothing for who was banned', async () => {
    const { email, user } = await confirmed()
    await server.client().signInWithOtp({ email })
    await server.admin().updateUserById(user.id, { ban_duration: '1h' })
    expect(await verify({ email, token: lastSent(email).code, type: 'email' })).toMatchObject({
      status: 403,
      body: { code: 'user_banned' },
    })
  })

  test('cannot be got from the database', async () => {
    const { email, user } = await confirmed()
    await server.client().signInWithOtp({ email })
    const { code, tokenHash } = lastSent(email)
    const { rows } = await db.query(
      'select u::text as u, t::text as t, t.token_hash from auth.users u join auth.one_time_tokens t on t.user_id = u.id where u.id = $1',
      [user.id],
    )
    expect(rows).toHaveLength(1)
    expect(rows[0].u).not.toContain(tokenHash)
    expect(rows[0].t).not.toContain(tokenHash)
    expect(await verify({ token_hash: rows[0].token_hash, type: 'magiclink' })).toMatchObject(expired)
    const { createHash } = await import('node:crypto')
    expect(rows[0].token_hash).not.toBe(
      createHash('sha224')
        .update(email + code)
        .digest('hex'),
    )
    expect(rows[0].token_hash).not.toBe(
      createHash('sha256')
        .update(email + code)
        .digest('hex'),
    )
  })

  test('of a recovery say nothing about who is there', async () => {
    const before = server.sent.length
    expect(await ask('POST', '/recover', { email: 'nobody@example.com' })).toEqual({ status: 200, location: null, body: {} })
    expect(await ask('POST', '/resend', { type: 'signup', email: 'nobody@example.com' })).toEqual({
      status: 200,
      location: null,
      body: {},
    })
    expect(server.sent.length).toBe(before)
  })

  test.each([
    [{}, 'validation_failed', 400],
    [{ type: 'email' }, 'validation_failed', 400],
    [{ type: 'email', token: '1', token_hash: 'x' }, 'validation_failed', 400],
    [{ type: 'email', token: '1' }, 'validation_failed', 400],
    [{ type: 'email', token: '1', email: 'a@b.co', phone: '49' }, 'validation_failed', 400],
    [{ type: 'nonsense', token: '1', email: 'a@b.co' }, 'validation_failed', 400],
    [{ type: '__proto__', token: '1', email: 'a@b.co' }, 'validation_failed', 400],
    [{ type: 'constructor', token_hash: '1' }, 'validation_failed', 400],
    [{ type: 'sms', token: '1', email: 'a@b.co' }, 'validation_failed', 400],
    [{ type: 'email', token_hash: 'x', email: 'a@b.co' }, 'validation_failed', 400],
    [{ type: 'email', token: '123456', email: 'nobody@example.com' }, 'otp_expired', 403],
    [{ type: 'recovery', token_hash: 'x' }, 'otp_expired', 403],
    [{ type: 'sms', token: '123456', phone: '4915112345' }, 'otp_expired', 403],
  ])('%j is refused', async (body, code, status) => {
    expect(await verify(body)).toMatchObject({ status, body: { code } })
  })
})

describe('links', () => {
  test('lead to the application with a session', async () => {
    const { email, user } = await confirmed()
    await server.client().signInWithOtp({ email, options: { emailRedirectTo: 'https://other.example.com/welcome?x=1' } })
    const { status, location } = await ask('GET', lastSent(email).link!)
    expect(status).toBe(303)
    expect(location).toMatch(/^https:\/\/other\.example\.com\/welcome\?x=1#/)
    const fragment = fragmentOf(location)
    expect(fragment).toMatchObject({ type: 'magiclink', token_type: 'bearer', expires_in: '3600' })
    expect(decodeJwt(fragment['access_token']!).sub).toBe(user.id)
    expect(fragmentOf((await ask('GET', lastSent(email).link!)).location)).toEqual({
      error: 'access_denied',
      error_code: 'otp_expired',
      error_description: 'Email link is invalid or has expired',
    })
  })

  test.each([['https://evil.example/'], ['javascript:alert(1)'], ['https://app.example.com@evil.example/']])(
    'do not lead to %s',
    async (target) => {
      const { email } = await confirmed()
      await server.client().signInWithOtp({ email, options: { emailRedirectTo: target } })
      const { link } = lastSent(email)
      expect(new URL(link!).searchParams.get('redirect_to')).toBe('https://app.example.com')
      const tampered = new URL(link!)
      tampered.searchParams.set('redirect_to', target)
      const { location } = await ask('GET', tampered.href)
      expect(location).toMatch(/^https:\/\/app\.example\.com\/#/)
    },
  )

  test('of other kinds do what they say', async () => {
    const email = newEmail()
    await server.client().signUp({ email, password })
    expect(fragmentOf((await ask('GET', lastSent(email).link!)).location)).toMatchObject({ type: 'signup' })
    await server.client().resetPasswordForEmail(email, { redirectTo: 'myapp://callback' })
    const { location } = await ask('GET', lastSent(email).link!)
    expect(location).toMatch(/^myapp:\/\/callback#/)
    expect(fragmentOf(location)).toMatchObject({ type: 'recovery' })
  })

  test('without a token or a type are refused', async () => {
    expect(await ask('GET', '/verify?type=signup')).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    expect(await ask('GET', '/verify?token=x')).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    const { location } = await ask('GET', '/verify?token=x&type=nonsense')
    expect(fragmentOf(location)).toMatchObject({ error: 'invalid_request', error_code: 'validation_failed' })
  })
})

describe('links in two steps (PKCE)', () => {
  const begin = async () => {
    const storage = new Map<string, string>()
    const client = clientOf(server.url, server.anon, storage)
    const { email, user } = await confirmed()
    return { client, storage, email, user }
  }
  const codeOf = (location: string | null) => new URL(location!).searchParams.get('code')!

  test('end in a code, which only the browser that began can use, once', async () => {
    const { client, email, user } = await begin()
    await client.signInWithOtp({ email })
    const { link } = lastSent(email)
    expect(new URL(link!).searchParams.get('token')).toMatch(/^pkce_[0-9a-f]{64}$/)
    const { location } = await ask('GET', link!)
    expect(location).not.toContain('access_token')
    const code = codeOf(location)
    const stranger = await ask('POST', '/token?grant_type=pkce', { auth_code: code, code_verifier: 'x'.repeat(56) })
    expect(stranger).toMatchObject({ status: 400, body: { code: 'bad_code_verifier' } })
    const { data, error } = await client.exchangeCodeForSession(code)
    expect(error).toBeNull()
    expect(data.user?.id).toBe(user.id)
    expect(decodeJwt(data.session!.access_token)['amr']).toMatchObject([{ method: 'magiclink' }])
    const again = await ask('POST', '/token?grant_type=pkce', { auth_code: code, code_verifier: 'x'.repeat(56) })
    expect(again).toMatchObject({ status: 404, body: { code: 'flow_state_not_found' } })
  })

  test('for a recovery, and for a sign-up', async () => {
    const { client, email } = await begin()
    await client.resetPasswordForEmail(email)
    const recovered = await client.exchangeCodeForSession(codeOf((await ask('GET', lastSent(email).link!)).location))
    expect(recovered.error).toBeNull()
    expect((await client.updateUser({ password: 'a new password' })).error).toBeNull()
    const fresh = newEmail()
    const newcomer = clientOf(server.url, server.anon, new Map())
    await newcomer.signUp({ email: fresh, password })
    const signedUp = await newcomer.exchangeCodeForSession(codeOf((await ask('GET', lastSent(fresh).link!)).location))
    expect(signedUp.data.user?.email).toBe(fresh)
    expect(decodeJwt(signedUp.data.session!.access_token)['amr']).toMatchObject([{ method: 'email/signup' }])
  })

  test('SEC: the code opens nothing once the password has changed, or the user is deleted', async () => {
    const { client, email, user } = await begin()
    const exchange = async (change: { readonly password?: string }): Promise<string | undefined> => {
      await client.signInWithOtp({ email })
      const code = codeOf((await ask('GET', lastSent(email).link!)).location)
      if (change.password !== undefined) await server.admin().updateUserById(user.id, { password: change.password })
      else await server.admin().deleteUser(user.id, true)
      return (await client.exchangeCodeForSession(code)).error?.code
    }
    expect(await exchange({ password: 'a new password' })).toBe('flow_state_not_found')
    expect(await exchange({})).toBe('flow_state_not_found')
  })

  test('the six digits of the same mail do it in one step', async () => {
    const { client, email } = await begin()
    await client.signInWithOtp({ email })
    expect((await client.verifyOtp({ email, token: lastSent(email).code, type: 'email' })).error).toBeNull()
  })

  test('the code counts for five minutes, and is kept as a hash', async () => {
    const { client, email, user } = await begin()
    await client.signInWithOtp({ email })
    const code = codeOf((await ask('GET', lastSent(email).link!)).location)
    const { rows } = await db.query('select f::text as text from auth.flow_state f where user_id = $1', [user.id])
    expect(rows[0].text).not.toContain(code)
    await clock.advance(300_001)
    expect(await ask('POST', '/token?grant_type=pkce', { auth_code: code, code_verifier: 'x'.repeat(56) })).toMatchObject({
      status: 422,
      body: { code: 'flow_state_expired' },
    })
  })

  test('a used or wrong link tells so in the query, where such an application looks', async () => {
    const { client, email } = await begin()
    await client.signInWithOtp({ email })
    const { link } = lastSent(email)
    await ask('GET', link!)
    const { location } = await ask('GET', link!)
    expect(new URL(location!).searchParams.get('error_code')).toBe('otp_expired')
  })
})

describe('a change of email', () => {
  test('is confirmed at both addresses, in either order', async () => {
    for (const first of ['new', 'current'] as const) {
      const { client, email, user } = await confirmed()
      const next = newEmail()
      const { data } = await client.updateUser({ email: next })
      expect(data.user).toMatchObject({ email, new_email: next })
      const codes = { current: lastSent(email), new: lastSent(next) }
      expect(codes.current.kind).toBe('email_change_current')
      const addresses = { current: email, new: next }
      const second = first === 'new' ? 'current' : 'new'
      const half = await verify({ email: addresses[first], token: codes[first].code, type: 'email_change' })
      expect(half).toMatchObject({ status: 200, body: { code: '200', msg: expect.stringContaining('other email') } })
      expect((await server.admin().getUserById(user.id)).data.user?.email).toBe(email)
      expect(await verify({ email: addresses[first], token: codes[first].code, type: 'email_change' })).toMatchObject(expired)
      const done = await verify({ email: addresses[second], token: codes[second].code, type: 'email_change' })
      expect(done).toMatchObject({ status: 200, body: { user: { id: user.id, email: next } } })
      expect(done.body.user.new_email).toBeUndefined()
      expect(done.body.user.identities[0].identity_data.email).toBe(next)
    }
  })

  test('asked for anew begins anew', async () => {
    const { client, email, user } = await confirmed()
    const [one, two] = [newEmail(), newEmail()]
    await client.updateUser({ email: one })
    await verify({ email, token: lastSent(email).code, type: 'email_change' })
    await client.updateUser({ email: two })
    expect(await verify({ email: one, token: lastSent(one).code, type: 'email_change' })).toMatchObject(expired)
    expect(await verify({ email: two, token: lastSent(two).code, type: 'email_change' })).toMatchObject({ body: { code: '200' } })
    expect((await server.admin().getUserById(user.id)).data.user?.email).toBe(email)
    expect(await verify({ email, token: lastSent(email).code, type: 'email_change' })).toMatchObject({
      body: { user: { email: two } },
    })
  })

  test('SEC: sent again asks both addresses again: the new one alone never agrees twice', async () => {
    const { client, email, user } = await confirmed()
    const next = newEmail()
    const agree = (to: string) => verify({ email: to, token: lastSent(to).code, type: 'email_change' })
    await client.updateUser({ email: next })
    expect(await agree(next)).toMatchObject({ status: 200, body: { code: '200' } })
    expect((await client.resend({ type: 'email_change', email })).error).toBeNull()
    expect(await agree(next)).toMatchObject({ status: 200, body: { code: '200' } })
    await client.updateUser({ password: 'another horse' })
    await client.resend({ type: 'email_change', email })
    expect(await agree(next)).toMatchObject({ status: 200, body: { code: '200' } })
    expect((await server.admin().getUserById(user.id)).data.user?.email).toBe(email)
    expect(await agree(email)).toMatchObject({ status: 200, body: { user: { email: next } } })
  })

  test('to an address that was taken meanwhile is refused', async () => {
    const { client, email } = await confirmed()
    const next = newEmail()
    await client.updateUser({ email: next })
    await confirmed(next)
    await verify({ email, token: lastSent(email).code, type: 'email_change' })
    expect(await verify({ email: next, token: lastSent(next).code, type: 'email_change' })).toMatchObject({
      status: 422,
      body: { code: 'email_exists' },
    })
  })

  test('by links too', async () => {
    const { client, email } = await confirmed()
    const next = newEmail()
    await client.updateUser({ email: next })
    expect(fragmentOf((await ask('GET', lastSent(email).link!)).location)).toMatchObject({
      message: expect.stringContaining('other email'),
    })
    expect(fragmentOf((await ask('GET', lastSent(next).link!)).location)).toMatchObject({
      type: 'email_change',
      access_token: expect.any(String),
    })
  })

  test('with autoconfirm needs the new address alone', async () => {
    const { client, email, user } = await confirmed(newEmail(), quick)
    const next = newEmail()
    await client.updateUser({ email: next })
    expect(quick.sent.filter(({ to }) => to === email)).toEqual([])
    const { data, error } = await quick
      .client()
      .verifyOtp({ email: next, token: lastSent(next, quick).code, type: 'email_change' })
    expect(error).toBeNull()
    expect(data.user).toMatchObject({ id: user.id, email: next })
  })
})

test('a change of phone is confirmed by a code to the new number', async () => {
  const { client, user } = await confirmed()
  const phone = newPhone()
  expect((await client.updateUser({ phone })).data.user?.new_phone).toBe(phone)
  const { data, error } = await client.verifyOtp({ phone, token: lastSent(phone).code, type: 'phone_change' })
  expect(error).toBeNull()
  expect(data.user).toMatchObject({ id: user.id, phone, app_metadata: { providers: ['email', 'phone'] } })
})

test('an anonymous user becomes permanent once the address is confirmed', async () => {
  const client = server.client()
  const { data } = await client.signInAnonymously()
  const email = newEmail()
  const { data: pending } = await client.updateUser({ email })
  expect(pending.user).toMatchObject({ is_anonymous: true, new_email: email })
  const done = await client.verifyOtp({ email, token: lastSent(email).code, type: 'email_change' })
  expect(done.data.user).toMatchObject({ id: data.user!.id, email, is_anonymous: false, email_confirmed_at: expect.any(String) })
})

describe('a new password in an old session', () => {
  test('needs a code', async () => {
    const { client, email } = await confirmed()
    expect((await client.updateUser({ password: 'a new password' })).error).toBeNull()
    await db.query(
      "update auth.sessions set created_at = created_at - interval '25 hours' where user_id in (select id from auth.users where email = $1)",
      [email],
    )
    expect((await client.updateUser({ password: 'a newer password' })).error).toMatchObject({ code: 'reauthentication_needed' })
    expect((await client.updateUser({ password: 'a newer password', nonce: '000000' })).error).toMatchObject({
      code: 'reauthentication_not_valid',
    })
    expect((await client.reauthenticate()).error).toBeNull()
    const { code, kind, link } = lastSent(email)
    expect({ kind, link }).toEqual({ kind: 'reauthentication', link: undefined })
    expect(await verify({ email, token: code, type: 'email' })).toMatchObject(expired)
    expect((await client.updateUser({ password: 'a newer password', nonce: code })).error).toBeNull()
    expect((await client.updateUser({ password: 'the newest password', nonce: code })).error).toMatchObject({
      code: 'reauthentication_not_valid',
    })
  })

  test('voids the codes that are under way', async () => {
    const { client, email } = await confirmed()
    await server.client().resetPasswordForEmail(email)
    const { code } = lastSent(email)
    await client.updateUser({ password: 'a new password' })
    expect(await verify({ email, token: code, type: 'recovery' })).toMatchObject(expired)
  })
})

test('a code that cannot be sent is an error, and another one can be asked for', async () => {
  const { email } = await confirmed()
  const push = server.sent.push.bind(server.sent)
  server.sent.push = () => {
    throw new Error('the mail server is away')
  }
  try {
    expect(await ask('POST', '/otp', { email })).toMatchObject({
      status: 500,
      body: { code: 'unexpected_failure', message: 'Error sending email' },
    })
  } finally {
    server.sent.push = push
  }
  expect(await ask('POST', '/otp', { email })).toMatchObject({ status: 200 })
})
