import type { FastifyReply } from 'fastify'
import { SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Client } from '../postgres/postgres.js'
import { answering, type Told } from './answering.js'
import { createBearer } from './bearer.js'
import { createAppServer } from './create-app-server.js'
import { defineErrors } from './define-errors.js'
import type { Failure } from './failures.js'
import { createInput, placeOf } from './input.js'

const secret = 'a secret of more than thirty-two bytes'
const ShopError = defineErrors('SHOP', {
  INVALID: { status: 422, message: 'No.' },
  MALFORMED: { status: 400, message: 'Unreadable.' },
})
const { parse, parsePlace } = createInput(ShopError)

const sign = (claims: object, expires: string | number | null = '1h'): Promise<string> => {
  const token = new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256' })
  if (expires !== null) token.setExpirationTime(expires)
  return token.sign(new TextEncoder().encode(secret))
}

const authenticate = createBearer({
  errors: ShopError,
  secret,
  callerOf: ({ role, claims }) => (role === 'authenticated' ? { name: String(claims['sub']) } : null),
})
// Nobody's Postgres: what /health tells of a real one is tested with each application.
const away: Pick<Client, 'query'> = { query: () => Promise.reject(new Error('away')) }

const newArticle = z.strictObject({ title: z.string().trim().max(9), size: z.number() })

const draft = z.strictObject({ title: z.string().describe('As it was left.'), parts: z.array(z.string()), at: z.iso.datetime() })
const drafts: Told<typeof draft>[] = [{ title: 'Salt', parts: ['one'], at: '2026-11-22T10:00:00Z' }]
const nextDraft = async (_request: unknown, reply: FastifyReply) => {
  const next = drafts.pop()
  if (!next) reply.status(204)
  return next
}

const failures: Failure[] = []
const app = createAppServer({
  errors: ShopError,
  authenticate,
  db: away,
  prefix: '/api',
  api: { title: 'Shop', version: '1' },
  health: { answer: z.strictObject({ queued: z.int() }), read: async () => ({ queued: 0 }) },
  openRoutes: (open) => void open.get('/about', async () => 'a shop'),
  routes: (closed) => {
    closed.get('/me', async (request) => (request as unknown as { caller: object }).caller)
    closed.post('/echo', async ({ body }) => ({ body: body ?? null }))
    closed.post('/articles', { config: { summary: 'A new article.', body: newArticle } }, async ({ body }) =>
      parse(newArticle, body),
    )
    closed.get('/drafts/next', answering(draft.optional(), { summary: 'The next.' }, nextDraft))
    closed.get('/sales', { config: { summary: 'Sales, as they are made.', media: 'text/event-stream' } }, async () => 'data: 1')
    closed.get('/articles/:id', { config: { query: z.strictObject({ limit: z.coerce.number().default(5) }) } }, async () => ({}))
    closed.get('/broken/:id', async () => {
      throw new Error('words of the caller')
    })
  },
  onFailure: (failure) => failures.push(failure),
})

const ask = async (url: string, options: { token?: string; method?: 'GET' | 'POST'; payload?: string; type?: string } = {}) => {
  const {
    token = await sign({ sub: 'ann', role: 'authenticated' }),
    method = 'GET',
    payload,
    type = 'application/json',
  } = options
  const headers = { authorization: `Bearer ${token}`, ...(payload !== undefined && { 'content-type': type }) }
  return app.inject({ url, method, headers, ...(payload !== undefined && { payload }) })
}

