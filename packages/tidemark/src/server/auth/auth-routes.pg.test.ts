import { decodeJwt, decodeProtectedHeader } from 'jose'
import { describe, expect, test } from 'vitest'
import { addSigningKey } from '../../auth/keys/change-keys.js'
import { useClient } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import { clientOf, useAuthServer } from '../testing/use-auth-server.js'

const server = useAuthServer({ env: { TIDEMARK_AUTH_AUTOCONFIRM: 'true' } })
const db = useClient({
  get url() {
    return server.databaseUrl
  },
})
const password = 'correct horse'
let people = 0
const another = () => {
  people += 1
  return people
}
const newEmail = () => `person${another()}@example.com`
const newPhone = () => `4915100000${another()}`

const signedUp = async (email = newEmail()) => {
  const client = server.client()
  const { data, error } = await client.signUp({ email, password })
  if (error || !data.session) throw error ?? new Error('no session')
  return { client, email, session: data.session, user: data.user! }
}

/** A request without a client in between. */
const ask = async (
  method: string,
  path: string,
  { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {},
) => {
  const response = await fetch(`${server.url}/auth/v1${path}`, {
    method,
    headers: { apikey: server.anon, 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    redirect: 'manual',
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const newForm = { 'x-supabase-api-version': '2024-01-01' }

describe('sign-up', () => {
  test('by email gives a session whose token says what GoTrue says', async () => {
    const before = Math.floor(Date.now() / 1000)
    const { data, error } = await server
      .client()
      .signUp({ email: 'Ana@Example.com', password, options: { data: { full_name: 'Ana' } } })
    expect(error).toBeNull()
    const { user, session } = data
    expect(user).toMatchObject({
      aud: 'authenticated',
      role: 'authenticated',
      email: 'ana@example.com',
      phone: '',
      app_metadata: { provider: 'email', providers: ['email'] },
      user_metadata: { full_name: 'Ana', email_verified: true },
      is_anonymous: false,
      identities: [
        {
          provider: 'email',
          email: 'ana@example.com',
          id: user!.id,
          user_id: user!.id,
          identity_data: {
            sub: user!.id,
            email: 'ana@example.com',
            full_name: 'Ana',
            email_verified: true,
            phone_verified: false,
          },
        },
      ],
    })
    expect(JSON.stringify(user)).not.toMatch(/scrypt|encrypted|token/)
    expect(session).toMatchObject({ token_type: 'bearer', expires_in: 3600 })
    const claims = decodeJwt(session!.access_token)
    expect(claims).toEqual({
      iss: `${server.url}/auth/v1`,
      sub: user!.id,
      aud: 'authenticated',
      iat: expect.any(Number),
      exp: claims.iat! + 3600,
      email: 'ana@example.com',
      phone: '',
      app_metadata: { provider: 'email', providers: ['email'] },
      user_metadata: { full_name: 'Ana', email_verified: true },
      role: 'authenticated',
      aal: 'aal1',
      amr: [{ method: 'password', timestamp: expect.any(Number) }],
      session_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      is_anonymous: false,
      jti: expect.any(String),
    })
    expect(claims.iat).toBeGreaterThanOrEqual(before)
    expect(session!.expires_at).toBe(claims.exp)
    expect((await server.callers.verifier.verify(session!.access_token)).claims['sub']).toBe(user!.id)
  })

  test('by phone gives a session too', async () => {
    const phone = newPhone()
    const { data, error } = await server.client().signUp({ phone: `+${phone}`, password })
    expect(error).toBeNull()
    expect(data.user).toMatchObject({ phone, app_metadata: { provider: 'phone' }, phone_confirmed_at: expect.any(String) })
    const again = await server.client().signInWithPassword({ phone: `+${phone}`, password })
    expect(again.data.user?.id).toBe(data.user?.id)
  })

  test('anonymously makes a user without a name, who becomes a permanent one', async () => {
    const client = server.client()
    const { data } = await client.signInAnonymously({ options: { data: { theme: 'dark' } } })
    expect(data.user).toMatchObject({
      is_anonymous: true,
      email: '',
      app_metadata: {},
      user_metadata: { theme: 'dark' },
      identities: [],
    })
    expect(decodeJwt(data.session!.access_token)).toMatchObject({ is_anonymous: true, amr: [{ method: 'anonymous' }] })
    const onlyPassword = await client.updateUser({ password })
    expect(onlyPassword.error).toMatchObject({ status: 422, code: 'validation_failed' })
    const email = newEmail()
    const updated = await client.updateUser({ email, password })
    expect(updated.error).toBeNull()
    expect(updated.data.user).toMatchObject({
      id: data.user!.id,
      email,
      is_anonymous: false,
      app_metadata: { provider: 'email', providers: ['email'] },
      identities: [{ provider: 'email' }],
    })
    const { data: later } = await server.client().signInWithPassword({ email, password })
    expect(later.user?.id).toBe(data.user!.id)
    expect(decodeJwt(later.session!.access_token)['is_anonymous']).toBe(false)
  })

  test('with an address that is taken is refused, in any case of letters', async () => {
    const { email } = await signedUp()
    const { error } = await server.client().signUp({ email: email.toUpperCase(), password: 'another password' })
    expect(error).toMatchObject({ status: 422, code: 'user_already_exists', message: 'User already registered' })
  })

  test('of one address by many at once makes one user', async () => {
    const email = newEmail()
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => server.client().signUp({ email, password })))
    expect(outcomes.filter(({ error }) => error === null)).toHaveLength(1)
    for (const { error } of outcomes) if (error) expect(error.code).toBe('user_already_exists')
    const { rows } = await db.query('select count(*)::int as n from auth.users where email = $1', [email])
    expect(rows).toEqual([{ n: 1 }])
  })

  test('does not take over an account that an administrator made and nobody confirmed', async () => {
    const email = newEmail()
    await server.admin().createUser({ email, password: 'of the administrator', app_metadata: { plan: 'gold' } })
    const { error } = await server.client().signUp({ email, password })
    expect(error).toMatchObject({ code: 'user_already_exists' })
    const own = await server.client().signUp({ email, password: 'of the administrator' })
    expect(own.data.user).toMatchObject({ email, app_metadata: { plan: 'gold' } })
  })

  test.each([
    [{ email: 'a@b.co', password: '12345' }, 422, 'weak_password'],
    [{ email: 'a@b.co', password: '' }, 400, 'validation_failed'],
    [{ email: 'a@b.co', password: 'x'.repeat(1001) }, 400, 'validation_failed'],
    [{ email: 'nobody', password }, 400, 'validation_failed'],
    [{ phone: 'nobody', password }, 400, 'validation_failed'],
    [{ email: 'a@b.co', phone: '4915112345', password }, 400, 'validation_failed'],
    [{ email: 'a@b.co', password, data: { a: 'x\0' } }, 422, 'validation_failed'],
    [{ email: 'a@b.co', password, data: 'x' }, 400, 'bad_json'],
    [{ email: 7, password }, 400, 'bad_json'],
    [{ phone: '4915112345', password, code_challenge: 'a'.repeat(43), code_challenge_method: 's256' }, 400, 'validation_failed'],
  ])('with %j is refused', async (body, status, code) => {
    const answer = await ask('POST', '/signup', { body, headers: newForm })
    expect(answer).toMatchObject({ status, body: { code, message: expect.any(String) } })
    expect(answer.headers.get('x-supabase-api-version')).toBe('2024-01-01')
    expect(answer.headers.get('x-sb-error-code')).toBe(code)
  })

  test('a weak password is told in both forms of errors', async () => {
    const body = { email: newEmail(), password: '123' }
    expect((await ask('POST', '/signup', { body })).body).toEqual({
      code: 422,
      error_code: 'weak_password',
      msg: 'Password should be at least 6 characters.',
      weak_password: { reasons: ['length'] },
    })
    const { error } = await server.client().signUp(body)
    expect(error).toMatchObject({ name: 'AuthWeakPasswordError', reasons: ['length'] })
  })

  test('fires the triggers of the application, with the metadata', async () => {
    await db.query(`
      create table if not exists public.profiles (id uuid primary key references auth.users (id) on delete cascade, name text);
      create or replace function public.welcome() returns trigger language plpgsql security definer set search_path = '' as $$
        begin
          if new.raw_user_meta_data ->> 'name' = 'unwelcome' then raise exception 'not this one'; end if;
          insert into public.profiles values (new.id, new.raw_user_meta_data ->> 'name');
          return new;
        end $$;
      create trigger welcome after insert on auth.users for each row execute function public.welcome()`)
    try {
      const { data } = await server.client().signUp({ email: newEmail(), password, options: { data: { name: 'Ben' } } })
      expect((await db.query('select name from profiles where id = $1', [data.user!.id])).rows).toEqual([{ name: 'Ben' }])
      const email = newEmail()
      const refused = await ask('POST', '/signup', { body: { email, password, data: { name: 'unwelcome' } }, headers: newForm })
      expect(refused).toMatchObject({ status: 500, body: { code: 'unexpected_failure', message: 'Database error saving user' } })
      expect((await db.query('select from auth.users where email = $1', [email])).rowCount).toBe(0)
      await server.admin().deleteUser(data.user!.id)
      expect((await db.query('select from profiles where id = $1', [data.user!.id])).rowCount).toBe(0)
    } finally {
      await db.query('drop trigger welcome on auth.users; drop function welcome; drop table profiles')
    }
  })
})

describe('sign-in with a password', () => {
  test('gives a session of its own', async () => {
    const { email, session, user } = await signedUp()
    const { data } = await server.client().signInWithPassword({ email: email.toUpperCase(), password })
    expect(data.user?.id).toBe(user.id)
    expect(decodeJwt(data.session!.access_token)['session_id']).not.toBe(decodeJwt(session.access_token)['session_id'])
    const { rows } = await db.query('select count(*)::int as n from auth.sessions where user_id = $1', [user.id])
    expect(rows).toEqual([{ n: 2 }])
  })

  test('is refused alike for a wrong password and for nobody', async () => {
    const { email } = await signedUp()
    for (const credentials of [
      { email, password: 'wrong' },
      { email: 'nobody@example.com', password },
      { email, password: '' },
      { email: 'a\0b', password },
      { phone: '4915199999999', password },
    ]) {
      const { status, body } = await ask('POST', '/token?grant_type=password', { body: credentials, headers: newForm })
      expect({ status, body }).toEqual({
        status: 400,
        body: { code: 'invalid_credentials', message: 'Invalid login credentials' },
      })
    }
  })

  test('tells why it does not help only to who knows the password', async () => {
    const { email, user } = await signedUp()
    await server.admin().updateUserById(user.id, { ban_duration: '24h' })
    expect((await server.client().signInWithPassword({ email, password })).error).toMatchObject({ code: 'user_banned' })
    expect((await server.client().signInWithPassword({ email, password: 'x' })).error).toMatchObject({
      code: 'invalid_credentials',
    })
    await server.admin().updateUserById(user.id, { ban_duration: 'none' })
    expect((await server.client().signInWithPassword({ email, password })).error).toBeNull()
    const unconfirmed = newEmail()
    await server.admin().createUser({ email: unconfirmed, password })
    expect((await server.client().signInWithPassword({ email: unconfirmed, password })).error).toMatchObject({
      code: 'email_not_confirmed',
    })
  })

  test('makes a hash of an older cost anew', async () => {
    const { email, user } = await signedUp()
    const { hashPassword } = await import('../../auth/passwords/password-hash.js')
    const old = await hashPassword(password, { logN: 7, r: 8, p: 1 })
    await db.query('update auth.users set encrypted_password = $2 where id = $1', [user.id, old])
    expect((await server.client().signInWithPassword({ email, password })).error).toBeNull()
    const { rows } = await db.query('select encrypted_password as hash from auth.users where id = $1', [user.id])
    expect(rows[0].hash).toMatch(/^\$scrypt\$ln=8,/)
    expect((await server.client().signInWithPassword({ email, password })).error).toBeNull()
  })

  test('says that a password has become too weak', async () => {
    const { hashPassword } = await import('../../auth/passwords/password-hash.js')
    const { email, user } = await signedUp()
    await db.query('update auth.users set encrypted_password = $2 where id = $1', [
      user.id,
      await hashPassword('abc', { logN: 8, r: 8, p: 1 }),
    ])
    const { data } = await server.client().signInWithPassword({ email, password: 'abc' })
    expect(data.weakPassword).toEqual({ message: 'Password should be at least 6 characters.', reasons: ['length'] })
  })

  test('knows no bcrypt, and says nothing about it', async () => {
    const { email, user } = await signedUp()
    const bcrypt = '$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'
    await db.query('update auth.users set encrypted_password = $2 where id = $1', [user.id, bcrypt])
    expect((await server.client().signInWithPassword({ email, password: 'secret' })).error).toMatchObject({
      code: 'invalid_credentials',
    })
  })

  test.each([
    ['/token', { email: 'a@b.co', password }, 400, 'invalid_credentials'],
    ['/token?grant_type=magic', {}, 400, 'invalid_credentials'],
    ['/token?grant_type=password', {}, 400, 'validation_failed'],
    ['/token?grant_type=password', { email: 'a@b.co', phone: '49', password }, 400, 'validation_failed'],
    ['/token?grant_type=id_token', { provider: 'google' }, 400, 'provider_disabled'],
    ['/token?grant_type=web3', {}, 422, 'web3_provider_disabled'],
    ['/token?grant_type=pkce', {}, 400, 'validation_failed'],
    ['/token?grant_type=pkce', { auth_code: 'x', code_verifier: 'y' }, 404, 'flow_state_not_found'],
    ['/token?grant_type=refresh_token', {}, 400, 'validation_failed'],
    ['/token?grant_type=refresh_token', { refresh_token: 'x' }, 400, 'refresh_token_not_found'],
  ])('%s with %j is refused', async (path, body, status, code) => {
    expect(await ask('POST', path, { body, headers: newForm })).toMatchObject({ status, body: { code } })
  })
})

describe('the signed-in user', () => {
  test('is read from the database, not from the token', async () => {
    const { client, user, session } = await signedUp()
    await server.admin().updateUserById(user.id, { app_metadata: { plan: 'pro' } })
    const { data } = await client.getUser(session.access_token)
    expect(data.user).toMatchObject({ id: user.id, app_metadata: { plan: 'pro', provider: 'email' } })
  })

  test('merges its metadata, and may not touch app_metadata', async () => {
    const { client, session } = await signedUp()
    await client.updateUser({ data: { a: 1, b: { c: 2 } } })
    const { data } = await client.updateUser({ data: { a: null, d: 3 } })
    expect(data.user?.user_metadata).toEqual({ b: { c: 2 }, d: 3, email_verified: true })
    const refused = await ask('PUT', '/user', {
      body: { app_metadata: { role: 'admin' } },
      headers: { ...bearer(session.access_token), ...newForm },
    })
    expect(refused).toMatchObject({ status: 403, body: { code: 'not_admin' } })
    const role = await ask('PUT', '/user', {
      body: { role: 'service_role', is_super_admin: true, id: 'x' },
      headers: bearer(session.access_token),
    })
    expect(role.body).toMatchObject({ role: 'authenticated' })
  })

  test('may not grow its metadata bit by bit beyond what a token holds', async () => {
    const { client } = await signedUp()
    expect((await client.updateUser({ data: { a: 'x'.repeat(5000) } })).error).toBeNull()
    expect((await client.updateUser({ data: { b: 'x'.repeat(5000) } })).error).toMatchObject({ status: 422 })
  })

  test('sets a new password, which ends all other sessions', async () => {
    const { client, email, session } = await signedUp()
    const other = server.client()
    const { data } = await other.signInWithPassword({ email, password })
    expect((await client.updateUser({ password })).error).toMatchObject({ status: 422, code: 'same_password' })
    expect((await client.updateUser({ password: 'short' })).error).toMatchObject({ name: 'AuthWeakPasswordError' })
    expect((await client.updateUser({ password: 'a new password' })).error).toBeNull()
    expect((await client.getUser(session.access_token)).error).toBeNull()
    expect((await other.getUser(data.session!.access_token)).error).toMatchObject({ name: 'AuthSessionMissingError' })
    expect((await other.refreshSession(data.session!)).error).toMatchObject({ code: 'refresh_token_not_found' })
    expect((await server.client().signInWithPassword({ email, password })).error).toMatchObject({ code: 'invalid_credentials' })
    expect((await server.client().signInWithPassword({ email, password: 'a new password' })).error).toBeNull()
  })

  test('may not take an address that somebody else has', async () => {
    const [ana, ben] = [await signedUp(), await signedUp()]
    expect((await ana.client.updateUser({ email: ben.email })).error).toMatchObject({ status: 422, code: 'email_exists' })
    const phone = newPhone()
    expect((await ana.client.updateUser({ phone })).data.user).toMatchObject({
      phone,
      app_metadata: { providers: ['email', 'phone'] },
    })
    expect((await ben.client.updateUser({ phone })).error).toMatchObject({ status: 422, code: 'phone_exists' })
  })

  test('is nobody once deleted, banned, or signed out', async () => {
    const [gone, banned, out] = [await signedUp(), await signedUp(), await signedUp()]
    await server.admin().deleteUser(gone.user.id)
    await server.admin().updateUserById(banned.user.id, { ban_duration: '1h' })
    await out.client.signOut()
    const user = (token: string) => ask('GET', '/user', { headers: { ...bearer(token), ...newForm } })
    expect(await user(gone.session.access_token)).toMatchObject({ status: 403, body: { code: 'user_not_found' } })
    expect(await user(banned.session.access_token)).toMatchObject({ status: 403, body: { code: 'user_banned' } })
    expect(await user(out.session.access_token)).toMatchObject({ status: 403, body: { code: 'session_not_found' } })
    const refreshed = await banned.client.refreshSession(banned.session)
    expect(refreshed.error).toMatchObject({ code: 'user_banned' })
  })

  test.each([
    [undefined, 401, 'no_authorization'],
    ['Basic dTpw', 401, 'no_authorization'],
    ['Bearer', 401, 'no_authorization'],
    ['Bearer a.b.c', 403, 'bad_jwt'],
    ['Bearer nonsense', 403, 'bad_jwt'],
  ])('with the header %s is nobody', async (authorization, status, code) => {
    const headers: Record<string, string> = { ...newForm, ...(authorization !== undefined && { authorization }) }
    expect(await ask('GET', '/user', { headers })).toMatchObject({ status, body: { code } })
  })

  test('is not who holds a key of the project', async () => {
    for (const key of [server.anon, server.service]) {
      expect(await ask('GET', '/user', { headers: { ...bearer(key), ...newForm } })).toMatchObject({
        status: 403,
        body: { code: 'bad_jwt', message: 'invalid claim: missing sub claim' },
      })
    }
  })
})

describe('logout', () => {
  const sessionsOf = async (email: string, n: number) => {
    const clients = Array.from({ length: n }, () => server.client())
    const sessions = []
    for (const client of clients) sessions.push((await client.signInWithPassword({ email, password })).data.session!)
    return { clients, sessions }
  }
  const alive = async (sessions: readonly { readonly access_token: string }[]) =>
    Promise.all(
      sessions.map(async ({ access_token }) => (await ask('GET', '/user', { headers: bearer(access_token) })).status === 200),
    )

  test.each([
    ['global', [false, false, false]],
    ['local', [false, true, true]],
    ['others', [true, false, false]],
  ] as const)('%s', async (scope, expected) => {
    const { email } = await signedUp()
    const { clients, sessions } = await sessionsOf(email, 3)
    const { error } = await clients[0]!.signOut({ scope })
    expect(error).toBeNull()
    expect(await alive(sessions)).toEqual(expected)
  })

  test('of an unknown scope is refused; without a session everything ends', async () => {
    const { session } = await signedUp()
    const headers = { ...bearer(session.access_token), ...newForm }
    expect(await ask('POST', '/logout?scope=all', { headers })).toMatchObject({
      status: 400,
      body: { code: 'validation_failed' },
    })
    expect(await ask('POST', '/logout', { headers })).toMatchObject({ status: 204, body: undefined })
  })
})

describe('what is not served is refused clearly', () => {
  test('to who is not signed in, that is said first', async () => {
    expect(await ask('POST', '/factors', { body: { factor_type: 'totp' }, headers: newForm })).toMatchObject({
      status: 401,
      body: { code: 'no_authorization', message: 'This endpoint requires a Bearer token' },
    })
    const { data } = await server.client().signInWithIdToken({ provider: 'google', token: 'x' })
    expect(data.session).toBeNull()
    expect(
      await ask('POST', '/token?grant_type=id_token', { body: { provider: 'google', id_token: 'x' }, headers: newForm }),
    ).toMatchObject({
      status: 400,
      body: { code: 'provider_disabled', message: 'Provider (issuer "https://accounts.google.com") is not enabled' },
    })
    expect(await ask('GET', '/admin/users/x/factors', { headers: { ...bearer(server.service), ...newForm } })).toMatchObject({
      status: 404,
    })
    expect(await ask('GET', '/admin/users/x/factors', { headers: newForm })).toMatchObject({
      status: 403,
      body: { code: 'not_admin' },
    })
  })

  test.each([
    ['POST', '/factors', 422, 'mfa_totp_enroll_not_enabled'],
    ['POST', '/factors/x/verify', 422, 'mfa_totp_verify_not_enabled'],
    ['DELETE', '/factors/x', 404, 'mfa_factor_not_found'],
    ['GET', '/authorize?provider=google', 400, 'validation_failed'],
    ['POST', '/sso', 404, 'saml_provider_disabled'],
    ['GET', '/user/identities/authorize', 404, 'manual_linking_disabled'],
    ['POST', '/passkeys/registration/options', 404, 'passkey_disabled'],
    ['GET', '/oauth/authorizations/x', 404, 'oauth_provider_not_supported'],
    ['GET', '/nothing', 404, 'not_found'],
    ['PATCH', '/user', 404, 'not_found'],
  ])('%s %s', async (method, path, status, code) => {
    const { session } = await signedUp()
    const headers = { ...bearer(session.access_token), ...newForm }
    expect(await ask(method, path, { headers, ...(method === 'POST' && { body: {} }) })).toMatchObject({ status, body: { code } })
  })
})

describe('HTTP', () => {
  test('pages of any origin may call', async () => {
    const preflight = await fetch(`${server.url}/auth/v1/token?grant_type=password`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'apikey,authorization,x-client-info,content-type',
      },
    })
    expect(preflight.status).toBe(204)
    expect(Object.fromEntries(preflight.headers)).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, POST, PUT, DELETE',
      'access-control-allow-headers': 'apikey,authorization,x-client-info,content-type',
    })
    const answer = await fetch(`${server.url}/auth/v1/settings`, {
      headers: { origin: 'https://app.example', apikey: server.anon },
    })
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull()
  })

  test('a wrong key is refused, as by the gateway of Supabase', async () => {
    const refused = { message: 'Invalid API key', hint: 'Double check your Supabase `anon` or `service_role` API key.' }
    for (const path of ['/settings', '/user']) {
      expect(await ask('GET', path, { headers: { apikey: 'sb_publishable_wrong' } })).toMatchObject({ status: 401 })
    }
    expect((await ask('GET', '/settings', { headers: { apikey: 'wrong' } })).body).toEqual(refused)
  })

  test('bodies that are no JSON, or too large, are refused', async () => {
    expect(await ask('POST', '/signup', { body: '{"email"', headers: newForm })).toMatchObject({
      status: 400,
      body: { code: 'bad_json' },
    })
    expect(await ask('POST', '/signup', { body: `"${'x'.repeat(70_000)}"`, headers: newForm })).toMatchObject({ status: 413 })
    expect(await ask('POST', '/signup', { body: '{"__proto__":{"email":"x"}}', headers: newForm })).toMatchObject({ status: 200 })
    const plain = await ask('POST', '/token?grant_type=password', {
      body: '{"email":"a@b.co","password":"x"}',
      headers: { 'content-type': 'text/plain', ...newForm },
    })
    expect(plain).toMatchObject({ status: 400, body: { code: 'invalid_credentials' } })
  })

  test('settings and health tell what there is', async () => {
    const { body } = await ask('GET', '/settings')
    expect(body).toMatchObject({
      external: { email: true, phone: true, anonymous_users: true, google: false },
      disable_signup: false,
      mailer_autoconfirm: true,
      phone_autoconfirm: true,
      saml_enabled: false,
    })
    expect((await fetch(`${server.url}/auth/v1/health`)).status).toBe(200)
  })

  test('answers with tokens are kept by nobody', async () => {
    const { email } = await signedUp()
    const { headers } = await ask('POST', '/token?grant_type=password', { body: { email, password } })
    expect(headers.get('cache-control')).toBe('no-store')
  })
})

