import type { FastifyInstance } from 'fastify'
import { beforeEach, describe, expect, test } from 'vitest'
import { resolveConfig } from '../../config/config.js'
import { createMetrics } from '../../observability/metrics.js'
import { silentLogger } from '../../observability/observability.js'
import { openState } from '../../state/state.js'
import { createFakeClock, type FakeClock } from '../../testing/fake-clock.js'
import { useFolder } from '../../testing/use-folder.js'
import { createHttp } from '../http/http.js'
import { createJobs, type Jobs } from '../jobs.js'
import { createTokenCheck } from '../project/admin-token.js'
import { addJobRoutes } from './admin-routes.js'
import { addGate } from './gate.js'
import { type OperatorRole, roleOfClaims } from './operator.js'
import { createSessions, type Session, type Sessions } from './session.js'
import { addSessionRoutes } from './session-routes.js'

const folder = useFolder('operators')
const hourMs = 3_600_000
const token = 'a-token-of-some-length'

let clock: FakeClock
let sessions: Sessions

const open = async (env: Record<string, string> = {}): Promise<Sessions> => {
  const state = await openState(`${folder}/.tidemark`)
  const config = resolveConfig({ env: { TIDEMARK_ADMIN_TOKEN: token, ...env }, cwd: folder })
  return createSessions(config, state, clock)
}

beforeEach(async () => {
  clock = createFakeClock(Date.UTC(2026, 10, 22))
  sessions = await open()
})

const cookieOf = async (session: Session, from: Sessions = sessions): Promise<string> =>
  (await from.cookie(session, false)).split(';')[0]!

describe('a session', () => {
  const who = { name: 'ann', role: 'operator', began: 'token' } as const

  test('is read back from its cookie, which no script and no other site sees', async () => {
    const session = sessions.begin(who)
    expect(await sessions.read(`other=1; ${await cookieOf(session)}; last=2`)).toEqual(session)
    expect(await sessions.cookie(session, true)).toMatch(/; Path=\/admin\/v1; HttpOnly; SameSite=Strict; Secure; Max-Age=3600$/)
    expect(await sessions.cookie(undefined, false)).toMatch(/^tidemark_[0-9a-f]{10}=; .*Max-Age=0$/)
  })

  test('ends by itself, and goes on for who works, up to half a day', async () => {
    let session = sessions.begin(who)
    expect(sessions.renewed(session)).toBeUndefined()
    for (let hours = 0; hours < 11.5; hours += 0.75) {
      await clock.advance(0.75 * hourMs)
      session = sessions.renewed(session) ?? session
    }
    expect(session.endsAtMs).toBe(session.beganAtMs + 12 * hourMs)
    const cookie = await cookieOf(session)
    await clock.advance(hourMs)
    expect(await sessions.read(cookie)).toBeUndefined()
  })

  test("C2: a user's is not made longer: the role may have been taken back", async () => {
    const session = sessions.begin({ ...who, began: 'user' })
    await clock.advance(0.9 * hourMs)
    expect(sessions.renewed(session)).toBeUndefined()
  })

  test('one that somebody wrote, changed, or that another project or an earlier token signed is none', async () => {
    const cookie = await cookieOf(sessions.begin(who))
    const [head, payload, signature] = cookie.split('.')
    const admin = Buffer.from(JSON.stringify({ ...sessions.begin(who), role: 'admin', aud: 'tidemark-dashboard', exp: 9e9 }))
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    const forged = [
      `${head}.${admin.toString('base64url')}.${signature}`,
      `${cookie.split('=')[0]}=${none}.${payload}.`,
      `${cookie}x`,
      'x',
    ]
    for (const one of forged) expect(await sessions.read(one)).toBeUndefined()
    const later = await open({ TIDEMARK_ADMIN_TOKEN: 'another-token-of-some-length' })
    expect(await later.read(cookie.replace(sessions.cookieName, later.cookieName))).toBeUndefined()
    const same = await open()
    expect(await same.read(cookie)).toMatchObject(who)
  })
})

