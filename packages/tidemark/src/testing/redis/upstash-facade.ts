import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Command, Redis as Ioredis } from 'ioredis'

export interface UpstashFacadeOptions {
  /** The real server behind the facade. */
  readonly redisUrl: string
  readonly token: string
  /** Default: any free one. */
  readonly port?: number
}

export interface UpstashFacade {
  readonly url: string
  readonly token: string
  readonly port: number
  stop(): Promise<void>
}

type Reply = Buffer | number | null | Error | readonly Reply[]

interface Answer {
  readonly status: number
  readonly body: unknown
}

/** A line that only Upstash's own servers understand. */
const upstashOnly = /^#!lua flags=allow-key-locking\n/

const isCommand = (value: unknown): value is (string | number)[] =>
  Array.isArray(value) && value.length > 0 && value.every((part) => typeof part === 'string' || typeof part === 'number')

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}

const encode = (reply: Reply, base64: boolean): unknown => {
  if (Buffer.isBuffer(reply)) {
    const text = reply.toString('utf8')
    return base64 && text !== 'OK' ? reply.toString('base64') : text
  }
  if (reply instanceof Error) return reply.message
  return Array.isArray(reply) ? reply.map((item: Reply) => encode(item, base64)) : reply
}

const answerOf = (reply: Reply, base64: boolean) =>
  reply instanceof Error ? { error: reply.message } : { result: encode(reply, base64) }

const isAllowed = (request: IncomingMessage, token: string): boolean => {
  const given = Buffer.from(request.headers.authorization ?? '')
  const wanted = Buffer.from(`Bearer ${token}`)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

const toCommand = (parts: readonly (string | number)[]): Command => {
  const [name, ...args] = parts.map((part) => String(part).replace(upstashOnly, ''))
  return new Command(name!.toUpperCase(), args, { replyEncoding: null })
}

const perform = async (redis: Ioredis, path: string, body: unknown, base64: boolean): Promise<Answer> => {
  const send = (parts: readonly (string | number)[]): Promise<Reply> =>
    (redis.sendCommand(toCommand(parts)) as Promise<Reply>).catch((error: Error) => error)
  if (path === '/' && isCommand(body)) {
    const answer = answerOf(await send(body), base64)
    return { status: 'error' in answer ? 400 : 200, body: answer }
  }
  if (!Array.isArray(body) || !body.every(isCommand)) return { status: 400, body: { error: 'ERR failed to parse the body' } }
  if (path === '/pipeline') {
    const replies = await Promise.all(body.map(send))
    return { status: 200, body: replies.map((reply) => answerOf(reply, base64)) }
  }
  if (path !== '/multi-exec') return { status: 404, body: { error: 'ERR not found' } }
  const queued = await Promise.all([['MULTI'], ...body, ['EXEC']].map(send))
  const done = queued.at(-1)!
  if (Array.isArray(done)) return { status: 200, body: done.map((reply: Reply) => answerOf(reply, base64)) }
  return { status: 400, body: answerOf(queued.find((reply) => reply instanceof Error) ?? done, base64) }
}

/** A server that speaks Upstash's REST over a real Redis: `/`, `/pipeline`, `/multi-exec`, bearer token, base64 answers. */
export const startUpstashFacade = async ({ redisUrl, token, port = 0 }: UpstashFacadeOptions): Promise<UpstashFacade> => {
  const redis = new Ioredis(redisUrl, { protocol: 2, lazyConnect: true })
  redis.on('error', () => {})
  await redis.connect()

  const handle = async (request: IncomingMessage): Promise<Answer> => {
    if (!isAllowed(request, token)) return { status: 401, body: { error: 'WRONGPASS invalid or missing auth token' } }
    const base64 = request.headers['upstash-encoding'] === 'base64'
    return perform(redis, request.url ?? '/', await bodyOf(request), base64)
  }
  const respond = (request: IncomingMessage, response: ServerResponse): void => {
    const failed = (): Answer => ({ status: 400, body: { error: 'ERR failed to parse the body' } })
    void handle(request)
      .catch(failed)
      .then(({ status, body }) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)))
  }

  const server = createServer(respond)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const listening = (server.address() as AddressInfo).port
  return {
    url: `http://127.0.0.1:${listening}`,
    token,
    port: listening,
    stop: async () => {
      redis.disconnect()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
