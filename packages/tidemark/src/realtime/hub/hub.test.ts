import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createMetrics } from '../../observability/metrics.js'
import { silentLogger } from '../../observability/observability.js'
import { createFakeClock } from '../../testing/fake-clock.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import type { Connection } from './connection.js'
import { binaryFrame, type Frame, textFrame } from './frame.js'
import type { SocketProtocol, UpgradeRequest } from './hub.js'
import { openHub } from './open-hub.js'

const cleanups = useCleanups()

interface Peer {
  readonly connection: Connection
  readonly heard: (string | Buffer)[]
  readonly acknowledged: number[]
  closed: { readonly code: number; readonly reason: string } | undefined
}

interface Setup {
  readonly clock?: Clock
  readonly protocol?: Partial<SocketProtocol>
  readonly maxConnections?: number
  readonly hear?: (peer: Peer, message: string) => void
}

const open = async ({ clock = systemClock, protocol = {}, maxConnections = 1000, hear }: Setup = {}) => {
  const metrics = createMetrics()
  const peers: Peer[] = []
  const requests: UpgradeRequest[] = []
  const hub = openHub({ log: silentLogger, metrics, maxConnections, clock, acknowledgeEveryMs: 50, closeTimeoutMs: 300 })
  hub.serve({
    name: 'test',
    takes: (path) => path === '/socket',
    accept: async (request) => {
      requests.push(request)
      return {
        open: (connection) => {
          const peer: Peer = { connection, heard: [], acknowledged: [], closed: undefined }
          peers.push(peer)
          return {
            message: (data, isBinary) => {
              peer.heard.push(isBinary ? data : data.toString())
              hear?.(peer, data.toString())
            },
            acknowledged: (sent) => void peer.acknowledged.push(sent),
            closed: (code, reason) => {
              peer.closed = { code, reason }
            },
          }
        },
      }
    },
    full: () => ({ status: 429, body: { error: 'full' } }),
    farewell: (why) => (why === 'shutdown' ? { code: 1012, reason: 'restarting' } : { code: 4000, reason: why }),
    maxMessageBytes: 100_000,
    idleTimeoutMs: 60_000,
    maxBufferedBytes: 100_000,
    ...protocol,
  })
  const server: Server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => response.end(`${request.method} ${request.url} ${request.headers.upgrade} ${body}`))
  })
  hub.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  cleanups.push(async () => {
    await hub.stop(100)
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const client = async (path = '/socket'): Promise<{ ws: WebSocket; heard: (string | Buffer)[]; peer: Peer }> => {
    const before = peers.length
    const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`)
    cleanups.push(() => ws.terminate())
    const heard: (string | Buffer)[] = []
    ws.on('message', (data: Buffer, isBinary) => void heard.push(isBinary ? data : data.toString()))
    ws.on('error', () => undefined)
    await new Promise((resolve) => ws.once('open', resolve))
    return { ws, heard, peer: peers[before]! }
  }
  return { hub, metrics, peers, requests, port, client }
}

/** An HTTP exchange as bytes. */
const talk = async (port: number, text: string): Promise<string> => {
  const socket = connect(port, '127.0.0.1')
  cleanups.push(() => socket.destroy())
  let answer = ''
  socket.on('data', (data) => {
    answer += data.toString()
  })
  socket.write(text)
  await until(() => /\r\n\r\n[\s\S]+/.test(answer))
  return answer
}

const handshake = 'GET /socket HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n'

/** A client that finishes the handshake and reads nothing from then on. */
const deafClient = async (port: number): Promise<Socket> => {
  const socket = connect(port, '127.0.0.1')
  cleanups.push(() => socket.destroy())
  socket.on('error', () => undefined)
  socket.write(`${handshake}sec-websocket-key: ${randomBytes(16).toString('base64')}\r\n\r\n`)
  await new Promise((resolve) => socket.once('data', resolve))
  socket.pause()
  return socket
}

describe('the hub', () => {
  test('carries text and bytes of every length, in their order', async () => {
    const { client } = await open({
      protocol: { maxBufferedBytes: 5_000_000 },
      hear: ({ connection }, message) => connection.send(textFrame(`got ${message.length}`)),
    })
    const { ws, heard, peer } = await client()
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 99_999]
    for (const size of sizes) ws.send('x'.repeat(size))
    await until(() => heard.length === sizes.length)
    expect(heard).toEqual(sizes.map((size) => `got ${size}`))
    heard.length = 0
    for (const size of sizes) peer.connection.send(textFrame('ü'.repeat(size)))
    for (const size of sizes) peer.connection.send(binaryFrame(Buffer.alloc(size, 7)))
    await until(() => heard.length === 2 * sizes.length)
    expect(heard.map((message) => message.length)).toEqual([...sizes, ...sizes])
    expect(heard[4]).toBe('ü'.repeat(65_535))
    expect(heard[11]).toEqual(Buffer.alloc(65_535, 7))
  })

  test('what is sent in one turn leaves in one piece, and one frame serves all clients', async () => {
    const { client, peers } = await open()
    const clients = await Promise.all([client(), client(), client()])
    const frames: Frame[] = Array.from({ length: 500 }, (_, index) => textFrame(`message ${index}`))
    for (const { connection } of peers) connection.sendFrames(frames)
    await until(() => clients.every(({ heard }) => heard.length === frames.length))
    for (const { heard } of clients) expect(heard).toEqual(frames.map((_, index) => `message ${index}`))
    expect(peers.map(({ connection }) => connection.sent)).toEqual([500, 500, 500])
  })

  test('RT-3: who never reads is cut off with a reason, takes no memory, and slows nobody', async () => {
    const { hub, metrics, port, client, peers } = await open()
    await deafClient(port)
    await until(() => peers.length === 1)
    const deaf = peers[0]!
    const { heard } = await client()
    let most = 0
    let count = 0
    while (deaf.connection.isOpen && count < 10_000) {
      for (let index = 0; index < 10; index++) {
        const frame = textFrame('x'.repeat(5_000))
        for (const { connection } of peers) connection.send(frame)
        count += 1
        most = Math.max(most, deaf.connection.bufferedBytes)
      }
      await until(() => heard.length === count, { intervalMs: 1 })
    }
    await until(() => deaf.closed)
    expect(deaf.closed).toEqual({ code: 4000, reason: 'slow' })
    expect(most).toBeLessThan(120_000)
    expect(heard).toHaveLength(count)
    hub.refreshMetrics()
    expect(await metrics.render()).toContain('tidemark_realtime_cut_off_total{protocol="test",reason="slow"} 1')
  })

  test('RT-2: who is cut off for being slow still says how much of it it has read', async () => {
    const { client } = await open()
    const { ws, heard, peer } = await client()
    ws.pause()
    let sent = 0
    while (peer.connection.isOpen) {
      peer.connection.send(textFrame('x'.repeat(50_000)))
      peer.connection.requestAcknowledgement()
      sent += 1
      await new Promise((resolve) => setImmediate(resolve))
    }
    ws.resume()
    await until(() => peer.closed)
    expect(peer.closed?.code).toBe(4000)
    expect(heard.length).toBeLessThan(sent)
    expect(peer.acknowledged.at(-1)).toBe(heard.length)
  })

  test('a frame larger than what a client may leave unread still reaches one that reads', async () => {
    const { client } = await open()
    const { heard, peer } = await client()
    peer.connection.send(textFrame('x'.repeat(3_000_000)))
    await until(() => heard.length === 1)
    expect(heard[0]).toHaveLength(3_000_000)
  })

  test('says what a client has received, with at most one question at a time', async () => {
    const { client } = await open()
    const { ws, peer } = await client()
    let pings = 0
    ws.on('ping', () => {
      pings += 1
    })
    for (let index = 0; index < 20; index++) {
      peer.connection.send(textFrame(`${index}`))
      peer.connection.requestAcknowledgement()
    }
    await until(() => peer.acknowledged.length > 0)
    expect(peer.acknowledged).toEqual([20])
    peer.connection.send(textFrame('one more'))
    peer.connection.requestAcknowledgement()
    await until(() => peer.acknowledged.at(-1) === 21)
    expect(pings).toBe(2)
  })

  test('an answered farewell acknowledges all that came before it', async () => {
    const { hub, client } = await open()
    const { peer, ws } = await client()
    const closed = new Promise((resolve) => ws.once('close', (code, reason) => resolve([code, reason.toString()])))
    peer.connection.send(textFrame('last'))
    await hub.stop()
    expect(await closed).toEqual([1012, 'restarting'])
    expect(peer.acknowledged).toEqual([1])
    expect(peer.closed?.code).toBe(1012)
  })

  test('a client that says nothing is cut off after a minute, one that pings is not', async () => {
    const clock = createFakeClock()
    const { client } = await open({ clock })
    const quiet = await client()
    const alive = await client()
    await clock.advance(40_000)
    const ponged = new Promise((resolve) => alive.ws.once('pong', resolve))
    alive.ws.ping('hello')
    expect(String(await ponged)).toBe('hello')
    await clock.advance(25_000)
    expect(quiet.peer.closed).toEqual({ code: 4000, reason: 'idle' })
    expect(alive.peer.closed).toBeUndefined()
  })

  test('a flood of pings is answered, but not each of them', async () => {
    const { client } = await open()
    const { ws } = await client()
    const pongs: string[] = []
    ws.on('pong', (payload) => void pongs.push(payload.toString()))
    for (let index = 0; index < 1000; index++) ws.ping(String(index))
    await until(() => pongs.at(-1) === '999')
    expect(pongs.length).toBeLessThan(1000)
  })

  test('refuses by an HTTP answer what a protocol refuses, and whoever is too many', async () => {
    const { port, client } = await open({ maxConnections: 1 })
    const { ws } = await client()
    const key = `sec-websocket-key: ${randomBytes(16).toString('base64')}\r\n\r\n`
    const answer = await talk(port, handshake + key)
    expect(answer).toMatch(/^HTTP\/1.1 429 Too Many Requests\r\n/)
    expect(answer).toContain('\r\n\r\n{"error":"full"}')
    ws.close()
    await new Promise((resolve) => ws.once('close', resolve))
    await client()
    const refusing = await open({
      protocol: { accept: async () => ({ status: 401, body: { error: 'who are you?' } }) },
    })
    expect(await talk(refusing.port, handshake + key)).toMatch(/^HTTP\/1.1 401 Unauthorized\r\n[\s\S]*{"error":"who are you\?"}$/)
    const failing = await open({ protocol: { accept: () => Promise.reject(new Error('secret')) } })
    expect(await talk(failing.port, handshake + key)).toMatch(/^HTTP\/1.1 500 [\s\S]*{"error":"Internal server error"}$/)
  })

  test('a wish for another protocol, or of another path, is served as the request that it is, body and all', async () => {
    const { port } = await open()
    const h2c = 'connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n'
    const answer = await talk(port, `POST /rest?a=b HTTP/1.1\r\nhost: x\r\n${h2c}content-length: 5\r\n\r\nhello`)
    expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*POST \/rest\?a=b undefined hello/)
    const chunked = `POST /rest HTTP/1.1\r\nhost: x\r\n${h2c}transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n`
    expect(await talk(port, chunked)).toContain('POST /rest undefined hello')
    expect(await talk(port, handshake.replace('/socket', '/elsewhere').concat('\r\n'))).toContain('GET /elsewhere undefined')
  })

  test('what is malformed, too large or no UTF-8 ends with a code, and the hub lives', async () => {
    const { hub, metrics, client } = await open()
    const large = await client()
    large.ws.send('x'.repeat(100_001))
    await until(() => large.peer.closed)
    expect(large.peer.closed?.code).toBe(1006)
    const codes: number[] = []
    for (const bytes of [
      [0x81, 0x01, 0x41],
      [0xf1, 0x80, 0, 0, 0, 0],
      [0x81, 0x81, 0, 0, 0, 0, 0xff],
      [0x80, 0x80, 0, 0, 0, 0],
    ]) {
      const { ws, peer } = await client()
      ws.once('close', (code) => void codes.push(code))
      const raw = (ws as unknown as { _socket: Socket })._socket
      raw.write(Buffer.from(bytes))
      await until(() => peer.closed && ws.readyState === WebSocket.CLOSED)
    }
    expect(codes).toEqual([1002, 1002, 1007, 1002])
    expect(hub.connections('test')).toBe(0)
    const text = await metrics.render()
    expect(text).toContain('tidemark_realtime_cut_off_total{protocol="test",reason="tooLarge"} 1')
    expect(text).toContain('tidemark_realtime_cut_off_total{protocol="test",reason="badText"} 1')
    expect(text).toContain('tidemark_realtime_cut_off_total{protocol="test",reason="badFrame"} 3')
  })

  test('a handler that raises loses its client only', async () => {
    const { client } = await open({
      hear: ({ connection }, message) => {
        if (message === 'boom') throw new Error('boom')
        connection.send(textFrame(message))
      },
    })
    const [one, other] = await Promise.all([client(), client()])
    const closed = new Promise((resolve) => one!.ws.once('close', resolve))
    one!.ws.send('boom')
    expect(await closed).toBe(1011)
    other!.ws.send('still here')
    await until(() => other!.heard.length === 1)
  })

  test('a client that goes without a word is gone', async () => {
    const { hub, client } = await open()
    const { ws, peer } = await client()
    ws.terminate()
    await until(() => peer.closed)
    expect(peer.closed?.code).toBe(1006)
    expect(hub.connections()).toBe(0)
    peer.connection.send(textFrame('nobody hears'))
    expect(peer.connection.sent).toBe(0)
  })
})