test('an ES256 key signs new sessions, which clients verify by the published keys; the old ones still count', async () => {
  const before = await signedUp()
  expect((await ask('GET', '/.well-known/jwks.json')).body).toEqual({ keys: [] })
  await addSigningKey(server.state)
  const published = async () => (await ask('GET', '/.well-known/jwks.json')).body.keys as readonly Record<string, unknown>[]
  const [key] = await until(async () => ((await published()).length > 0 ? published() : false))
  expect(key).toEqual({
    kty: 'EC',
    crv: 'P-256',
    alg: 'ES256',
    use: 'sig',
    key_ops: ['verify'],
    kid: expect.any(String),
    x: expect.any(String),
    y: expect.any(String),
  })
  const { client, session } = await signedUp()
  expect(decodeProtectedHeader(session.access_token)).toEqual({ alg: 'ES256', kid: key!['kid'], typ: 'JWT' })
  const { data, error } = await client.getClaims(session.access_token)
  expect(error).toBeNull()
  expect(data?.header.alg).toBe('ES256')
  expect((await client.getUser(session.access_token)).error).toBeNull()
  expect((await before.client.getUser(before.session.access_token)).error).toBeNull()
})

test('opaque keys do what the JWT keys do', async () => {
  const { listKeys } = await import('../../auth/keys/change-keys.js')
  const keys = await listKeys(server.state)
  const [publishable, secret] = ['publishable', 'secret'].map((kind) => keys.find((key) => key.kind === kind)!.value!)
  const { data } = await clientOf(server.url, publishable!).signUp({ email: newEmail(), password })
  expect(data.session).not.toBeNull()
  expect((await clientOf(server.url, secret!).admin.getUserById(data.user!.id)).error).toBeNull()
  expect((await clientOf(server.url, publishable!).admin.getUserById(data.user!.id)).error).toMatchObject({ code: 'not_admin' })
})