describe('the server of an application', () => {
  it('tells routes who calls, by a signed token that ends and that the application knows', async () => {
    const answer = await ask('/api/me')
    expect([answer.json(), answer.headers['cache-control']]).toEqual([{ name: 'ann' }, 'no-store'])
    const tokens = [
      'nonsense',
      await sign({ role: 'anon' }),
      await sign({ sub: 'ann' }),
      await sign({ sub: 'ann', role: 'authenticated' }, null),
      await sign({ sub: 'ann', role: 'authenticated' }, 1),
    ]
    for (const token of tokens) {
      const { statusCode, headers, body } = await ask('/api/me', { token })
      expect([statusCode, headers['www-authenticate']]).toEqual([401, 'Bearer'])
      expect(body).not.toContain(token)
    }
    expect((await app.inject('/api/me')).json()).toEqual({
      error: 'A valid bearer token is needed.',
      code: 'SHOP_UNAUTHENTICATED',
    })
    expect((await app.inject('/about')).body).toBe('a shop')
  })

  it('refuses to begin with a short secret', () => {
    expect(() => createBearer({ errors: ShopError, secret: 'short', callerOf: () => null })).toThrow('32 bytes')
  })

  it('reads JSON alone, and an empty body as none', async () => {
    const echo = (payload: string, type?: string) => ask('/api/echo', { method: 'POST', payload, ...(type && { type }) })
    expect((await echo('{"a":1}')).json()).toEqual({ body: { a: 1 } })
    expect((await echo('')).json()).toEqual({ body: null })
    for (const payload of ['{', '{"__proto__":{"a":1}}'])
      expect((await echo(payload)).json()).toEqual({ error: 'Unreadable.', code: 'SHOP_MALFORMED' })
    expect((await echo('x', 'text/plain')).statusCode).toBe(415)
    expect((await ask('/api/nowhere')).json()).toEqual({ error: 'There is no such address.', code: 'SHOP_NOT_FOUND' })
  })

  it('tells what its routes take, of the schemas that they are held against', async () => {
    const { openapi, paths } = (await app.inject('/openapi.json')).json<{
      openapi: string
      paths: Record<string, Record<string, object>>
    }>()
    expect(openapi).toBe('3.1.0')
    expect(paths['/api/articles']?.['post']).toMatchObject({
      summary: 'A new article.',
      security: [{ bearer: [] }],
      requestBody: { content: { 'application/json': { schema: { required: ['title', 'size'], additionalProperties: false } } } },
    })
    expect(paths['/api/articles/{id}']?.['get']).toMatchObject({
      parameters: [
        { name: 'id', in: 'path', required: true },
        { name: 'limit', in: 'query', schema: { default: 5 } },
      ],
    })
    expect(paths['/health']?.['get']).toEqual({ summary: 'Whether Postgres answers.', responses: expect.anything() })
    expect(Object.keys(paths)).not.toContain('/about')
  })

  it('tells what its routes answer, of the schemas that their handlers are held to', async () => {
    const { paths } = (await app.inject('/openapi.json')).json<{ paths: Record<string, Record<string, { responses: object }>> }>()
    const responsesOf = (path: string) => paths[path]?.['get']?.responses
    const parts = { type: 'array', items: { type: 'string' } }
    const at = expect.toSatisfy((time: object) => JSON.stringify(time) === '{"type":"string","format":"date-time"}')
    expect(responsesOf('/api/drafts/next')).toMatchObject({
      '2XX': {
        content: {
          'application/json': {
            schema: {
              required: ['title', 'parts', 'at'],
              properties: { title: { type: 'string', description: 'As it was left.' }, parts, at },
            },
          },
        },
      },
      '204': { description: expect.any(String) },
      default: { description: 'Refused.' },
    })
    expect(responsesOf('/api/sales')).toMatchObject({
      '2XX': { content: { 'text/event-stream': { schema: { type: 'string' } } } },
    })
    expect(responsesOf('/api/articles/{id}')).toMatchObject({ '2XX': { description: 'Done.' } })
    expect(responsesOf('/health')).toMatchObject({
      '2XX': { content: { 'application/json': { schema: { required: ['status', 'database', 'queued'] } } } },
    })
    const answers = [await ask('/api/drafts/next'), await ask('/api/drafts/next')]
    expect(answers.map(({ statusCode, body }) => [statusCode, body])).toEqual([
      [200, '{"title":"Salt","parts":["one"],"at":"2026-11-22T10:00:00Z"}'],
      [204, ''],
    ])
  })

  it('has nothing under a name that Postgres cannot hold, and quotes no address that cannot be read', async () => {
    expect(await ask('/api/articles/%00')).toMatchObject({ statusCode: 404 })
    const { statusCode, body } = await ask('/api/articles/secret%ff')
    expect([statusCode, JSON.parse(body)]).toEqual([400, { error: 'Unreadable.', code: 'SHOP_MALFORMED' }])
    expect(body).not.toContain('secret')
  })

  it('names every field that is wrong, and quotes none', async () => {
    const { statusCode, body } = await ask('/api/articles', { method: 'POST', payload: '{"title":7,"size":"secret"}' })
    const { error, code, fields } = JSON.parse(body) as { readonly [name: string]: unknown }
    expect([statusCode, code, Object.keys(fields as object)]).toEqual([422, 'SHOP_INVALID', ['title', 'size']])
    expect(error).toMatch(/^title: /)
    expect(body).not.toContain('secret')
  })

  it('tells of failures the route and no words, and of health what it is', async () => {
    const { statusCode, body } = await ask('/api/broken/secret')
    expect([statusCode, body.includes('words')]).toEqual([500, false])
    expect(failures).toMatchObject([{ code: 'SHOP_FAILED', route: '/api/broken/:id' }])
    const health = await app.inject('/health')
    expect([health.statusCode, health.json()]).toEqual([503, { status: 'error', database: 'disconnected' }])
    expect((await app.inject('/livez')).json()).toEqual({ status: 'ok' })
  })
})

