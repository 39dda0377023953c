import type { FastifyInstance } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { untoldAnswers, watchAnswers } from '../../../packages/tidemark/src/testing/app/check-answers.js'
import { checkRoutes, listRoutes } from '../../../packages/tidemark/src/testing/app/check-routes.js'
import { type AppOptions, createApp } from './app.js'
import { openMemoryStore } from './testing/memory-store.js'
import { readWording } from './wording.js'

const wording = readWording()
const token = 'a token of sixteen'
const apps: FastifyInstance[] = []

afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

const open = (options: Partial<AppOptions> = {}) => {
  const app = createApp({ store: openMemoryStore().store, wording, ...options })
  apps.push(app)
  const post = (payload: string, type = 'application/json') =>
    app.inject({ method: 'POST', url: '/chat', payload, headers: { 'content-type': type } })
  return {
    say: (message: string, session_id?: string) => post(JSON.stringify({ message, session_id })),
    post,
    get: (url: string, bearer?: string) =>
      app.inject({ url, ...(bearer !== undefined && { headers: { authorization: `Bearer ${bearer}` } }) }),
  }
}

describe('POST /chat', () => {
  it('S3.5: is refused in words of the app, which quote nothing', async () => {
    const { get, post, say } = open()
    const refused = async (answer: ReturnType<typeof post>) => {
      const { statusCode, body } = await answer
      expect(body).not.toContain('secret')
      return statusCode
    }
    expect(await refused(say(''))).toBe(400)
    expect(await refused(say('  \0 '))).toBe(400)
    expect(await refused(say(`secret${'x'.repeat(1000)}`))).toBe(400)
    expect(await refused(say('hey', 'secret'.repeat(30)))).toBe(400)
    expect(await refused(post('"secret'))).toBe(400)
    expect(await refused(post('["secret"]'))).toBe(400)
    expect(await refused(post('secret', 'text/plain'))).toBe(415)
    expect(await refused(post('message=secret', 'application/x-www-form-urlencoded'))).toBe(415)
    expect(await refused(post(JSON.stringify({ message: `secret${'x'.repeat(20_000)}` })))).toBe(413)
    expect(await refused(get('/chat/secret%ff'))).toBe(404)
    expect((await say('x'.repeat(1000))).statusCode).toBe(200)
  })

  it('S3.5: is refused the 31st time in a minute, with the helplines where somebody needs them', async () => {
    const { say } = open()
    for (let n = 0; n < 30; n++) expect((await say('hey there')).statusCode).toBe(200)
    const refused = await say('hey there')
    expect(refused.statusCode).toBe(429)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect(refused.json()).toEqual({ error: wording.refusals.tooMany })
    const risky = await say('wanna die')
    expect(risky.statusCode).toBe(429)
    expect(risky.json().reply).toContain('13YARN 13 92 76')
  })

  it.each([
    ['is too long', `i wanna die ${'because '.repeat(200)}`, undefined],
    ['names a session that none is called', 'i wanna die', 'x'.repeat(129)],
  ])('brings the helplines with the refusal of what %s', async (_what, message, session) => {
    const refused = await open().say(message, session)
    expect(refused.statusCode).toBe(400)
    expect(refused.json()).toMatchObject({ error: wording.refusals.message })
    expect(refused.json().reply).toContain('13YARN 13 92 76')
  })

  it('has a history under as long a name as a session may have', async () => {
    const { say, get } = open({ historyToken: token })
    const name = 'é'.repeat(128)
    expect((await say('hey there', name)).json().session_id).toBe(name)
    expect((await get(`/history/${encodeURIComponent(name)}`, token)).statusCode).toBe(200)
  })

  it('takes what Postgres cannot hold for what it can, and is kept by nobody on the way', async () => {
    const { say, get } = open({ historyToken: token })
    const answer = await say('hey \0there \ud83d')
    expect(answer.headers['cache-control']).toBe('no-store')
    const { session_id } = answer.json()
    expect((await get(`/history/${session_id}`, token)).json().messages[0].message).toBe('hey there \ufffd')
  })

  it('tells what was decided only where that is asked for', async () => {
    expect((await open({ debug: true }).say('wanna die')).json().debug).toEqual({ risk: 'high', degraded: false })
    expect(Object.keys((await open().say('wanna die')).json())).toEqual(['reply', 'session_id', 'state'])
  })
})

