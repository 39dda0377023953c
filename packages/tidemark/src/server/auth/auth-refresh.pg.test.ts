import { decodeJwt } from 'jose'
import pg from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { useClient } from '../../testing/postgres/use-database.js'
import { clientOf, useAuthServer } from '../testing/use-auth-server.js'

const clock = createFakeClock(Date.UTC(2030, 0, 1))
const server = useAuthServer({ env: { TIDEMARK_AUTH_AUTOCONFIRM: 'true' }, clock })
const strict = useAuthServer({
  env: { TIDEMARK_AUTH_AUTOCONFIRM: 'true', TIDEMARK_AUTH_REFRESH_AFTER_LOST_ANSWER: 'false' },
  clock,
})
const db = useClient({
  get url() {
    return server.databaseUrl
  },
})
const password = 'correct horse'
let people = 0

interface Session {
  readonly access_token: string
  readonly refresh_token: string
  readonly user: { readonly id: string }
}

const post = async (url: string, path: string, body: unknown) => {
  const response = await fetch(`${url}/auth/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-supabase-api-version': '2024-01-01' },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Session & { code?: string; message?: string } }
}

const signUp = async ({ url } = server): Promise<Session> => {
  people += 1
  const { status, body } = await post(url, '/signup', { email: `tab${people}@example.com`, password })
  expect(status).toBe(200)
  return body
}
const refresh = (refresh_token: string, { url } = server) => post(url, '/token?grant_type=refresh_token', { refresh_token })
const refreshed = async (token: string, from = server): Promise<Session> => {
  const { status, body } = await refresh(token, from)
  expect(body).toMatchObject({ refresh_token: expect.any(String) })
  expect(status).toBe(200)
  return body
}
const isAlive = async ({ access_token }: Session, { url } = server): Promise<boolean> =>
  (await fetch(`${url}/auth/v1/user`, { headers: { authorization: `Bearer ${access_token}` } })).status === 200

const alreadyUsed = { status: 400, body: { code: 'refresh_token_already_used', message: 'Invalid Refresh Token: Already Used' } }

describe('rotation', () => {
  test('gives another token each time, of the same session', async () => {
    const first = await signUp()
    await clock.advance(60_000)
    const second = await refreshed(first.refresh_token)
    await clock.advance(60_000)
    const third = await refreshed(second.refresh_token)
    expect(new Set([first, second, third].map(({ refresh_token }) => refresh_token)).size).toBe(3)
    const sessions = [first, second, third].map(({ access_token }) => decodeJwt(access_token))
    expect(new Set(sessions.map((claims) => claims['session_id'])).size).toBe(1)
    expect(sessions[2]!.iat! - sessions[0]!.iat!).toBe(120)
    expect(sessions[2]!['amr']).toEqual(sessions[0]!['amr'])
  })

  test('carries what has become of the user', async () => {
    const { refresh_token, user } = await signUp()
    await server.admin().updateUserById(user.id, { app_metadata: { plan: 'pro' } })
    const { access_token } = await refreshed(refresh_token)
    expect(decodeJwt(access_token)['app_metadata']).toMatchObject({ plan: 'pro' })
  })

  test('by the client itself', async () => {
    const { refresh_token, access_token } = await signUp()
    const client = clientOf(server.url, server.anon)
    const { data, error } = await client.refreshSession({ refresh_token })
    expect(error).toBeNull()
    expect(data.session?.access_token).not.toBe('')
    expect(data.session?.refresh_token).not.toBe(refresh_token)
    expect(decodeJwt(data.session!.access_token).sub).toBe(decodeJwt(access_token).sub)
  })
})

describe('a used token', () => {
  test('within ten seconds gives the token that is active now', async () => {
    const first = await signUp()
    const second = await refreshed(first.refresh_token)
    const third = await refreshed(second.refresh_token)
    await clock.advance(9_000)
    for (const used of [first, second]) {
      const again = await refreshed(used.refresh_token)
      expect(again.refresh_token).toBe(third.refresh_token)
    }
    expect((await refreshed(third.refresh_token)).refresh_token).not.toBe(third.refresh_token)
  })

  test('later ends the session, for the thief and for the owner', async () => {
    const first = await signUp()
    const second = await refreshed(first.refresh_token)
    const third = await refreshed(second.refresh_token)
    await clock.advance(10_001)
    expect(await refresh(first.refresh_token)).toMatchObject(alreadyUsed)
    for (const token of [third, second, first])
      expect(await refresh(token.refresh_token)).toMatchObject({ status: 400, body: { code: 'refresh_token_not_found' } })
    expect(await isAlive(third)).toBe(false)
    const { rows } = await db.query("select payload from auth.audit_log_entries where payload ->> 'action' = 'token_revoked'")
    expect(rows.map(({ payload }) => payload.actor_id)).toContain(first.user.id)
  })

  test('other sessions of the user go on', async () => {
    const first = await signUp()
    const other = (await post(server.url, '/token?grant_type=password', { email: `tab${people}@example.com`, password })).body
    const second = await refreshed(first.refresh_token)
    await refreshed(second.refresh_token)
    await clock.advance(10_001)
    expect(await refresh(first.refresh_token)).toMatchObject(alreadyUsed)
    expect(await isAlive(other)).toBe(true)
    await refreshed(other.refresh_token)
  })

  test('that is the last before the active one is taken any time: its answer may have been lost', async () => {
    const first = await signUp()
    const lost = await refreshed(first.refresh_token)
    await clock.advance(3_600_000)
    const again = await refreshed(first.refresh_token)
    expect(again.refresh_token).toBe(lost.refresh_token)
    const next = await refreshed(again.refresh_token)
    await clock.advance(10_001)
    expect(await refresh(first.refresh_token)).toMatchObject(alreadyUsed)
    expect(await isAlive(next)).toBe(false)
  })

  test('is not, where the configuration says so', async () => {
    const first = await signUp(strict)
    const second = await refreshed(first.refresh_token, strict)
    await clock.advance(9_999)
    expect((await refreshed(first.refresh_token, strict)).refresh_token).toBe(second.refresh_token)
    await clock.advance(2)
    expect(await refresh(first.refresh_token, strict)).toMatchObject(alreadyUsed)
    expect(await isAlive(second, strict)).toBe(false)
  })

  test('cannot be got from the database, nor the one that follows it', async () => {
    const first = await signUp()
    const second = await refreshed(first.refresh_token)
    const { rows } = await db.query('select t.*, t::text as everything from auth.refresh_tokens t where user_id = $1', [
      first.user.id,
    ])
    expect(rows).toHaveLength(2)
    for (const row of rows) {
      expect(row.everything).not.toContain(first.refresh_token)
      expect(row.everything).not.toContain(second.refresh_token)
      expect(await refresh(row.token)).toMatchObject({ body: { code: 'refresh_token_not_found' } })
    }
    await clock.advance(10_001)
    const third = await refreshed(second.refresh_token)
    await clock.advance(10_001)
    await refreshed(third.refresh_token)
    const kept = await db.query('select count(successor)::int as n from auth.refresh_tokens where user_id = $1', [first.user.id])
    expect(kept.rows).toEqual([{ n: 1 }])
  })
})

describe('at once', () => {
  test('two tabs both end with a session that is alive', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { refresh_token } = await signUp()
      const tabs = await Promise.all([refreshed(refresh_token), refreshed(refresh_token)])
      expect(tabs[0].refresh_token).toBe(tabs[1].refresh_token)
      for (const tab of tabs) expect(await isAlive(tab)).toBe(true)
      await clock.advance(60_000)
      const next = await Promise.all(tabs.map((tab) => refreshed(tab.refresh_token)))
      expect(new Set(next.map((tab) => tab.refresh_token)).size).toBe(1)
    }
  })

  test('thirty refreshes leave one active token', async () => {
    const { refresh_token, user } = await signUp()
    const all = await Promise.all(Array.from({ length: 30 }, () => refreshed(refresh_token)))
    expect(new Set(all.map((session) => session.refresh_token)).size).toBe(1)
    const { rows } = await db.query(
      'select count(*)::int as n, count(*) filter (where not revoked)::int as active from auth.refresh_tokens where user_id = $1',
      [user.id],
    )
    expect(rows).toEqual([{ n: 2, active: 1 }])
  })

  test('through several servers they wait for each other in the database', async () => {
    const { refresh_token } = await signUp()
    const { refreshSession } = await import('../../auth/flows/refresh.js')
    const alone = { ...server.auth.context, share: <T>(_key: string, work: () => Promise<T>) => work() }
    const request = { ip: '127.0.0.1', userAgent: undefined, redirectTo: '' }
    const answers = await Promise.all(Array.from({ length: 5 }, () => refreshSession(alone, { refresh_token }, request)))
    expect(new Set(answers.map(({ body }) => (body as Session).refresh_token)).size).toBe(1)
    expect(new Set(answers.map(({ body }) => (body as Session).access_token)).size).toBe(5)
  })

  test('refresh and logout: whichever comes last, nobody is left with half a session', async () => {
    for (let round = 0; round < 5; round += 1) {
      const session = await signUp()
      const [{ body }] = await Promise.all([
        refresh(session.refresh_token),
        fetch(`${server.url}/auth/v1/logout`, { method: 'POST', headers: { authorization: `Bearer ${session.access_token}` } }),
      ])
      if (body.access_token) expect(await isAlive(body)).toBe(false)
      const { rows } = await db.query('select count(*)::int as n from auth.refresh_tokens where user_id = $1', [session.user.id])
      expect(rows).toEqual([{ n: 0 }])
    }
  })
})

describe('in the middle of a refresh', () => {
  const blocker = new pg.Client({
    get connectionString() {
      return server.databaseUrl
    },
  } as pg.ClientConfig)
  afterAll(() => blocker.end())

  test('a connection that dies loses nothing: the old token still works', async () => {
    await blocker.connect()
    const { refresh_token, user } = await signUp()
    await blocker.query('begin')
    await blocker.query('select from auth.sessions where user_id = $1 for update', [user.id])
    const pending = refresh(refresh_token)
    const waiting = async () =>
      (await blocker.query("select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"))
        .rows[0]
    let victim = await waiting()
    while (!victim) victim = await waiting()
    await blocker.query('select pg_terminate_backend($1)', [victim.pid])
    const { status, body } = await pending
    expect(status).toBeGreaterThanOrEqual(500)
    expect(body.code).toBe('unexpected_failure')
    await blocker.query('rollback')
    expect((await refreshed(refresh_token)).refresh_token).not.toBe(refresh_token)
  })

  test('a session that stays locked answers with a conflict, not with silence', async () => {
    const { refresh_token, user } = await signUp()
    await blocker.query('begin')
    await blocker.query('select from auth.sessions where user_id = $1 for update', [user.id])
    const { status, body } = await refresh(refresh_token)
    await blocker.query('rollback')
    expect({ status, code: body.code }).toEqual({ status: 409, code: 'conflict' })
  })
})

test('a session that has run out is not refreshed', async () => {
  const { refresh_token, user } = await signUp()
  await db.query('update auth.sessions set not_after = $2 where user_id = $1', [user.id, new Date(clock.now() - 1)])
  expect(await refresh(refresh_token)).toMatchObject({ status: 400, body: { code: 'session_expired' } })
})

test.each([[''], ['x'], ["' or '1'='1"], ['a'.repeat(5000)], [{ a: 1 }], [['x']], [null]])(
  '%j is no token',
  async (refresh_token) => {
    const { status } = await post(server.url, '/token?grant_type=refresh_token', { refresh_token })
    expect(status).toBe(400)
  },
)
