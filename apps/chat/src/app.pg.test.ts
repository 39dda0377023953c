import { randomUUID } from 'node:crypto'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { SignJWT } from 'jose'
import { createPools, type Position } from 'tidemark'
import type { Failure, ReadContext } from 'tidemark/app'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { untoldAnswers, type WatchedAnswers, watchAnswers } from '../../../packages/tidemark/src/testing/app/check-answers.js'
import { checkRoutes, listRoutes } from '../../../packages/tidemark/src/testing/app/check-routes.js'
import { type AppOptions, createApp } from './app.js'
import { chat } from './chat.js'
import { sessionIdOf, userIdOf } from './legacy-ids.js'
import { type ChatReads, createRepositoryReads } from './reads.js'
import type { Message, Session } from './rows.js'
import { createRepositoryWrites } from './writes.js'

const jwtSecret = 'a secret of more than thirty-two bytes'

let database: AppDatabase
let app: FastifyInstance
let answers: WatchedAnswers
let alice: string
let bob: string

beforeAll(async () => {
  database = await openAppDatabase(chat)
  app = open()
  answers = watchAnswers(app)
})

afterAll(async () => {
  await app?.close()
  await database?.drop()
})

beforeEach(async () => {
  alice = await token(randomUUID())
  bob = await token(randomUUID())
})

const open = (options: Partial<AppOptions> = {}): FastifyInstance =>
  createApp({ db: database.pool, writes: createRepositoryWrites(database.pool), jwtSecret, ...options })

const sign = (claims: object, secret = jwtSecret, alg = 'HS256', expires: string | number = '1h'): Promise<string> =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg }).setExpirationTime(expires).sign(new TextEncoder().encode(secret))

const token = (sub: string, role = 'authenticated'): Promise<string> => sign({ sub, role })

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

const ask = (bearer: string, method: Method, url: string, body?: object, headers: Record<string, string> = {}) =>
  app.inject({ method, url, headers: { authorization: `Bearer ${bearer}`, ...headers }, ...(body && { payload: body }) })

const newChat = async (bearer: string, body: object = {}): Promise<Session> =>
  (await ask(bearer, 'POST', '/chats', body)).json<Session>()

const say = async (bearer: string, chat: string, content: string, more: object = {}): Promise<Message> =>
  (await ask(bearer, 'POST', `/chats/${chat}/messages`, { content, ...more })).json<Message>()

const refusal = ({ statusCode, ...response }: LightMyRequestResponse) => [statusCode, response.json<{ code: string }>().code]

describe('who calls', () => {
  const status = async (authorization?: string): Promise<number> =>
    (await app.inject({ url: '/chats', headers: authorization === undefined ? {} : { authorization } })).statusCode

  it('is told by a signed token, and by nothing else', async () => {
    const sub = randomUUID()
    expect(await status(`Bearer ${await token(sub)}`)).toBe(200)
    expect(await status()).toBe(401)
    expect(await status('Bearer nonsense')).toBe(401)
    expect(await status(`Basic ${await token(sub)}`)).toBe(401)
    expect(await status(`Bearer ${await sign({ sub, role: 'authenticated' }, 'another secret of thirty-two bytes or so')}`)).toBe(
      401,
    )
    expect(await status(`Bearer ${await sign({ sub, role: 'authenticated' }, jwtSecret, 'HS512')}`)).toBe(401)
    expect(await status(`Bearer ${await sign({ sub, role: 'authenticated' }, jwtSecret, 'HS256', 1)}`)).toBe(401)
    expect(await status(`Bearer ${await sign({ sub, role: 'anon' })}`)).toBe(401)
    expect(await status(`Bearer ${await sign({ role: 'authenticated' })}`)).toBe(401)
    expect(await status(`Bearer ${await token('anonymous')}`)).toBe(401)
    const unsigned = [{ alg: 'none' }, { sub, role: 'authenticated', exp: 4e9 }].map((part) =>
      Buffer.from(JSON.stringify(part)).toString('base64url'),
    )
    expect(await status(`Bearer ${unsigned.join('.')}.`)).toBe(401)
    const forged = await ask(alice, 'POST', '/chats', {}, { 'x-user-id': sub, 'x-forwarded-user': sub })
    expect(forged.json<Session>().user_id).not.toBe(sub)
  })

  it('may have a subject of older days', async () => {
    const legacy = await token('github_1042')
    expect((await newChat(legacy)).user_id).toBe(userIdOf('github_1042'))
    expect((await ask(legacy, 'GET', '/chats')).json<{ chats: Session[] }>().chats.length).toBeGreaterThan(0)
  })

  it('refuses to begin with a short secret', () => {
    expect(() => open({ jwtSecret: 'short' })).toThrow('32 bytes')
  })
})