test('SEC-2: what Postgres says of a row that it refuses stays out of the log', async () => {
  await db.query("alter table auth.users add constraint polite check (email <> 'rude@example.com')")
  try {
    const { status } = await ask('POST', '/signup', { body: { email: 'rude@example.com', password } })
    expect(status).toBe(500)
    const logged = server.logged.join('\n')
    expect(logged).toContain('"sqlstate":"23514"')
    expect(logged).toContain('polite')
    expect(logged).not.toMatch(/scrypt|Failing row/)
  } finally {
    await db.query('alter table auth.users drop constraint polite')
  }
})

test('SEC-2: neither the log nor the record of what happened holds a secret', async () => {
  const { session } = await signedUp()
  await ask('POST', '/token?grant_type=refresh_token', { body: { refresh_token: session.refresh_token } })
  await ask('POST', '/signup', { body: '{"password":"do not log me"' })
  const { rows } = await db.query<{ payload: object }>('select payload from auth.audit_log_entries')
  const written = [...server.logged, ...rows.map(({ payload }) => JSON.stringify(payload))].join('\n')
  expect(rows.length).toBeGreaterThan(10)
  expect(written).toContain('/auth/v1/token')
  for (const secret of [password, 'do not log me', session.refresh_token, session.access_token, 'scrypt', server.service])
    expect(written).not.toContain(secret)
  const kept = await db.query<{ token: string }>('select token from auth.refresh_tokens')
  expect(kept.rows.every(({ token }) => /^[0-9a-f]{64}$/.test(token))).toBe(true)
})
