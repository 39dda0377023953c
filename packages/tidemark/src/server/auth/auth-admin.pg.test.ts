import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { useClient } from '../../testing/postgres/use-database.js'
import { clientOf, useAuthServer } from '../testing/use-auth-server.js'

const server = useAuthServer({ env: { TIDEMARK_AUTH_AUTOCONFIRM: 'false', TIDEMARK_AUTH_SITE_URL: 'https://app.example.com' } })
const db = useClient({
  get url() {
    return server.databaseUrl
  },
})
const password = 'correct horse'
let people = 0
const newEmail = () => {
  people += 1
  return `admin${people}@example.com`
}

const ask = async (method: string, path: string, { key = server.service, body }: { key?: string; body?: unknown } = {}) => {
  const response = await fetch(`${server.url}/auth/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'x-supabase-api-version': '2024-01-01' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    redirect: 'manual',
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
}
const made = async (attributes: object = {}) => {
  const { data, error } = await server.admin().createUser({ email: newEmail(), password, email_confirm: true, ...attributes })
  if (error) throw error
  return data.user!
}

describe('only for who holds a service key', () => {
  const paths = [
    ['GET', '/admin/users'],
    ['POST', '/admin/users'],
    ['GET', `/admin/users/${randomUUID()}`],
    ['PUT', `/admin/users/${randomUUID()}`],
    ['DELETE', `/admin/users/${randomUUID()}`],
    ['POST', '/admin/generate_link'],
    ['POST', '/invite'],
  ] as const
  test.each(paths)('%s %s', async (method, path) => {
    const email = newEmail()
    await made({ email })
    const { data } = await server.client().signInWithPassword({ email, password })
    const body = method === 'GET' ? undefined : {}
    for (const key of [server.anon, data.session!.access_token])
      expect(await ask(method, path, { key, body })).toMatchObject({ status: 403, body: { code: 'not_admin' } })
    expect(await ask(method, path, { key: 'a.b.c', body })).toMatchObject({ status: 403, body: { code: 'bad_jwt' } })
    const nobody = await fetch(`${server.url}/auth/v1${path}`, { method })
    expect(nobody.status).toBe(401)
  })

  test('and nobody is made one by what they write about themselves', async () => {
    const email = newEmail()
    await made({ email })
    const client = server.client()
    await client.signInWithPassword({ email, password })
    await client.updateUser({ data: { role: 'service_role' } })
    const { data } = await client.refreshSession()
    expect(await ask('GET', '/admin/users', { key: data.session!.access_token })).toMatchObject({ status: 403 })
  })
})

describe('users are made', () => {
  test('with everything at once', async () => {
    const id = randomUUID()
    const user = await made({
      id,
      phone: '+49 151 7000001',
      phone_confirm: true,
      user_metadata: { name: 'Ana' },
      app_metadata: { plan: 'gold' },
      role: 'authenticated',
      ban_duration: '1h',
    })
    expect(user).toMatchObject({
      id,
      phone: '491517000001',
      email_confirmed_at: expect.any(String),
      phone_confirmed_at: expect.any(String),
      user_metadata: { name: 'Ana', email_verified: true },
      app_metadata: { provider: 'email', providers: ['email', 'phone'], plan: 'gold' },
      banned_until: expect.any(String),
    })
    expect(user.identities?.map(({ provider }) => provider).sort()).toEqual(['email', 'phone'])
  })

  test('with metadata that is exactly what was given, where nothing is confirmed', async () => {
    const user = await made({ email_confirm: false, user_metadata: { a: { b: [1] } } })
    expect(user.user_metadata).toEqual({ a: { b: [1] } })
    expect(user.email_confirmed_at).toBeUndefined()
  })

  test('with a hash of a password that is known here, and with no other', async () => {
    const { hashPassword } = await import('../../auth/passwords/password-hash.js')
    const email = newEmail()
    const password_hash = await hashPassword('from elsewhere', { logN: 8, r: 8, p: 1 })
    await server.admin().createUser({ email, password_hash, email_confirm: true })
    expect((await server.client().signInWithPassword({ email, password: 'from elsewhere' })).error).toBeNull()
    const bcrypt = '$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'
    const { error } = await server.admin().createUser({ email: newEmail(), password_hash: bcrypt })
    expect(error).toMatchObject({ status: 400, code: 'validation_failed', message: expect.stringContaining('scrypt') })
  })

  test('without a password cannot sign in with any', async () => {
    const email = newEmail()
    await server.admin().createUser({ email, email_confirm: true })
    for (const guess of ['', ' ', 'undefined', 'null'])
      expect((await ask('POST', '/token?grant_type=password', { body: { email, password: guess } })).status).toBe(400)
  })

  test.each([
    [{}, 400, 'validation_failed'],
    [{ email: 'x' }, 400, 'validation_failed'],
    [{ email: 'a@b.co', id: 'x' }, 400, 'validation_failed'],
    [{ email: 'a@b.co', id: '00000000-0000-0000-0000-000000000000' }, 400, 'validation_failed'],
    [{ email: 'a@b.co', password: '123' }, 422, 'weak_password'],
    [{ email: 'a@b.co', ban_duration: 'soon' }, 400, 'validation_failed'],
    [{ email: 'a@b.co', role: 'none' }, 400, 'validation_failed'],
    [{ email: 'a@b.co', password: '123456', password_hash: 'x' }, 400, 'validation_failed'],
    [{ email: 'a@b.co', app_metadata: { a: '\0' } }, 422, 'validation_failed'],
  ])('not from %j', async (body, status, code) => {
    expect(await ask('POST', '/admin/users', { body })).toMatchObject({ status, body: { code } })
  })

  test('once for each address', async () => {
    const { email } = await made({ phone: '4915170000099' })
    expect(await ask('POST', '/admin/users', { body: { email } })).toMatchObject({ status: 422, body: { code: 'email_exists' } })
    expect(await ask('POST', '/admin/users', { body: { phone: '4915170000099' } })).toMatchObject({
      status: 422,
      body: { code: 'phone_exists' },
    })
  })
})

describe('users are changed', () => {
  test('in any part, merged where it is metadata', async () => {
    const user = await made({ user_metadata: { a: 1, b: 2 }, app_metadata: { plan: 'gold' } })
    const email = newEmail()
    const { data, error } = await server.admin().updateUserById(user.id, {
      email,
      email_confirm: true,
      user_metadata: { b: null, c: 3 },
      app_metadata: { plan: null, seats: 5 },
      role: 'editor',
    })
    expect(error).toBeNull()
    expect(data.user).toMatchObject({
      email,
      role: 'editor',
      user_metadata: { a: 1, c: 3 },
      app_metadata: { provider: 'email', seats: 5 },
      identities: [{ identity_data: { email, email_verified: true } }],
    })
    expect(data.user?.user_metadata).not.toHaveProperty('b')
    expect(data.user?.app_metadata).not.toHaveProperty('plan')
  })

  test('and signed out everywhere by a new password', async () => {
    const user = await made()
    const client = server.client()
    const { data } = await client.signInWithPassword({ email: user.email!, password })
    await server.admin().updateUserById(user.id, { password: 'a new password' })
    expect((await client.getUser(data.session!.access_token)).error).toMatchObject({ name: 'AuthSessionMissingError' })
  })

  test('not into somebody else, and not where there is nobody', async () => {
    const [ana, ben] = [await made(), await made()]
    expect(await ask('PUT', `/admin/users/${ana.id}`, { body: { email: ben.email } })).toMatchObject({
      status: 422,
      body: { code: 'email_exists' },
    })
    expect(await ask('PUT', `/admin/users/${ana.id}`, { body: { email: ana.email } })).toMatchObject({ status: 200 })
    for (const method of ['GET', 'PUT', 'DELETE']) {
      expect(await ask(method, `/admin/users/${randomUUID()}`, method === 'GET' ? {} : { body: {} })).toMatchObject({
        status: 404,
        body: { code: 'user_not_found' },
      })
      expect(await ask(method, '/admin/users/me', method === 'GET' ? {} : { body: {} })).toMatchObject({
        status: 404,
        body: { code: 'validation_failed' },
      })
    }
  })
})

describe('users are deleted', () => {
  test('with all that is theirs', async () => {
    const user = await made()
    await server.client().signInWithPassword({ email: user.email!, password })
    expect((await server.admin().deleteUser(user.id)).error).toBeNull()
    for (const table of ['identities', 'sessions', 'one_time_tokens'])
      expect((await db.query(`select from auth.${table} where user_id = $1`, [user.id])).rowCount).toBe(0)
    expect((await made({ email: user.email })).id).not.toBe(user.id)
  })

  test('softly: only the id is left', async () => {
    const user = await made({ user_metadata: { name: 'Ana' } })
    const { data } = await server.client().signInWithPassword({ email: user.email!, password })
    expect((await server.admin().deleteUser(user.id, true)).error).toBeNull()
    const { rows } = await db.query('select u::text as text, deleted_at from auth.users u where id = $1', [user.id])
    expect(rows[0].deleted_at).toBeInstanceOf(Date)
    expect(rows[0].text).not.toMatch(new RegExp(`${user.email}|Ana|scrypt`))
    expect((await server.client().signInWithPassword({ email: user.email!, password })).error).toMatchObject({
      code: 'invalid_credentials',
    })
    expect((await server.client().getUser(data.session!.access_token)).error).not.toBeNull()
    expect((await made({ email: user.email })).id).not.toBe(user.id)
  })

  test('not while a table of the application forbids it', async () => {
    const user = await made()
    await db.query('create table invoices (owner uuid references auth.users (id)); grant select on invoices to service_role')
    await db.query('insert into invoices values ($1)', [user.id])
    expect(await ask('DELETE', `/admin/users/${user.id}`, { body: {} })).toMatchObject({
      status: 500,
      body: { message: 'Database error deleting user' },
    })
    await db.query('drop table invoices')
    expect(await ask('DELETE', `/admin/users/${user.id}`, { body: {} })).toMatchObject({ status: 200, body: {} })
  })
})

test('users are listed page by page, the newest first', async () => {
  await db.query('delete from auth.users')
  const emails: string[] = []
  for (let n = 0; n < 7; n += 1) emails.unshift((await made({ user_metadata: { full_name: `Number ${n}` } })).email!)
  const first = await server.admin().listUsers({ page: 1, perPage: 3 })
  expect(first.data).toMatchObject({ total: 7, nextPage: 2, lastPage: 3, aud: 'authenticated' })
  const pages = [
    first,
    await server.admin().listUsers({ page: 2, perPage: 3 }),
    await server.admin().listUsers({ page: 3, perPage: 3 }),
  ]
  expect(pages.flatMap(({ data }) => data.users.map(({ email }) => email))).toEqual(emails)
  expect(pages[2]!.data).toMatchObject({ nextPage: null })
  const beyond = await server.admin().listUsers({ page: 9, perPage: 3 })
  expect(beyond.data).toMatchObject({ users: [], total: 7 })
  expect((await ask('GET', '/admin/users?sort=created_at%20asc&per_page=1')).body.users[0].email).toBe(emails.at(-1))
  expect((await ask('GET', '/admin/users?filter=Number%203')).body.users).toHaveLength(1)
  expect((await ask('GET', '/admin/users?filter=%25')).body.users).toHaveLength(0)
  for (const query of ['page=x', 'per_page=-1', 'sort=email', 'sort=created_at%20desc;drop%20table%20x'])
    expect(await ask('GET', `/admin/users?${query}`)).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
})

describe('links are made', () => {
  const link = (body: object) => ask('POST', '/admin/generate_link', { body })

  test.each([['signup'], ['invite'], ['magiclink']])('to sign up with: %s', async (type) => {
    const email = newEmail()
    const before = server.sent.length
    const { status, body } = await link({ type, email, password, data: { a: 1 } })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      email,
      email_otp: expect.stringMatching(/^\d{6}$/),
      hashed_token: expect.stringMatching(/^[0-9a-f]{64}$/),
      verification_type: type === 'invite' ? 'invite' : 'signup',
      redirect_to: 'https://app.example.com',
      user_metadata: { a: 1 },
    })
    expect(server.sent.length).toBe(before)
    const { data, error } = await server.client().verifyOtp({ token_hash: body.hashed_token, type: body.verification_type })
    expect(error).toBeNull()
    expect(data.user).toMatchObject({ email, email_confirmed_at: expect.any(String) })
  })

  test.each([['magiclink'], ['recovery']])('for somebody known: %s', async (type) => {
    const user = await made()
    const { body } = await link({ type, email: user.email })
    const { headers } = await ask('GET', body.action_link.replace(`${server.url}/auth/v1`, ''))
    expect(headers.get('location')).toMatch(/^https:\/\/app\.example\.com\/#access_token=/)
    expect((await server.client().verifyOtp({ email: user.email!, token: body.email_otp, type: 'email' })).error).not.toBeNull()
  })

  test('for a change of email, of both addresses', async () => {
    const user = await made()
    const newOne = newEmail()
    const client = server.client()
    const current = (await link({ type: 'email_change_current', email: user.email, new_email: newOne })).body
    const next = (await link({ type: 'email_change_new', email: user.email, new_email: newOne })).body
    expect((await client.verifyOtp({ token_hash: current.hashed_token, type: 'email_change' })).data.user).toBeNull()
    const { data } = await client.verifyOtp({ token_hash: next.hashed_token, type: 'email_change' })
    expect(data.user).toMatchObject({ id: user.id, email: newOne })
  })

  test.each([
    [{ type: 'nonsense', email: 'a@b.co' }, 400, 'validation_failed'],
    [{ type: 'recovery', email: 'nobody@example.com' }, 404, 'user_not_found'],
    [{ type: 'signup', email: 'a@b.co' }, 400, 'validation_failed'],
    [{ type: 'signup', email: 'a@b.co', password: '1' }, 422, 'weak_password'],
    [{ type: 'email_change_new', email: 'nobody@example.com', new_email: 'x@y.zz' }, 404, 'user_not_found'],
  ])('not from %j', async (body, status, code) => {
    expect(await link(body)).toMatchObject({ status, body: { code } })
  })

  test('not to sign up with for somebody who is there', async () => {
    const { email } = await made()
    for (const type of ['signup', 'invite'])
      expect(await link({ type, email, password })).toMatchObject({ status: 422, body: { code: 'email_exists' } })
  })
})

test('somebody who is invited takes over by the link, and sets a password', async () => {
  const email = newEmail()
  const { data, error } = await server.admin().inviteUserByEmail(email, { data: { team: 'a' } })
  expect(error).toBeNull()
  expect(data.user).toMatchObject({ email, invited_at: expect.any(String) })
  const { kind, tokenHash } = server.sent.at(-1)!
  expect(kind).toBe('invite')
  const client = server.client()
  expect((await client.verifyOtp({ token_hash: tokenHash!, type: 'invite' })).data.user).toMatchObject({
    user_metadata: { team: 'a' },
  })
  expect((await client.updateUser({ password })).error).toBeNull()
  expect((await server.client().signInWithPassword({ email, password })).error).toBeNull()
  expect((await server.admin().inviteUserByEmail(email)).error).toMatchObject({ code: 'email_exists' })
})

test('who signs up under an address that was invited learns nothing of the invitation', async () => {
  const email = newEmail()
  await server.admin().inviteUserByEmail(email, { data: { salary: 100 } })
  const { data } = await clientOf(server.url, server.anon).signUp({ email, password })
  expect(JSON.stringify(data)).not.toContain('salary')
})