describe('the routes', () => {
  it('R101: lead through the life of a chat', async () => {
    const made = await ask(alice, 'POST', '/chats', { title: 'Trip', metadata: { model: 'a' } })
    expect(made.statusCode).toBe(201)
    const { id } = made.json<Session>()
    expect((await ask(alice, 'GET', '/chats')).json()).toMatchObject({ chats: [{ id, title: 'Trip' }], next: null })
    expect((await ask(alice, 'PATCH', `/chats/${id}`, { title: 'Trip home', status: 'archived' })).json()).toMatchObject({
      title: 'Trip home',
      status: 'archived',
    })
    expect((await ask(alice, 'GET', '/chats')).json()).toEqual({ chats: [], next: null })
    expect((await ask(alice, 'GET', '/chats?status=archived')).json()).toMatchObject({ chats: [{ id }] })

    const message = await say(alice, id, 'hello')
    expect(await say(alice, id, 'world')).toMatchObject({ seq: 2, role: 'user' })
    const edited = await ask(alice, 'PATCH', `/chats/${id}/messages/${message.id}`, { content: 'hi' })
    expect(edited.json()).toMatchObject({ content: 'hi', seq: 1 })
    const removed = await ask(alice, 'DELETE', `/chats/${id}/messages/${message.id}`)
    expect(removed.json()).toMatchObject({ content: '', seq: 1 })
    const page = (query = '') => ask(alice, 'GET', `/chats/${id}/messages${query}`).then((response) => response.json())
    expect(await page()).toMatchObject({ messages: [{ seq: 1, content: '' }, { seq: 2 }], has_more: false })
    expect(await page('?limit=1')).toMatchObject({ messages: [{ seq: 2 }], has_more: true })
    expect(await page('?before=2&limit=200')).toMatchObject({ messages: [{ seq: 1 }], has_more: false })
    expect(await page('?after=1')).toMatchObject({ messages: [{ seq: 2 }], has_more: false })

    const gone = await ask(alice, 'DELETE', `/chats/${id}`)
    expect(gone.json()).toEqual({ id, undo_until: expect.stringMatching(/Z$/) })
    expect(refusal(await ask(alice, 'GET', `/chats/${id}`))).toEqual([404, 'CHAT_NOT_FOUND'])
    expect((await ask(alice, 'POST', `/chats/${id}/undo`)).json()).toMatchObject({ id, status: 'archived', message_count: 1 })
    expect(refusal(await ask(alice, 'POST', `/chats/${id}/undo`))).toEqual([409, 'CHAT_NOT_DELETED'])
  })

  it('R75, R127: leave in the audit log who did what to a chat and in which request, and no word of it', async () => {
    const { id } = await newChat(alice, { title: 'my secret' })
    await say(alice, id, 'a secret of mine')
    const asked = [
      await ask(alice, 'PATCH', `/chats/${id}`, { title: 'another secret', metadata: { secret: 1 } }),
      await ask(alice, 'PATCH', `/chats/${id}`, { status: 'archived' }),
      await ask(alice, 'DELETE', `/chats/${id}`),
    ]
    const { rows } = await database.owner.query<Record<string, unknown>>(
      `select action, actor_role, request_id, old_data ->> 'status' as before, new_data ->> 'status' as after, actor = new_data ->> 'user_id' as own,
              concat(old_data, new_data) as words from audit_log where table_name = 'chat_sessions' and record_id = $1 order by id`,
      [id],
    )
    expect(rows.map(({ words: _words, request_id: _id, ...row }) => row)).toEqual(
      [
        [null, 'active'],
        ['active', 'active'],
        ['active', 'archived'],
        ['archived', 'deleted'],
      ].map(([before, after], n) => ({
        ...{ action: n === 0 ? 'INSERT' : 'UPDATE', actor_role: 'authenticated', own: true, before, after },
      })),
    )
    expect(rows.slice(1).map(({ request_id }) => request_id)).toEqual(asked.map(({ headers }) => headers['x-request-id']))
    expect(JSON.stringify(rows)).not.toContain('secret')
  })

  it('R100: page through a list of chats', async () => {
    for (let n = 0; n < 5; n += 1) await newChat(alice, { title: String(n) })
    const list = async (query: string) =>
      (await ask(alice, 'GET', `/chats${query}`)).json<{ chats: Session[]; next: string | null }>()
    const first = await list('?limit=2')
    const second = await list(`?limit=2&cursor=${first.next}`)
    const third = await list(`?limit=2&cursor=${second.next}`)
    expect([first, second, third].map(({ chats }) => chats.length)).toEqual([2, 2, 1])
    expect(new Set([first, second, third].flatMap(({ chats }) => chats.map(({ id }) => id))).size).toBe(5)
    expect(third.next).toBeNull()
  })

  it('S4.3: answer a retry with the message that is there', async () => {
    const { id } = await newChat(alice)
    const send = () => ask(alice, 'POST', `/chats/${id}/messages`, { content: 'hello', client_message_id: 'm1' })
    const answers = [await send(), await send()]
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([201, 200])
    expect(answers[1]!.json()).toEqual(answers[0]!.json())
    const other = await ask(alice, 'POST', `/chats/${id}/messages`, { content: 'other', client_message_id: 'm1' })
    expect(refusal(other)).toEqual([409, 'CHAT_CLIENT_ID_TAKEN'])
  })

  it("S4.7: answer another user's chat as one that is not there", async () => {
    const { id } = await newChat(alice, { title: 'of Alice' })
    const message = await say(alice, id, 'hello')
    const at = `/chats/${id}`
    const asked: readonly (readonly [Method, string, object?])[] = [
      ['GET', at],
      ['PATCH', at, { title: 'x' }],
      ['DELETE', at],
      ['POST', `${at}/undo`],
      ['GET', `${at}/messages`],
      ['GET', `${at}/messages?after=0`],
      ['POST', `${at}/messages`, { content: 'x' }],
      ['PATCH', `${at}/messages/${message.id}`, { content: 'x' }],
      ['DELETE', `${at}/messages/${message.id}`],
    ]
    for (const [method, url, body] of asked) {
      const strange = await ask(bob, method, url, body)
      expect([method, url, ...refusal(strange)]).toEqual([method, url, 404, 'CHAT_NOT_FOUND'])
      const none = await ask(bob, method, url.replace(id, randomUUID()), body)
      expect(strange.body).toBe(none.body)
    }
    expect((await ask(bob, 'GET', '/chats')).json()).toEqual({ chats: [], next: null })
    expect((await ask(alice, 'GET', at)).json()).toMatchObject({ title: 'of Alice', message_count: 1 })
  })

  it('R121: are nobody else’s, each of them', async () => {
    const { id } = await newChat(alice)
    const message = await say(alice, id, 'hello')
    const words = { content: 'x' }
    const violations = await checkRoutes(app, {
      stranger: bob,
      names: { id, messageId: message.id },
      routes: {
        'GET /health': 'open',
        'GET /livez': 'open',
        'GET /openapi.json': 'open',
        'GET /chats': 'shared',
        'POST /chats': 'shared',
        'GET /chats/:id': 'own',
        'PATCH /chats/:id': { who: 'own', body: { title: 'x' } },
        'DELETE /chats/:id': 'own',
        'POST /chats/:id/undo': 'own',
        'GET /chats/:id/messages': 'own',
        'POST /chats/:id/messages': { who: 'own', body: words },
        'PATCH /chats/:id/messages/:messageId': { who: 'own', body: words },
        'DELETE /chats/:id/messages/:messageId': 'own',
      },
    })
    expect(violations).toEqual([])
    expect((await ask(alice, 'GET', `/chats/${id}/messages`)).json()).toMatchObject({ messages: [{ content: 'hello' }] })
  })

  it("let the app's own server answer in a user's chat, and no user write as an assistant", async () => {
    const sub = randomUUID()
    const [user, server] = [await token(sub), await token(sub, 'service_role')]
    const { id } = await newChat(user)
    const answer = { role: 'assistant', content: 'An answer.' }
    expect(refusal(await ask(user, 'POST', `/chats/${id}/messages`, answer))).toEqual([403, 'CHAT_FORBIDDEN'])
    const written = await ask(server, 'POST', `/chats/${id}/messages`, answer)
    expect([written.statusCode, written.json<Message>().role]).toEqual([201, 'assistant'])
    const edit = await ask(user, 'PATCH', `/chats/${id}/messages/${written.json<Message>().id}`, { content: 'x' })
    expect(refusal(edit)).toEqual([403, 'CHAT_FORBIDDEN'])
    const { id: ofAlice } = await newChat(alice)
    expect(refusal(await ask(server, 'POST', `/chats/${ofAlice}/messages`, answer))).toEqual([404, 'CHAT_NOT_FOUND'])
  })

  it('find a chat under the id it had in Redis', async () => {
    const { id } = await newChat(alice)
    await database.owner.query('update chat_sessions set id = $1 where id = $2', [sessionIdOf(`old-${id}`), id])
    expect((await ask(alice, 'GET', `/chats/old-${id}`)).statusCode).toBe(200)
  })

  it('refuse what is not valid, without repeating it', async () => {
    const { id } = await newChat(alice)
    const at = `/chats/${id}`
    const asked: readonly (readonly [Method, string, object?])[] = [
      ['POST', '/chats', { title: 'secret'.repeat(40) }],
      ['POST', '/chats', { secret: 1 }],
      ['POST', '/chats', { metadata: ['secret'] }],
      ['GET', '/chats?limit=201'],
      ['GET', '/chats?limit=secret'],
      ['GET', '/chats?status=deleted'],
      ['GET', '/chats?cursor=secret'],
      ['PATCH', at, {}],
      ['PATCH', at, { status: 'deleted' }],
      ['POST', `${at}/messages`, { content: '' }],
      ['POST', `${at}/messages`, { content: 'secret\0' }],
      ['POST', `${at}/messages`, { content: `secret${'x'.repeat(100_000)}` }],
      ['POST', `${at}/messages`, { content: 'secret', role: 'secret' }],
      ['POST', `${at}/messages`, { content: 'x', client_message_id: 'secret'.repeat(30) }],
      ['GET', `${at}/messages?before=1&after=2`],
      ['GET', `${at}/messages?before=secret`],
    ]
    for (const [method, url, body] of asked) {
      const response = await ask(alice, method, url, body)
      expect([method, url, ...refusal(response)]).toEqual([method, url, 400, 'CHAT_INVALID'])
      expect(response.body).not.toContain('secret')
    }
    expect((await ask(alice, 'POST', '/chats', { title: 'x'.repeat(40_000) })).statusCode).toBe(413)
    const text = { authorization: `Bearer ${alice}`, 'content-type': 'text/plain' }
    expect((await app.inject({ method: 'POST', url: '/chats', headers: text, payload: 'x' })).statusCode).toBe(415)
    expect(refusal(await ask(alice, 'GET', '/nowhere'))).toEqual([404, 'CHAT_NOT_FOUND'])
    expect(refusal(await ask(alice, 'DELETE', `${at}/messages/nonsense`))).toEqual([404, 'CHAT_MESSAGE_NOT_FOUND'])
  })

  it('take the longest message in the widest writing', async () => {
    const { id } = await newChat(alice)
    const payload = `{"content":"${'\\ud83c\\udf0a'.repeat(100_000)}"}`
    const headers = { authorization: `Bearer ${alice}`, 'content-type': 'application/json' }
    const response = await app.inject({ method: 'POST', url: `/chats/${id}/messages`, headers, payload })
    expect(response.statusCode).toBe(201)
    expect(response.json<Message>().content).toBe('🌊'.repeat(100_000))
  })

  it('are not kept by anybody on the way', async () => {
    expect((await ask(alice, 'GET', '/chats')).headers['cache-control']).toBe('no-store')
  })
})

