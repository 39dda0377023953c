/** What is measured, in a process of its own: a whole server, or `ws` and nothing else. */
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { resolveConfig } from '../../packages/tidemark/dist/config/config.js'
import { silentLogger } from '../../packages/tidemark/dist/observability/observability.js'
import { createServer as createTidemark } from '../../packages/tidemark/dist/server/server.js'
import { answerCalls, type ServingCalls } from './words.ts'

const { WebSocketServer } = createRequire(import.meta.resolve('../../packages/tidemark/dist/server/server.js'))(
  'ws',
) as typeof import('ws')

type Start = ServingCalls['start']['given']

let stop: () => Promise<unknown> = async () => undefined

/** A frame of one client goes to all others, each by a call of its own: what everybody writes. */
const startWs = async (): Promise<{ readonly port: number; readonly anonKey: string }> => {
  const http = createServer()
  const sockets = new WebSocketServer({ server: http, perMessageDeflate: false, clientTracking: true })
  sockets.on('connection', (socket) => {
    socket.on('error', () => undefined)
    socket.on('message', (data: Buffer, binary: boolean) => {
      for (const other of sockets.clients) if (other !== socket) other.send(data, { binary })
    })
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  stop = async () => {
    for (const socket of sockets.clients) socket.terminate()
    http.close()
  }
  return { port: (http.address() as AddressInfo).port, anonKey: '' }
}

const unlimited = '1000000'

const startTidemark = async ({ url, folder, secret }: Extract<Start, { kind: 'tidemark' }>) => {
  const env = {
    DATABASE_URL: url,
    PORT: '0',
    TIDEMARK_STATE_DIR: folder,
    TIDEMARK_REDIS_EMBEDDED: 'false',
    SUPABASE_JWT_SECRET: secret,
    TIDEMARK_REALTIME_JOINS_PER_SECOND: '100000',
    TIDEMARK_REALTIME_EVENTS_PER_SECOND: unlimited,
    TIDEMARK_REALTIME_MAX_CONNECTIONS: unlimited,
    TIDEMARK_REALTIME_IDLE_TIMEOUT_MS: '3600000',
  }
  const server = createTidemark({ config: resolveConfig({ cwd: folder, env }), log: silentLogger, cwd: folder })
  await server.start()
  stop = () => server.stop()
  return { port: Number(new URL(server.url).port), anonKey: (await server.status()).keys.anon }
}

answerCalls<ServingCalls>({
  start: (given: Start) => (given.kind === 'ws' ? startWs() : startTidemark(given)),
  usage: ({ collect }: ServingCalls['usage']['given']) => {
    for (let i = 0; collect && i < 3; i++) globalThis.gc?.()
    const { user, system } = process.cpuUsage()
    return { cpuUs: user + system, residentBytes: process.memoryUsage().rss }
  },
  stop: async () => {
    await stop()
    return {}
  },
})
