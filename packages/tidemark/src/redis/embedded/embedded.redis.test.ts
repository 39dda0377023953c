import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isAlive, openState, processIdentity, type State } from '../../state/state.js'
import { startTestRedis } from '../../testing/redis/redis-server.js'
import { sharedRedisUrl } from '../../testing/redis/redis-setup.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import { createRedis } from '../create-redis.js'
import type { Redis, RedisState } from '../redis.js'
import { writeConf } from './conf.js'
import { type EmbeddedRedis, placeIn, startEmbeddedRedis } from './embedded.js'
import { findRedisServer } from './find-server.js'
import { spawnServer } from './server-process.js'

let dir: string
let state: State

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tidemark "quoted" redis-'))
  state = await openState(dir)
})
afterEach(async () => {
  const left = await state.child('redis').read()
  if (left && (await isAlive(left))) process.kill(left.pid, 'SIGKILL')
  await rm(dir, { recursive: true, force: true })
})
const cleanups = useCleanups()

const start = async (options: Partial<Parameters<typeof startEmbeddedRedis>[0]> = {}): Promise<EmbeddedRedis> => {
  const server = await startEmbeddedRedis({ state: await openState(dir), restart: false, ...options })
  if (!server) throw new Error('no server program')
  cleanups.push(() => server.stop())
  return server
}

const connect = async (server: EmbeddedRedis): Promise<Redis> => {
  const redis = await createRedis({ url: server.url, retryMaxMs: 100 })
  cleanups.push(() => redis.stop())
  return redis
}

const serverPid = async (): Promise<number> => (await state.child('redis').read())!.pid

const program = (body: string): string => `
  import { createJiti } from 'jiti'
  const load = (path) => createJiti(${JSON.stringify(import.meta.url)}).import(path)
  const { startEmbeddedRedis } = await load('./embedded.ts')
  const { openState } = await load('../../state/state.ts')
  const server = await startEmbeddedRedis({ state: await openState(${JSON.stringify(dir)}), restart: false })
  ${body}`

/** Another command of the same project, holding the server until it is told or killed. */
const anotherCommand = async (
  body = 'console.log(server.attached); setInterval(() => {}, 1000)',
): Promise<ChildProcess & { said: () => string }> => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(body)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  cleanups.push(async () => child.kill('SIGKILL'))
  await until(() => said !== '' || child.exitCode !== null, { timeoutMs: 30_000, what: 'Another command' })
  return Object.assign(child, { said: () => said.trim() })
}

const kill = async (pid: number): Promise<void> => {
  process.kill(pid, 'SIGKILL')
  await until(async () => (await processIdentity(pid)) === undefined)
}

describe('without a server program on PATH', () => {
  it('there is no embedded Redis, and that is no error', async () => {
    expect(await startEmbeddedRedis({ state, path: `${dir}::/nowhere` })).toBeUndefined()
  })

  it('redis-server is preferred to valkey-server, and valkey-server will do', async () => {
    const write = async (name: string, mode: number) => {
      await writeFile(join(dir, name), '')
      await chmod(join(dir, name), mode)
    }
    await write('valkey-server', 0o755)
    expect(await findRedisServer(dir)).toBe(join(dir, 'valkey-server'))
    await write('redis-server', 0o755)
    expect(await findRedisServer(dir)).toBe(join(dir, 'redis-server'))
  })
})