describe('the seam for caches', () => {
  const position: Position = { epoch: 'wal-1', number: 0x2an }

  it('S4.2: answers X-Cache and Tidemark-Position as the reads and writes tell, and hands the position on', async () => {
    const contexts: ReadContext[] = []
    const plain = createRepositoryReads(database.pool)
    const noted =
      <K extends keyof ChatReads>(name: K): ((...args: Parameters<ChatReads[K]>) => Promise<never>) =>
      async (...args) => {
        contexts.push(args.at(-1) as ReadContext)
        const read = await (plain[name] as (...all: unknown[]) => Promise<object>)(...args)
        return { ...read, cache: 'HIT', position } as never
      }
    const reads: ChatReads = { listRecent: noted('listRecent'), session: noted('session'), firstPage: noted('firstPage') }
    const writes = createRepositoryWrites(database.pool)
    const cached = open({ reads, writes: { write: async (fn) => ({ ...(await writes.write(fn)), position }) } })
    const headers = { authorization: `Bearer ${alice}`, 'tidemark-position': 'wal-1:29' }
    const made = await cached.inject({ method: 'POST', url: '/chats', headers, payload: {} })
    expect(made.headers['tidemark-position']).toBe('wal-1:2a')
    const { id } = made.json<Session>()
    for (const url of ['/chats', `/chats/${id}`, `/chats/${id}/messages`]) {
      const response = await cached.inject({ url, headers })
      expect([response.statusCode, response.headers['x-cache'], response.headers['tidemark-position']]).toEqual([
        200,
        'HIT',
        'wal-1:2a',
      ])
    }
    expect(contexts).toEqual(Array.from({ length: 3 }, () => ({ after: { epoch: 'wal-1', number: 0x29n } })))
    // What no cache keeps is asked of the primary.
    for (const url of ['/chats?status=archived', `/chats/${id}/messages?after=0`, '/chats?limit=51'])
      expect((await cached.inject({ url, headers })).headers['x-cache']).toBe('MISS')
    expect(contexts).toHaveLength(3)
    const broken = await cached.inject({ url: '/chats', headers: { ...headers, 'tidemark-position': 'nonsense' } })
    expect(refusal(broken)).toEqual([400, 'CHAT_INVALID'])
    await cached.close()
  })

  it('answers MISS without caches', async () => {
    const response = await ask(alice, 'GET', '/chats')
    expect([response.headers['x-cache'], response.headers['tidemark-position']]).toEqual(['MISS', undefined])
  })
})

