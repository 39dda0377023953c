import { createServer, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { splitRedisUrls } from '../config/redis-urls.js'
import { resolveConnectionOptions } from './connection-options.js'
import { createRedis } from './create-redis.js'
import { defineScript } from './lua-script.js'
import { replyError } from './redis-error.js'
import { parseClusterTargets, parseRestTarget, parseTcpTarget } from './redis-target.js'
import { createUpstashRest } from './upstash-rest.js'

describe('without an address', () => {
  it('Redis is absent: every call rejects at once with what to do, and nothing needs stopping', async () => {
    const redis = await createRedis()
    expect([redis.driver, redis.state, redis.target]).toEqual(['none', 'absent', ''])
    for (const call of [
      () => redis.command(['GET', 'k']),
      () => redis.pipeline([]),
      () => redis.script(defineScript('x', 'return 1'), []),
      () => redis.subscribe(['a'], () => {}),
      () => redis.ping(),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'TM_REDIS_ABSENT', retryable: true })
    }
    redis.onState(() => {})()
    await redis.stop()
  })
})

describe('an address', () => {
  it('is read with its user, password, database and TLS, and shown without secrets', () => {
    expect(parseTcpTarget('rediss://app:p%40ss@cache.example:6380/2')).toEqual({
      host: 'cache.example',
      port: 6380,
      tls: true,
      username: 'app',
      password: 'p@ss',
      db: 2,
      display: 'rediss://cache.example:6380',
    })
    expect(parseTcpTarget('redis://[::1]')).toEqual({ host: '::1', port: 6379, tls: false, db: 0, display: 'redis://[::1]:6379' })
    expect(parseTcpTarget('redis://:100%@h')).toMatchObject({ password: '100%' })
    expect(parseRestTarget('https://x.upstash.io/', 't')).toEqual({
      url: 'https://x.upstash.io',
      token: 't',
      display: 'https://x.upstash.io',
    })
  })

  it('of a cluster are those of some nodes, and who brings no login has that of the first', () => {
    const urls = splitRedisUrls('rediss://me:a,b@h:7000, rediss://h:7001,rediss://:c@[::1]:7002')
    const login = { username: 'me', password: 'a,b' }
    expect(parseClusterTargets(urls)).toMatchObject([
      { host: 'h', port: 7000, tls: true, ...login },
      { host: 'h', port: 7001, tls: true, ...login },
      { host: '::1', port: 7002, tls: true, password: 'c' },
    ])
  })

  it('that is none is refused, without being quoted', async () => {
    for (const url of [
      '',
      'hunter2',
      'http://:hunter2@h',
      'redis://:hunter2@',
      'redis://:hunter2@h/db',
      'redis://:hunter2@h:99999',
      'redis://:hunter2@h:1,rediss://h:2',
      'redis://:hunter2@h:1/1,redis://h:2/1',
      'redis://:hunter2@h:1,redis://h:99999',
    ]) {
      const error = await createRedis({ url }).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'TM_REDIS_BAD_URL' })
      expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain('hunter2')
    }
    for (const rest of [
      { restUrl: 'https://x.upstash.io' },
      { restUrl: 'ftp://x', restToken: 't' },
      { restUrl: 'https://u:hunter2@x', restToken: 't' },
      { restUrl: 'https://x', restToken: 'a b' },
    ]) {
      await expect(createRedis(rest)).rejects.toMatchObject({ code: 'TM_REDIS_BAD_URL' })
    }
  })

  it('over REST without the package says what to install', async () => {
    const load = () => Promise.reject(new Error("Cannot find package '@upstash/redis'"))
    const made = createUpstashRest({ url: 'https://x', token: 't', display: 'https://x' }, resolveConnectionOptions({}), load)
    await expect(made).rejects.toMatchObject({
      code: 'TM_REDIS_DRIVER_MISSING',
      fix: expect.stringContaining('npm install @upstash/redis'),
    })
  })
})

describe('an error reply', () => {
  it('becomes the error that says what helps', () => {
    const codes = (...messages: string[]) => messages.map((message) => replyError(message, 'redis://h').code)
    expect(codes('WRONGPASS invalid', 'NOAUTH Authentication required.', 'ERR invalid password')).toEqual(
      Array(3).fill('TM_REDIS_AUTHENTICATION'),
    )
    expect(
      codes(
        'LOADING Redis is loading',
        'READONLY You can not',
        'BUSY Redis is busy',
        'ERR max daily request limit exceeded. Limit: 10000',
      ),
    ).toEqual(Array(4).fill('TM_REDIS_UNREACHABLE'))
    expect(codes('OOM command not allowed', 'WRONGTYPE Operation', 'BUSYGROUP Consumer Group name already exists')).toEqual(
      Array(3).fill('TM_REDIS_COMMAND'),
    )
  })
})

describe('a server that accepts connections and says nothing', () => {
  it('is taken for down within the time to connect', async () => {
    const sockets: Socket[] = []
    const server = createTcpServer((socket) => void sockets.push(socket.resume()))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const redis = await createRedis({ url: `redis://127.0.0.1:${port}`, connectTimeoutMs: 100 })
    expect(redis.state).toBe('down')
    await expect(redis.ping()).rejects.toMatchObject({
      code: 'TM_REDIS_UNREACHABLE',
      message: expect.stringContaining('does not answer the greeting'),
    })
    await redis.stop()
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
})

describe('a server that is no Redis', () => {
  let server: Server | undefined
  afterEach(() => new Promise((resolve) => server?.close(resolve) ?? resolve(undefined)))

  it.each([
    [502, '<html>Bad gateway</html>'],
    [500, '{}'],
    [200, 'not json'],
  ])('answers %i %s and is taken for down', async (status, body) => {
    server = createServer((_request, response) => void response.writeHead(status, { connection: 'close' }).end(body))
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const redis = await createRedis({ restUrl: `http://127.0.0.1:${port}`, restToken: 't' })
    expect(redis.state).toBe('down')
    await expect(redis.ping()).rejects.toMatchObject({ code: 'TM_REDIS_UNREACHABLE' })
    await redis.stop()
  })
})