describe('R121: the routes', () => {
  it('are these, and only operators come past the chat', async () => {
    const app = createApp({ store: openMemoryStore().store, wording, historyToken: token })
    apps.push(app)
    const violations = await checkRoutes(app, {
      stranger: 'a token of a stranger',
      names: { sessionId: 'one' },
      routes: {
        'POST /chat': 'open',
        'GET /health': 'open',
        'GET /livez': 'open',
        'GET /openapi.json': 'open',
        'GET /history/:sessionId': 'key',
        'GET /analytics': 'key',
      },
    })
    expect(violations).toEqual([])
    const { paths } = (await app.inject('/openapi.json')).json()
    expect(paths['/chat'].post).toMatchObject({
      requestBody: { content: { 'application/json': { schema: { required: ['message'] } } } },
    })
    expect([paths['/chat'].post.security, paths['/analytics'].get.security]).toEqual([undefined, [{ bearer: [] }]])
  })
})

describe('what is answered', () => {
  it('is what the document of the routes says, of each of them', async () => {
    const app = createApp({ store: openMemoryStore().store, wording, historyToken: token, debug: true })
    apps.push(app)
    const { answered, violations } = watchAnswers(app)
    expect(await untoldAnswers(app)).toEqual([])
    for (const message of ['hey there', 'my nan', 'wanna die'])
      await app.inject({ method: 'POST', url: '/chat', payload: { message, session_id: 'one' } })
    for (const url of ['/history/one?limit=1', '/history/one', '/analytics', '/health', '/livez'])
      await app.inject({ url, headers: { authorization: `Bearer ${token}` } })
    expect(violations).toEqual([])
    expect([...answered].sort()).toEqual(listRoutes(app))
  })
})

describe('what only operators read', () => {
  it('is not there without a token of theirs, and closed to any other', async () => {
    for (const url of ['/history/one', '/analytics']) {
      expect((await open().get(url, token)).statusCode).toBe(404)
      const { get } = open({ historyToken: token })
      expect((await get(url)).statusCode).toBe(401)
      expect((await get(url, `${token}x`)).statusCode).toBe(401)
    }
  })

  it('has a history in its order, and counts that name nobody', async () => {
    const { get, say } = open({ historyToken: token })
    const { session_id } = (await say('hey there')).json()
    await say('my nan', session_id)
    await say('wanna die', session_id)
    const history = (await get(`/history/${session_id}?limit=3`, token)).json()
    expect(history.messages.map(({ role }: { role: string }) => role)).toEqual(['bot', 'user', 'bot'])
    const older = (await get(`/history/${session_id}?limit=3&cursor=${history.next}`, token)).json()
    const all = (await get(`/history/${session_id}`, token)).json()
    expect(all).toEqual({ ...older, messages: [...older.messages, ...history.messages] })
    expect(all).toEqual({ session_id, state: 'strengths', messages: expect.anything(), next: null })
    expect((await get(`/history/${session_id}?cursor=x`, token)).statusCode).toBe(400)
    for (const name of ['nobody', '%00', 'x'.repeat(200)]) expect((await get(`/history/${name}`, token)).statusCode).toBe(404)
    expect((await get(`/history/${session_id}?limit=0`, token)).statusCode).toBe(400)
    const analytics = (await get('/analytics?days=1', token)).json()
    expect(analytics).toEqual({
      days: 1,
      events: { session_started: 1, step_completed: 1, rule_based_used: 1, risk_triggered: 1 },
      completion_rate: 0,
    })
    expect((await get('/analytics?days=0', token)).statusCode).toBe(400)
  })
})

describe('GET /health', () => {
  it('R111: says in two keys whether the store answers', async () => {
    const ok = await open().get('/health')
    expect([ok.statusCode, ok.json()]).toEqual([200, { status: 'ok', database: 'connected' }])
    const away = { read: () => Promise.reject(new Error('down')), write: () => Promise.reject(new Error('down')) }
    const down = await open({ store: away }).get('/health')
    expect([down.statusCode, down.json()]).toEqual([503, { status: 'error', database: 'disconnected' }])
  })
})