describe('when Postgres is away', () => {
  it('answers 503, tells the log a code and a route, and no words', async () => {
    const failures: Failure[] = []
    const retry = { attempts: 1 }
    const pools = createPools({ url: 'postgres://nobody:secret@127.0.0.1:9/none', retry })
    const away = open({
      db: pools.primary,
      writes: createRepositoryWrites(pools.primary),
      onFailure: (failure) => failures.push(failure),
    })
    const headers = { authorization: `Bearer ${alice}` }
    const health = await away.inject({ url: '/health' })
    expect([health.statusCode, health.json()]).toEqual([503, { status: 'error', database: 'disconnected' }])
    const url = `/chats/${randomUUID()}/messages`
    const response = await away.inject({ method: 'POST', url, headers, payload: { content: 'a secret' } })
    expect([...refusal(response), response.headers['retry-after']]).toEqual([503, 'CHAT_UNAVAILABLE', '1'])
    expect(failures).toMatchObject([{ code: 'CHAT_UNAVAILABLE', route: '/chats/:id/messages' }])
    expect(response.body).not.toContain('secret')
    await away.close()
    await pools.stop()
    expect((await app.inject({ url: '/health' })).json()).toEqual({ status: 'ok', database: 'connected' })
    expect((await app.inject({ url: '/livez' })).json()).toEqual({ status: 'ok' })
  })
})

describe('what is answered', () => {
  it('is what the document of the routes says, of each of them', async () => {
    expect(await untoldAnswers(app)).toEqual([])
    // All that came before, of every route that the tests have asked.
    expect(answers.violations).toEqual([])
    expect(listRoutes(app).filter((route) => !answers.answered.has(route))).toEqual([])
  })
})
