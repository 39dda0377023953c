import { createHmac } from 'node:crypto'
import { createServer } from 'node:net'
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { WebSocket } from 'ws'
import type { ProjectStatus } from '../../../tidemark/src/server/operations/status.js'
import { runCli } from '../../../tidemark/src/testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../../../tidemark/src/testing/project/cli-process.js'
import { createPreparedProject } from '../../../tidemark/src/testing/project/prepared-project.js'
import { createTidemark, type Tidemark, type TidemarkOptions } from '../tidemark.js'

/** A real server in processes of its own, with a database that the test may do everything with. */
export interface LiveServer {
  readonly url: string
  readonly dir: string
  readonly keys: ProjectStatus['keys']
  readonly sql: pg.Client
  /** What an application signs for its own users. */
  token(claims: object, forSeconds: number): string
  /** Stopped when the tests have ended. */
  client(options?: TidemarkOptions): TestClient
  /** `SIGKILL`: nobody is told. */
  restart(whileDown?: () => Promise<unknown>, signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

export interface TestClient extends Tidemark {
  /** Breaks its connection, as a bad line does. From then on it comes back only when that is called again with true. */
  line(isUp: boolean): void
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

const secret = 'a secret of these tests, which is long enough'
const base64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

export interface LiveServerOptions {
  /** Migrations that are applied before anything is served. */
  readonly migrations?: string
  readonly prepare?: string
}

export const withLiveServer = ({ migrations, prepare = '' }: LiveServerOptions): LiveServer => {
  const parts = {} as { -readonly [K in keyof LiveServer]: LiveServer[K] }
  const clients: Tidemark[] = []
  let folder: Awaited<ReturnType<typeof createPreparedProject>> | undefined
  let server: CliProcess | undefined
  let port = 0

  const start = async (): Promise<void> => {
    const env = { PORT: String(port), TIDEMARK_REDIS_EMBEDDED: 'false', SUPABASE_JWT_SECRET: secret }
    server = startCli(['dev', '--json'], { cwd: parts.dir, env })
    parts.url = await untilServing(server)
    const { keys, database } = JSON.parse(server.stdout) as ProjectStatus
    parts.keys = keys
    parts.sql = new pg.Client({ connectionString: database.url })
    // The server takes its database along when it ends.
    parts.sql.on('error', () => undefined)
    await parts.sql.connect()
  }
  const end = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> => {
    await parts.sql?.end().catch(() => undefined)
    server?.child.kill(signal)
    await server?.ended
  }

  beforeAll(async () => {
    folder = await createPreparedProject()
    parts.dir = folder.dir
    port = await freePort()
    if (migrations !== undefined) {
      const { exitCode, stderr } = await runCli(['schema', 'up', '--migrations', migrations], { cwd: folder.dir })
      if (exitCode !== 0) throw new Error(stderr)
    }
    await start()
    await parts.sql.query(prepare)
  })
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.stop()))
    await end()
    await folder?.remove()
  })

  parts.restart = async (whileDown, signal) => {
    await end(signal)
    await whileDown?.()
    await start()
  }

  parts.token = (claims, forSeconds) => {
    const exp = Math.floor(Date.now() / 1_000) + forSeconds
    const signed = `${base64({ alg: 'HS256', typ: 'JWT' })}.${base64({ aud: 'authenticated', ...claims, exp })}`
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
  }

  parts.client = ({ supabase = {}, ...options } = {}) => {
    const sockets = new Set<WebSocket>()
    let isUp = true
    class Line extends WebSocket {
      constructor(...args: ConstructorParameters<typeof WebSocket>) {
        super(...args)
        sockets.add(this)
        this.once('close', () => sockets.delete(this))
        if (!isUp) this.once('open', () => this.terminate())
      }
    }
    const realtime = { transport: Line as never, reconnectAfterMs: () => 20, ...supabase.realtime }
    const storageKey = `client-${clients.length}`
    const auth = { storageKey, persistSession: false, autoRefreshToken: false, ...supabase.auth }
    const client = createTidemark(parts.url, parts.keys.anon, { ...options, supabase: { ...supabase, auth, realtime } })
    clients.push(client)
    const line = (up: boolean): void => {
      isUp = up
      if (!up) for (const socket of sockets) socket.terminate()
    }
    return Object.assign(client, { line })
  }
  return parts
}