describe('the end of a server', () => {
  it('waits for what is under way, and not for connections that nobody uses any more', async () => {
    let begun = (): void => {}
    const beginning = new Promise<void>((resolve) => {
      begun = resolve
    })
    let go = (): void => {}
    const going = new Promise<void>((resolve) => {
      go = resolve
    })
    const server = createAppServer({
      errors: ShopError,
      authenticate,
      db: away,
      health: { answer: z.strictObject({ queued: z.int() }), read: async () => ({ queued: 0 }) },
      openRoutes: (open) =>
        void open.get('/slow', async () => {
          begun()
          await going
          return 'done'
        }),
      routes: () => {},
    })
    const url = await server.listen({ port: 0, host: '127.0.0.1' })
    const answer = fetch(`${url}/slow`).then((response) => response.text())
    await beginning
    const startedAt = performance.now()
    const closed = server.close()
    setImmediate(go)
    expect(await answer).toBe('done')
    await closed
    // A connection is kept for more than a minute otherwise.
    expect(performance.now() - startedAt).toBeLessThan(20_000)
  })
})

describe('what requests bring', () => {
  const schema = z.strictObject({ title: z.string().max(5), meta: z.record(z.string(), z.unknown()).optional() })
  const refused = (message: string) => expect.objectContaining({ code: 'SHOP_INVALID', status: 422, message })

  it('is named where it is refused, and never quoted', () => {
    expect(parse(schema, { title: 'x' })).toEqual({ title: 'x' })
    expect(() => parse(schema, { title: 'secret' })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^title: (?!.*secret)/) }),
    )
    expect(() => parse(schema, { title: 'x', secret: 1 })).toThrow(
      refused('The request is not valid: there are fields that are not known here.'),
    )
    expect(() => parse(schema, { title: 'x', meta: { 'a\0': 1 } })).toThrow(
      refused('meta holds a character that cannot be kept.'),
    )
    expect(() => parse(schema, { title: '\ud800' })).toThrow(refused('title holds a character that cannot be kept.'))
  })

  it('may be the place where the page before ended', () => {
    const id = '5f3a1c1e-6a55-4f3e-9d0f-3b1f6f0c1a01'
    const time = '2026-01-02T03:04:05.678Z'
    expect(parsePlace(placeOf(time, id))).toEqual([time, id])
    expect(parsePlace(undefined)).toEqual([null, null])
    for (const cursor of ['nonsense', '', placeOf('yesterday', id), placeOf(time, '7')])
      expect(() => parsePlace(cursor)).toThrow(refused('cursor is what `next` of the page before was.'))
  })
})