describe.skipIf(sharedRedisUrl() === undefined)('the embedded Redis', () => {
  it('listens on loopback alone, wants its password, and shows it to nobody', async () => {
    const server = await start()
    const redis = await connect(server)
    expect(await redis.command(['CONFIG', 'GET', 'bind'])).toEqual(['bind', '127.0.0.1'])
    expect(await redis.command(['CONFIG', 'GET', 'appendonly'])).toEqual(['appendonly', 'yes'])
    expect(await redis.command(['CONFIG', 'GET', 'maxmemory-policy'])).toEqual(['maxmemory-policy', 'noeviction'])
    const stranger = await createRedis({ url: `redis://127.0.0.1:${server.port}` })
    cleanups.push(() => stranger.stop())
    await expect(stranger.ping()).rejects.toMatchObject({ code: 'TM_REDIS_AUTHENTICATION' })
    const password = decodeURIComponent(new URL(server.url).password)
    expect(password.length).toBeGreaterThan(30)
    const commandLine = await readFile(`/proc/${await serverPid()}/cmdline`, 'utf8').catch(() => '')
    expect(commandLine).not.toContain(password)
    expect((await stat(state.path('redis', 'redis.conf'))).mode & 0o777).toBe(0o600)
    expect(server.version).toMatch(/^\d+\.\d+/)
  })

  it('keeps its data, port and password from one run to the next', async () => {
    const first = await start()
    await (await connect(first)).command(['SET', 'k', 'kept'])
    await first.stop()
    await first.stop()
    const second = await start()
    expect([second.url, second.attached]).toEqual([first.url, false])
    expect(await (await connect(second)).command(['GET', 'k'])).toBe('kept')
  })

  it('is shared by the commands of a project, and stops with the last of them', async () => {
    const first = await start()
    const second = await start()
    expect([first.attached, second.attached, second.url]).toEqual([false, true, first.url])
    const pid = await serverPid()
    await first.stop()
    expect(await (await connect(second)).ping()).toBeGreaterThan(0)
    await second.stop()
    expect(await processIdentity(pid)).toBeUndefined()
    expect(await state.child('redis').read()).toBeUndefined()
  })

  it('is started once by ten commands at the same time', async () => {
    const servers = await Promise.all(Array.from({ length: 10 }, () => start()))
    expect(servers.filter(({ attached }) => !attached)).toHaveLength(1)
    expect(new Set(servers.map(({ url }) => url)).size).toBe(1)
  })

  it('survives kill -9 of the command that started it, and the next one adopts it', async () => {
    const other = await anotherCommand()
    expect(other.said()).toBe('false')
    const pid = await serverPid()
    await kill(other.pid!)
    expect(await processIdentity(pid)).toBeDefined()
    const adopted = await start()
    expect([adopted.attached, await serverPid()]).toEqual([true, pid])
    await adopted.stop()
    expect(await processIdentity(pid)).toBeUndefined()
  })

  it('is not stopped under another process that still uses it', async () => {
    const mine = await start()
    const other = await anotherCommand()
    expect(other.said()).toBe('true')
    await mine.stop()
    expect(await processIdentity(await serverPid())).toBeDefined()
  })

  it('adopts an orphan whose starter was killed before it could note it, and one whose configuration file is gone', async () => {
    const other = await anotherCommand()
    const pid = await serverPid()
    await kill(other.pid!)
    await state.child('redis').clear()
    const adopted = await start()
    expect([adopted.attached, await serverPid()]).toEqual([true, pid])
    await rm(state.path('redis', 'redis.conf'))
    const again = await start()
    expect([again.attached, again.url]).toEqual([true, adopted.url])
  })

  it('is started again by the next command after kill -9 of the server, with its data', async () => {
    const first = await start()
    await (await connect(first)).command(['SET', 'k', 'kept'])
    const pid = await serverPid()
    await kill(pid)
    const second = await start()
    expect([second.attached, second.url]).toEqual([false, first.url])
    expect(await serverPid()).not.toBe(pid)
    expect(await (await connect(second)).command(['GET', 'k'])).toBe('kept')
  })

  it('is started again by itself while a command uses it, and the connection comes back', async () => {
    const server = await start({ restart: true })
    const redis = await connect(server)
    await redis.command(['SET', 'k', 'kept'])
    const states: RedisState[] = []
    redis.onState((state) => void states.push(state))
    await kill(await serverPid())
    // It may be back before anybody looks.
    await until(() => states.includes('down') && redis.state === 'up')
    expect(await redis.command(['GET', 'k'])).toBe('kept')
  })

  it('stays down when it was shut down in order', async () => {
    const server = await start({ restart: true })
    const redis = await connect(server)
    const pid = await serverPid()
    await redis.command(['SHUTDOWN']).catch(() => {})
    await until(async () => (await processIdentity(pid)) === undefined)
    await expect(
      until(async () => (await processIdentity(await serverPid())) !== undefined, { timeoutMs: 700 }),
    ).rejects.toMatchObject({ code: 'TM_TIME_TIMEOUT' })
  })

  it('takes the next port where another program has its own, be it a Redis or not', async () => {
    const otherRedis = await startTestRedis()
    cleanups.push(() => otherRedis.stop())
    const server = await start({ preferredPort: otherRedis.port })
    expect(server.port).not.toBe(otherRedis.port)
    expect(await (await connect(server)).ping()).toBeGreaterThan(0)
    await server.stop()
    const squatter = createServer((socket) => void socket.resume())
    await new Promise<void>((resolve) => squatter.listen(server.port, '127.0.0.1', resolve))
    cleanups.push(() => new Promise((resolve) => squatter.close(resolve)))
    const moved = await start()
    expect(moved.port).not.toBe(server.port)
    expect(await (await connect(moved)).ping()).toBeGreaterThan(0)
  })

  it('of two projects has two servers', async () => {
    const otherDir = await mkdtemp(join(tmpdir(), 'tidemark-redis-'))
    const other = await startEmbeddedRedis({ state: await openState(otherDir), restart: false })
    cleanups.push(async () => {
      await other?.stop()
      await rm(otherDir, { recursive: true, force: true })
    })
    const mine = await start()
    await (await connect(mine)).command(['SET', 'k', 'mine'])
    expect(await (await connect(other!)).command(['GET', 'k'])).toBeNull()
  })

  it('refuses to start a second server beside one that is frozen', async () => {
    const first = await start()
    const pid = await serverPid()
    process.kill(pid, 'SIGSTOP')
    try {
      await expect(start()).rejects.toMatchObject({
        code: 'TM_REDIS_EMBEDDED_START',
        message: expect.stringContaining(`pid ${pid}`),
      })
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await first.stop()
  })

  it('refuses as well where nothing is known of a running server but its pid', async () => {
    const first = await start()
    await rm(state.path('redis', 'redis.conf'))
    await state.child('redis').clear()
    await expect(start()).rejects.toMatchObject({
      code: 'TM_REDIS_EMBEDDED_START',
      message: expect.stringContaining('redis.pid'),
    })
    process.kill(Number(await readFile(state.path('redis', 'redis.pid'), 'utf8')), 'SIGTERM')
    await first.stop()
  })

  it('ends before it touches the data where its port is taken, so the port keeps two servers apart', async () => {
    const first = await start()
    const conf = { port: first.port, password: 'another' }
    const place = placeIn(state)
    const options = { program: (await findRedisServer())!, timeoutMs: 5000, clock: systemClock }
    await writeConf(conf, { ...place, confPath: `${place.confPath}.second` })
    expect(await spawnServer(conf, { ...place, confPath: `${place.confPath}.second` }, options)).toBeUndefined()
    expect(await (await connect(first)).command(['SET', 'k', 'v'])).toBe('OK')
  })

  it("says in the server's own words why it cannot start", async () => {
    const server = await start()
    await (await connect(server)).command(['SET', 'k', 'v'])
    await server.stop()
    const base = join(server.dataDir, 'appendonlydir', 'appendonly.aof.1.incr.aof')
    if ((await stat(base).catch(() => undefined)) === undefined) return
    await writeFile(base, 'this is no append-only file')
    await expect(start()).rejects.toMatchObject({
      code: 'TM_REDIS_EMBEDDED_START',
      message: expect.stringContaining('Bad file format'),
    })
  })
})