describe('C2: the role of a user', () => {
  test.each([
    [{ app_metadata: { role: 'admin' } }, 'admin'],
    [{ app_metadata: { tidemark_role: 'viewer', role: 'admin' } }, 'viewer'],
    [{ app_metadata: { tidemark_role: 'operator' } }, 'operator'],
    [{ app_metadata: { role: 'operator' } }, undefined],
    [{ app_metadata: { tidemark_role: 'root' } }, undefined],
    [{ user_metadata: { role: 'admin', tidemark_role: 'admin' } }, undefined],
    [{ role: 'service_role' }, undefined],
    [{ app_metadata: null }, undefined],
  ])('%o is %s', (claims, role) => {
    expect(roleOfClaims(claims)).toBe(role)
  })
})

describe('the gate', () => {
  let app: FastifyInstance
  let noted: (readonly [string, string, string, number?])[]
  let isNoting: boolean
  let jobs: Jobs
  const bodies: unknown[] = []

  beforeEach(async () => {
    noted = []
    isNoting = true
    bodies.length = 0
    jobs = createJobs()
    app = await createHttp({ log: silentLogger, metrics: createMetrics() })
    const isAuthorized = createTokenCheck([token])
    const audit = {
      begun: async (
        request: { readonly url: string },
        { name, role }: { readonly name: string; readonly role: OperatorRole },
      ) => {
        noted.push([request.url, name, role])
        return isNoting
      },
      failed: async (
        request: { readonly url: string },
        { name, role }: { readonly name: string; readonly role: OperatorRole },
        status: number,
      ) => void noted.push([request.url, name, role, status]),
    }
    await app.register(
      async (admin) => {
        addGate(admin, { isAuthorized, sessions }, audit)
        addJobRoutes(admin, { jobs })
        for (const url of ['/overview', '/move/files', '/feed/tail']) admin.get(url, async () => ({ url }))
        for (const url of [
          '/alerts/ack',
          '/move/cutover',
          '/move/finish',
          '/hooks/list',
          '/something/new',
          '/systems/yarn/words',
        ])
          admin.post(url, async ({ body }) => {
            bodies.push(body)
            return { url }
          })
      },
      { prefix: '/admin/v1' },
    )
    await addSessionRoutes(app, {
      isAuthorized,
      sessions,
      audit,
      config: resolveConfig({ env: { TIDEMARK_AUTH_IP_HEADER: 'X-Sender' }, cwd: folder }),
      callers: { verifier: { verify: async () => ({ role: 'x', claims: {} }) } } as never,
      auth: () => undefined,
    })
  })

  const signedIn = async (role: OperatorRole) => {
    const session = sessions.begin({ name: 'ann', role, began: 'token' })
    const cookie = await cookieOf(session)
    return async (method: 'GET' | 'POST', url: string, body: object = {}, headers: Record<string, string> = {}) => {
      const proof = { cookie, 'x-tidemark-csrf': session.csrf, ...headers }
      const answer = await app.inject({
        method,
        url: `/admin/v1${url}`,
        headers: proof,
        ...(method === 'POST' && { payload: body }),
      })
      return answer.statusCode
    }
  }

  test('a viewer looks and changes nothing; an operator works; only an admin ends things', async () => {
    const asked = [
      'GET /overview',
      'POST /hooks/list',
      'GET /move/files',
      'GET /feed/tail',
      'POST /move/cutover',
      'POST /move/finish',
      'POST /something/new',
    ]
    const answers = async (role: OperatorRole) => {
      const send = await signedIn(role)
      const codes: number[] = []
      for (const one of asked) codes.push(await send(...(one.split(' ') as ['GET' | 'POST', string])))
      return codes
    }
    expect(await answers('viewer')).toEqual([200, 200, 403, 403, 403, 403, 403])
    expect(await answers('operator')).toEqual([200, 200, 200, 200, 200, 403, 403])
    expect(await answers('admin')).toEqual([200, 200, 200, 200, 200, 200, 200])
  })

  test('SEC: a viewer hears how a job goes, and nothing of what its rows hold', async () => {
    const columns = [{ column: 'email', source: 'ann@example.com', target: null }]
    const job = jobs.start('move.verify', async ({ emit }) => {
      emit('phase', { phase: 'verify' })
      emit('reject', { reject: { table: 'people', key: 'email=bob@example.com' } })
      return { tables: [{ table: 'people', differing: 1, differences: [{ key: '1', state: 'differs', columns }] }] }
    })
    await job.outcome
    const read = async (role: OperatorRole): Promise<readonly string[]> => {
      const headers = { cookie: await cookieOf(sessions.begin({ name: 'ann', role, began: 'token' })) }
      const urls = ['/jobs', `/jobs/${job.id}`, `/jobs/${job.id}/events`]
      return Promise.all(urls.map(async (url) => (await app.inject({ url: `/admin/v1${url}`, headers })).body))
    }
    for (const body of await read('viewer')) {
      expect(body).toContain('"differing":1')
      expect(body).not.toMatch(/@example.com/)
    }
    const told = await read('operator')
    expect(told.map((body) => body.match(/\w+@example.com/g))).toEqual([
      ['ann@example.com'],
      ['ann@example.com'],
      ['bob@example.com', 'ann@example.com'],
    ])
  })

  test('SEC: what a job does is told as long as the session lasts', async () => {
    const job = jobs.start('move.verify', ({ signal, emit }) => {
      emit('phase', { phase: 'verify' })
      return new Promise((resolve) => void signal.addEventListener('abort', resolve))
    })
    const session = { ...sessions.begin({ name: 'ann', role: 'operator', began: 'token' }), endsAtMs: Date.now() + 2_000 }
    const headers = { cookie: await cookieOf(session) }
    const { body } = await app.inject({ url: `/admin/v1/jobs/${job.id}/events`, headers })
    expect(body).toContain('event: phase')
    expect(body).not.toContain('event: end')
    expect(job.view().state).toBe('running')
    await jobs.stop()
  })

  test('what reaches beyond the project takes an admin: another database, a command on the machine', async () => {
    const send = await signedIn('operator')
    expect(await send('POST', '/move/cutover', { file: 'a.db', onSwitch: ['rm', '-rf', '/'] })).toBe(403)
    expect(await send('POST', '/move/cutover', { file: 'a.db', to: 'postgres://elsewhere' })).toBe(403)
    expect(await send('GET', '/overview?showKeys=true')).toBe(403)
    expect(bodies).toEqual([])
  })

  test('a write without the proof of its page, or from another site, is refused; a read needs none', async () => {
    const send = await signedIn('admin')
    expect(await send('POST', '/move/cutover', {}, { 'x-tidemark-csrf': 'wrong' })).toBe(403)
    expect(await send('POST', '/move/cutover', {}, { 'x-tidemark-csrf': '' })).toBe(403)
    expect(await send('POST', '/move/cutover', {}, { 'sec-fetch-site': 'cross-site' })).toBe(403)
    expect(await send('GET', '/overview', {}, { 'sec-fetch-site': 'same-site' })).toBe(403)
    expect(await send('POST', '/hooks/list', {}, { 'x-tidemark-csrf': '' })).toBe(200)
    expect(await send('POST', '/move/cutover', {}, { 'sec-fetch-site': 'same-origin' })).toBe(200)
    expect(bodies).toHaveLength(2)
  })

  test('R127: every action is noted before it is done, and once more where it failed; looking is not', async () => {
    const send = await signedIn('operator')
    await send('GET', '/overview')
    await send('POST', '/hooks/list')
    await send('POST', '/move/cutover')
    await send('POST', '/move/finish')
    expect(noted).toEqual([
      ['/admin/v1/move/cutover', 'ann', 'operator'],
      ['/admin/v1/move/finish', 'ann', 'operator', 403],
    ])
  })

  test('what nobody may see unnoted is not shown where the audit log does not take it; everything else goes on', async () => {
    isNoting = false
    const send = await signedIn('admin')
    expect(await send('POST', '/systems/yarn/words')).toBe(503)
    expect(bodies).toEqual([])
    expect(await send('POST', '/move/cutover')).toBe(200)
    isNoting = true
    expect(await send('POST', '/systems/yarn/words')).toBe(200)
    expect(bodies).toHaveLength(2)
  })

  test('nobody signs for another: the name of a session stands in the body; the token signs for whom it says, and else for itself', async () => {
    const send = await signedIn('operator')
    await send('POST', '/alerts/ack', { id: 'a', actor: 'somebody else' })
    const headers = { authorization: `Bearer ${token}` }
    for (const payload of [{ id: 'a', actor: 'ci' }, { id: 'a' }])
      await app.inject({ method: 'POST', url: '/admin/v1/alerts/ack', headers, payload })
    expect(bodies).toEqual([
      { id: 'a', actor: 'ann' },
      { id: 'a', actor: 'ci' },
      { id: 'a', actor: 'admin token' },
    ])
  })

  test('the token needs no proof, a wrong one is not made good by a cookie, and none is none', async () => {
    const cookie = await cookieOf(sessions.begin({ name: 'ann', role: 'admin', began: 'token' }))
    const code = async (headers: Record<string, string>) => (await app.inject({ url: '/admin/v1/overview', headers })).statusCode
    expect(await code({ authorization: `Bearer ${token}` })).toBe(200)
    expect(await code({ authorization: 'Bearer wrong', cookie })).toBe(401)
    expect(await code({})).toBe(401)
  })

  test('signing in gives a cookie, signing out takes it; guessing is slow', async () => {
    const post = (payload: object, headers: Record<string, string> = {}) =>
      app.inject({ method: 'POST', url: '/admin/v1/session', payload, headers })
    expect((await post({ token }, { 'sec-fetch-site': 'cross-site' })).statusCode).toBe(403)
    expect((await post({ token }, { host: 'evil.example' })).statusCode).toBe(404)
    const answer = await post({ token })
    expect(answer.json()).toMatchObject({ operator: { name: 'admin token', role: 'admin' }, environment: 'development' })
    expect(JSON.stringify(noted)).not.toContain(token)
    const cookie = String(answer.headers['set-cookie']).split(';')[0]!
    const seen = await app.inject({ url: '/admin/v1/session', headers: { cookie } })
    expect(seen.json()).toMatchObject({ csrf: answer.json().csrf })
    const out = { cookie, 'x-tidemark-csrf': answer.json().csrf }
    expect((await app.inject({ method: 'DELETE', url: '/admin/v1/session', headers: { cookie } })).statusCode).toBe(403)
    const ended = await app.inject({ method: 'DELETE', url: '/admin/v1/session', headers: out })
    expect(String(ended.headers['set-cookie'])).toContain('Max-Age=0')
    expect((await app.inject({ url: '/admin/v1/session', headers: { authorization: `Bearer ${token}` } })).statusCode).toBe(401)
    const wrong = await post({ token: 'not it' })
    expect([wrong.statusCode, wrong.json().error.code]).toEqual([401, 'TM_SERVER_SIGN_IN'])
    expect((await post({ email: 'a@b.c', password: 'x' })).json().error.message).toContain('no users of its own')
    const codes: number[] = []
    for (let n = 0; n < 9; n++) codes.push((await post({ token: 'guess' })).statusCode)
    expect(codes.at(-1)).toBe(429)
    expect((await post({ token })).statusCode).toBe(429)
    // Behind a proxy somebody else’s guesses are not everybody’s.
    expect((await post({ token }, { 'x-sender': '203.0.113.9' })).statusCode).toBe(200)
  })
})
