import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis as Ioredis } from 'ioredis'
import { findRedisServer } from '../../redis/embedded/find-server.js'
import { acquirePort } from '../../state/state.js'
import { systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'

export interface TestRedisOptions {
  /** Default: any free one. */
  readonly port?: number
  readonly password?: string
  /** More of the server's own options, such as `['--maxmemory', '1mb']`. */
  readonly args?: readonly string[]
}

/** A throw-away server on loopback that keeps nothing on disk. */
export interface TestRedis {
  readonly url: string
  readonly port: number
  /** Ends or freezes the server: SIGKILL, SIGSTOP, SIGCONT. */
  signal(name: NodeJS.Signals): void
  stop(): Promise<void>
}

const answers = async (url: string): Promise<boolean> => {
  const client = new Ioredis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 500, protocol: 2 })
  client.on('error', () => {})
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    client.disconnect()
  }
}

const exited = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

/** Undefined where it ended at once. */
const startOn = async (
  program: string,
  port: number,
  { password, args = [] }: TestRedisOptions,
): Promise<TestRedis | undefined> => {
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-redis-'))
  const login = password === undefined ? [] : ['--requirepass', password]
  const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir]
  const child = spawn(program, [...fixed, ...login, ...args], { stdio: 'ignore' })
  const url = `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await until(() => exited(child), { what: 'The end of the test server' })
    await rm(dir, { recursive: true, force: true })
  }
  try {
    await until(() => exited(child) || answers(url), { what: 'The start of the test server' })
  } catch (error) {
    await stop()
    throw error
  }
  if (!exited(child)) return { url, port, signal: (name) => void child.kill(name), stop }
  await stop()
  return undefined
}

const tries = 5

/** Starts a real server. Raises where none is on PATH. */
export const startTestRedis = async (options: TestRedisOptions = {}): Promise<TestRedis> => {
  const program = await findRedisServer()
  if (program === undefined) throw new Error('neither redis-server nor valkey-server is on PATH')
  // A free port may be taken before it is listened on, and whoever had it before may not be gone yet.
  for (let left = tries; left > 0; left--) {
    const server = await startOn(program, options.port ?? (await acquirePort()), options)
    if (server) return server
    await systemClock.sleep(100)
  }
  throw new Error(`${program} ended at once, ${tries} times: is its port taken?`)
}
