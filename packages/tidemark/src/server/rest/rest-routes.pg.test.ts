import { request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { useClient } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import { useRestServer } from '../testing/use-rest-server.js'

let known: bigint | null = 0xffn
const positionOf = (number: bigint | null) => (number === null ? null : { epoch: 'wal-1', number })
const server = useRestServer({
  settings: { maxBodyBytes: 20_000 },
  sendTimeoutMs: 500,
  positions: { read: () => positionOf(known), written: async () => positionOf(known && known + 1n) },
})
const admin = useClient({
  get url() {
    return server.databaseUrl
  },
})

const call = (path: string, init: RequestInit = {}) => fetch(`${server.url}/rest/v1${path}`, init)

const busy = async () =>
  (
    await admin.query(
      `select from pg_stat_activity where usename = 'authenticator' and state = 'active' and datname = current_database()`,
    )
  ).rowCount

describe('the door of /rest/v1', () => {
  it('CACHE-5: a read says what it shows at least, a write where it is told to those who name a position, to scripts of other origins too', async () => {
    const ask = async (path: string, init: RequestInit = {}) => {
      const { status, headers } = await call(path, init)
      return [status, headers.get('tidemark-position')]
    }
    const plain = { 'content-type': 'application/json', authorization: `Bearer ${server.keys.service}` }
    const headers = { ...plain, 'tidemark-position': 'wal-1:1' }
    const write = { method: 'POST', headers, body: '{"id":900,"name":"essay"}' }
    expect(await ask('/genres?limit=1')).toEqual([200, 'wal-1:ff'])
    expect(await ask('/genres', write)).toEqual([201, 'wal-1:100'])
    expect(await ask('/genres', write)).toEqual([409, null])
    expect(await ask('/genres?id=eq.900', { method: 'PATCH', headers: plain, body: '{"name":"essays"}' })).toEqual([204, null])
    expect(await ask('/genres?id=eq.900', { method: 'DELETE', headers })).toEqual([204, 'wal-1:100'])
    expect((await call('/genres')).headers.get('access-control-expose-headers')).toContain('Tidemark-Position')
    known = null
    expect(await ask('/genres?limit=1')).toEqual([200, null])
    known = 0xffn
  })

  it('takes paths, queries and bodies as they come', async () => {
    expect(await (await call('/genres?select=name&id=eq.1')).json()).toEqual([{ name: 'novel' }])
    expect(await (await call('/%67enres?select=name&id=eq.1')).json()).toEqual([{ name: 'novel' }])
    expect((await call('/')).headers.get('content-type')).toBe('application/openapi+json; charset=utf-8')
    expect((await call('')).status).toBe(200)
    expect((await call('/a/b/c')).status).toBe(404)
    expect((await call('/genres', { method: 'TRACE' }).catch(() => ({ status: 0 }))).status).not.toBe(500)
    const text = await call('/rpc/echo_text', { method: 'POST', body: 'é', headers: { 'content-type': 'text/plain' } })
    expect(await text.text()).toBe('"É"')
    const bytes = {
      method: 'POST',
      body: new Uint8Array([0, 255]),
      headers: { 'content-type': 'application/octet-stream', accept: 'application/octet-stream' },
    }
    expect(new Uint8Array(await (await call('/rpc/echo_bytes', bytes)).arrayBuffer())).toEqual(new Uint8Array([0, 255, 0]))
    expect(
      await (await call('/rpc/add', { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } })).json(),
    ).toBe(11)
  })

  it('answers with headers of PostgREST, errors too', async () => {
    const page = await call('/books?select=id&limit=2', { headers: { prefer: 'count=exact' } })
    expect([page.status, page.headers.get('content-range'), page.headers.get('preference-applied')]).toEqual([
      206,
      '0-1/4',
      'count=exact',
    ])
    const refused = await call('/nothing')
    expect([refused.status, refused.headers.get('proxy-status')]).toEqual([404, 'PostgREST; error=PGRST205'])
    expect(await refused.json()).toEqual({
      code: 'PGRST205',
      details: null,
      hint: null,
      message: "Could not find the table 'api.nothing' in the schema cache",
    })
    const head = await call('/books?select=id', { method: 'HEAD' })
    expect([head.status, head.headers.get('content-range'), await head.text()]).toEqual([200, '0-3/*', ''])
  })

  it('says what may be done, to those who ask and to browsers', async () => {
    const options = await call('/cheap_books', { method: 'OPTIONS' })
    expect([options.status, options.headers.get('allow')]).toEqual([200, 'OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE'])
    const preflight = await call('/genres', {
      method: 'OPTIONS',
      headers: {
        origin: 'https://a.example',
        'access-control-request-method': 'PATCH',
        'access-control-request-headers': 'apikey,prefer',
      },
    })
    expect(preflight.status).toBe(204)
    expect(Object.fromEntries(preflight.headers)).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD',
      'access-control-allow-headers': 'apikey,prefer',
    })
    const answer = await call('/genres', { headers: { origin: 'https://a.example' } })
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(answer.headers.get('access-control-expose-headers')).toContain('Content-Range')
    const refused = await call('/nothing', { headers: { origin: 'https://a.example' } })
    expect(refused.headers.get('access-control-allow-origin')).toBe('*')
  })

  it('knows who calls: by bearer, by key, by a key in the URL', async () => {
    const role = async (path: string, headers: Record<string, string> = {}) =>
      ((await (await call(path, { headers })).json()) as { role?: string; code?: string; message?: string }) ?? {}
    const user = await server.token({ sub: 'x', role: 'authenticated' })
    expect((await role('/rpc/whoami')).role).toBe('anon')
    expect((await role('/rpc/whoami', { apikey: server.keys.service })).role).toBe('service_role')
    expect((await role(`/rpc/whoami?apikey=${server.keys.service}`)).role).toBe('service_role')
    expect((await role('/rpc/whoami', { apikey: server.keys.anon, authorization: `Bearer ${user}` })).role).toBe('authenticated')
    expect(await role('/rpc/whoami', { authorization: 'Bearer nonsense' })).toMatchObject({ code: 'PGRST301' })
    const expired = await server.token({ role: 'authenticated', exp: 1 })
    expect((await role('/rpc/whoami', { authorization: `Bearer ${expired.slice(0, -2)}xx` })).code).toBe('PGRST301')
    expect(await role('/rpc/whoami', { apikey: 'nonsense' })).toMatchObject({ message: 'Invalid API key' })
    const evil = await server.token({ role: 'postgres' })
    expect(await role('/genres', { authorization: `Bearer ${evil}` })).toMatchObject({ code: '42501' })
    const nobody = await server.token({ role: 'no such role' })
    expect((await call('/genres', { headers: { authorization: `Bearer ${nobody}` } })).status).toBe(401)
  })

  it('bounds bodies, whether their length is told or not', async () => {
    const headers = { 'content-type': 'application/json', apikey: server.keys.service }
    const big = JSON.stringify({ id: 900, word: 'x'.repeat(30_000) })
    const refused = await call('/words', { method: 'POST', body: big, headers })
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([413, 'PGRST102'])
    const stream = new ReadableStream({
      pull: (controller) => controller.enqueue(Buffer.alloc(10_000, 32)),
    })
    const streamed = await call('/words', { method: 'POST', body: stream, headers, duplex: 'half' } as RequestInit).then(
      ({ status }) => status,
      () => 413,
    )
    expect(streamed).toBe(413)
  })

  it('ends what runs for a caller that hangs up', async () => {
    await admin.query(`alter function api.slow() reset all`)
    // Else it may still end by itself, after 50 ms.
    await server.catalogue.reload()
    const asked = httpRequest(`${server.url}/rest/v1/rpc/slow`, { method: 'POST' })
    asked.on('error', () => undefined)
    asked.end()
    await until(async () => (await busy()) === 1)
    asked.destroy()
    await until(async () => (await busy()) === 0)
    expect((await call('/genres?limit=1')).status).toBe(200)
  })

  it('cuts off a caller that does not take its answer', async () => {
    // More than the buffers of any socket take.
    await admin.query(
      `create function api.large() returns text stable language sql as $$ select repeat('x', 90000000) $$; grant execute on function api.large to anon`,
    )
    await server.catalogue.reload()
    const url = new URL(server.url)
    const accepted: Socket[] = []
    const accept = (connection: Socket) => void accepted.push(connection)
    server.app.server.on('connection', accept)
    const socket = connect(Number(url.port), url.hostname)
    socket.on('error', () => undefined)
    let begins = ''
    socket.once('data', (bytes: Buffer) => {
      begins = bytes.toString('latin1', 0, 15)
      socket.pause()
    })
    socket.write(`GET /rest/v1/rpc/large HTTP/1.1\r\nhost: x\r\n\r\n`)
    // The client of other tests may connect anew at the same time.
    const other = await until(() =>
      accepted.find(({ remotePort }) => remotePort !== undefined && remotePort === socket.localPort),
    )
    server.app.server.off('connection', accept)
    await until(() => begins !== '', { timeoutMs: 30_000 })
    expect(begins).toBe('HTTP/1.1 200 OK')
    await until(() => other.destroyed, { timeoutMs: 30_000 })
    socket.destroy()
  })

  it('speaks of a function that is gone or new right away', async () => {
    await admin.query(
      `create function api.fresh() returns int language sql as $$ select 7 $$; grant execute on function api.fresh to anon`,
    )
    expect(await (await call('/rpc/fresh')).json()).toBe(7)
    await admin.query(`alter table api.genres add column fresh int default 3`)
    await until(async () => (await call('/genres?select=fresh&limit=1')).status === 200)
    expect(await (await call('/genres?select=fresh&limit=1')).json()).toEqual([{ fresh: 3 }])
    await admin.query(`alter table api.genres drop column fresh`)
    expect((await call('/genres?select=name')).status).toBe(200)
  })

  it('keeps secrets and what went wrong inside to itself', async () => {
    await call('/genres', {
      headers: { authorization: `Bearer ${await server.token({ role: 'authenticated', sub: 'secret-claim' })}` },
    })
    const all = server.logged.join('\n')
    expect(all).not.toContain(server.keys.service)
    expect(all).not.toContain('secret-claim')
    expect(all).not.toMatch(/apikey=ey/)
  })
})
