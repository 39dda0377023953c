import { createServer as createTcpServer, type Server } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { TidemarkError } from '../../errors.js'
import { createMetrics } from '../../observability/metrics.js'
import { type LogFields, type Logger, silentLogger } from '../../observability/observability.js'
import { createTokenCheck } from '../project/admin-token.js'
import { resolveRoles } from '../roles.js'
import { createHttp, levelOf } from './http.js'
import { listen, urlOf } from './listen.js'
import { validate } from './validate.js'

const open = async () => {
  const lines: { message: string; fields: LogFields | undefined }[] = []
  const write = (message: string, fields?: LogFields) => void lines.push({ message, fields })
  const log: Logger = { ...silentLogger, info: write, error: write, warn: write }
  const metrics = createMetrics()
  const app = await createHttp({ log, metrics })
  return { app, lines, metrics }
}

describe('the HTTP server', () => {
  test('an error of ours answers with its status and its JSON form', async () => {
    const { app } = await open()
    app.get('/starting', () => {
      throw new TidemarkError('TM_SERVER_STARTING', {})
    })
    const response = await app.inject('/starting')
    expect(response.statusCode).toBe(503)
    expect(response.headers['retry-after']).toBe('1')
    expect(response.json()).toEqual({
      error: {
        code: 'TM_SERVER_STARTING',
        message: 'The server is still starting.',
        fix: 'Send the request again in a moment; /readyz says when it is ready.',
        retryable: true,
      },
    })
  })

  test('SEC-2: what nobody foresaw is a 500 that tells no secret, and is logged with its cause', async () => {
    const { app, lines } = await open()
    app.get('/broken', () => {
      throw new Error('lost postgres://me:hunter2@host/db')
    })
    const response = await app.inject('/broken?token=very-secret')
    expect(response.statusCode).toBe(500)
    expect(response.json()).toMatchObject({ error: { code: 'TM_INTERNAL' } })
    expect(response.body).not.toContain('hunter2')
    expect(lines[0]).toMatchObject({ message: 'a request failed', fields: { path: '/broken', err: { code: 'TM_INTERNAL' } } })
    expect(JSON.stringify(lines.map(({ fields }) => fields?.['path']))).not.toContain('very-secret')
  })

  test('bodies: empty JSON is an empty object, broken JSON a 400, too large a 413, another type a 415', async () => {
    const { app } = await open()
    app.post('/echo', async (request) => request.body)
    const json = { 'content-type': 'application/json' }
    const send = (body: string, headers: Record<string, string> = json) =>
      app.inject({ method: 'POST', url: '/echo', headers, body })
    expect((await send('')).json()).toEqual({})
    expect((await send('{"a":1}')).json()).toEqual({ a: 1 })
    const broken = await send('{"a":')
    expect([broken.statusCode, broken.json().error.code]).toEqual([400, 'TM_SERVER_BAD_REQUEST'])
    expect((await send('{"__proto__": {"admin": true}}')).statusCode).toBe(400)
    expect((await send(`{"a":"${'x'.repeat(1024 * 1024)}"}`)).statusCode).toBe(413)
    expect((await send('<a/>', { 'content-type': 'text/xml' })).statusCode).toBe(415)
  })

  test('every answer carries the security headers, and each request one log line and one measurement', async () => {
    const { app, lines, metrics } = await open()
    app.get('/things/:id', async () => ({ ok: true }))
    app.get('/livez', async () => ({}))
    const response = await app.inject('/things/7?apikey=secret')
    expect(response.headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'x-frame-options': 'SAMEORIGIN' })
    await app.inject('/livez')
    expect(lines).toEqual([
      {
        message: 'request',
        fields: expect.objectContaining({ method: 'GET', path: '/things/7', status: 200, durationMs: expect.any(Number) }),
      },
    ])
    expect(await metrics.render()).toContain(
      'tidemark_http_request_duration_seconds_count{method="GET",route="/things/:id",status="200"} 1',
    )
  })

  test.each([
    ['/livez', 503, 9000, 'debug'],
    ['/apps/*', 200, 12, 'debug'],
    ['/realtime/v1/api/broadcast', 202, 12, 'debug'],
    ['/apps/*', 401, 12, 'info'],
    ['/apps/*', 200, 1000, 'info'],
    ['/realtime/v1/websocket', 101, 12, 'info'],
    ['/rest/v1/:table', 200, 12, 'info'],
  ] as const)('%s with %i after %i ms is a line at %s', (route, status, ms, level) => {
    expect(levelOf(route, status, ms)).toBe(level)
  })
})

describe('listening', () => {
  const servers: Server[] = []
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
  })
  const takePort = async (): Promise<number> => {
    const server = createTcpServer()
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as { port: number }).port
  }

  test('C70: a taken port is passed over where nobody asked for it, and is an error where somebody did', async () => {
    const port = await takePort()
    const { app } = await open()
    await expect(listen(app, { host: '127.0.0.1', port, portAsked: true })).rejects.toMatchObject({
      code: 'TM_SERVER_PORT_TAKEN',
      exitCode: 3,
    })
    const url = await listen(app, { host: '127.0.0.1', port, portAsked: false })
    expect(Number(new URL(url).port)).not.toBe(port)
    expect((await fetch(url)).status).toBe(404)
    await app.close()
  })

  test('an address that is not this machine is an error that names it', async () => {
    const { app } = await open()
    await expect(listen(app, { host: '192.0.2.1', port: 8080, portAsked: true })).rejects.toMatchObject({
      code: 'TM_SERVER_LISTEN',
      message: expect.stringContaining('192.0.2.1'),
    })
  })

  test('the URL is one that this machine can open', () => {
    expect(urlOf({ address: '0.0.0.0', port: 80, family: 'IPv4' })).toBe('http://127.0.0.1:80')
    expect(urlOf({ address: '::1', port: 80, family: 'IPv6' })).toBe('http://[::1]:80')
  })
})

describe('what guards the admin paths', () => {
  test('one of the tokens, as a bearer', () => {
    const check = createTokenCheck(['first-token', 'second-token'])
    for (const [header, expected] of [
      ['Bearer first-token', true],
      ['bearer second-token', true],
      ['Bearer first-tokenx', false],
      ['first-token', false],
      ['Bearer ', false],
      ['', false],
      [undefined, false],
    ] as const) {
      expect([header, check(header)]).toEqual([header, expected])
    }
  })

  test('a wrong body is refused with its fields and without its values', () => {
    const schema = z.strictObject({ file: z.string() })
    expect(validate(schema, { file: 'a.db' })).toEqual({ file: 'a.db' })
    const refusal = (value: unknown) => {
      try {
        validate(schema, value)
      } catch (error) {
        return error as TidemarkError
      }
    }
    expect(refusal({ file: 7 })).toMatchObject({ code: 'TM_SERVER_BAD_REQUEST', message: expect.stringContaining('file:') })
    expect(refusal({ file: 'a', flie: 'hunter2' })?.message).not.toContain('hunter2')
    expect(refusal(undefined)?.code).toBe('TM_SERVER_BAD_REQUEST')
  })

  test('roles that do not exist are an error of the configuration', () => {
    expect([...resolveRoles(['all'])]).toEqual(['admin', 'alerts', 'auth', 'feed', 'realtime', 'rest', 'webhooks'])
    expect([...resolveRoles(['admin'])]).toEqual(['admin'])
    expect(() => resolveRoles(['admin', 'wizard'])).toThrow(expect.objectContaining({ code: 'TM_CONFIG_BAD_VALUE' }))
  })
})
