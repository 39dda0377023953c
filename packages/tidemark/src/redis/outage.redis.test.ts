import { describe, expect, it } from 'vitest'
import { createLogger } from '../observability/log.js'
import { createSignals } from '../observability/signals.js'
import { acquirePort } from '../state/state.js'
import { startTestRedis, type TestRedis } from '../testing/redis/redis-server.js'
import { sharedRedisUrl } from '../testing/redis/redis-setup.js'
import { startUpstashFacade, type UpstashFacade } from '../testing/redis/upstash-facade.js'
import { useCleanups } from '../testing/use-cleanups.js'
import { until } from '../time/until.js'
import { createRedis, type RedisOptions } from './create-redis.js'
import { defineScript } from './lua-script.js'
import type { Redis, RedisState } from './redis.js'

const cleanups = useCleanups()

const closing = <T extends { stop(): Promise<void> }>(thing: T): T => {
  cleanups.push(() => thing.stop())
  return thing
}

const open = async (options: RedisOptions): Promise<Redis> =>
  closing(await createRedis({ commandTimeoutMs: 20_000, connectTimeoutMs: 20_000, retryMaxMs: 100, ...options }))

/** Half of every limit of time: whatever took less has waited for none of them, however busy the machine is. */
const atOnceMs = 10_000

/** What a command is refused with before anything could have been sent. */
const atOnce = (redis: Redis): Promise<unknown> => {
  const next = new Promise((resolve) => setImmediate(resolve, 'still waiting'))
  return Promise.race([redis.command(['GET', 'k']).catch((error: unknown) => error), next])
}

const timed = async (run: () => Promise<unknown>): Promise<{ error: unknown; ms: number }> => {
  const startedAt = performance.now()
  const error = await run().then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return { error, ms: performance.now() - startedAt }
}

const becomes = (redis: Redis, state: RedisState) => until(() => redis.state === state, { what: `A Redis that is ${state}` })
const unreachable = { code: 'TM_REDIS_UNREACHABLE', retryable: true }

/** Both drivers before one real server: what befalls the server befalls the facade as well. */
const drivers = ['tcp', 'rest'] as const
const token = 'a-token-of-the-facade'

interface Scene {
  readonly options: RedisOptions
  kill(): Promise<void>
  restart(): Promise<void>
  freeze(): void
  thaw(): void
}

const scenes: Record<(typeof drivers)[number], () => Promise<Scene>> = {
  tcp: async () => {
    const port = await acquirePort()
    let server: TestRedis = closing(await startTestRedis({ port }))
    return {
      options: { url: server.url },
      kill: () => server.stop(),
      restart: async () => {
        server = closing(await startTestRedis({ port }))
      },
      freeze: () => server.signal('SIGSTOP'),
      thaw: () => server.signal('SIGCONT'),
    }
  },
  rest: async () => {
    const server = closing(await startTestRedis())
    let facade: UpstashFacade = closing(await startUpstashFacade({ redisUrl: server.url, token }))
    const { port } = facade
    return {
      options: { restUrl: facade.url, restToken: token },
      kill: () => facade.stop(),
      restart: async () => {
        facade = closing(await startUpstashFacade({ redisUrl: server.url, token, port }))
      },
      freeze: () => server.signal('SIGSTOP'),
      thaw: () => server.signal('SIGCONT'),
    }
  },
}

describe.skipIf(sharedRedisUrl() === undefined).each(drivers)('an outage over %s', (driver) => {
  it('makes commands fail at once while the server is dead, and ends by itself when it is back', async () => {
    const scene = await scenes[driver]()
    const signals = createSignals()
    const redis = await open({ ...scene.options, signals })
    const states: RedisState[] = []
    redis.onState((state) => void states.push(state))
    redis.onState(() => {
      throw new Error('listener')
    })
    await redis.command(['SET', 'k', 'v'])
    await scene.kill()
    await timed(() => redis.command(['GET', 'k']))
    await becomes(redis, 'down')
    expect(await atOnce(redis)).toMatchObject(unreachable)
    for (const call of [
      () => redis.pipeline([['GET', 'k']]),
      () => redis.script(defineScript('x', 'return 1'), []),
      () => redis.ping(),
    ]) {
      expect((await timed(call)).error).toMatchObject(unreachable)
    }
    await scene.restart()
    await becomes(redis, 'up')
    expect(await redis.command(['SET', 'k', 'again'])).toBe('OK')
    expect(await redis.script(defineScript('x', 'return 1'), [])).toBe(1)
    expect(states).toEqual(['down', 'up'])
    expect(signals.recent().map(({ name }) => name)).toEqual(['redis.down', 'redis.up'])
  })

  it('takes a frozen server for down within the time of one command, and up again when it thaws', async () => {
    const scene = await scenes[driver]()
    const redis = await open({ ...scene.options, commandTimeoutMs: 300 })
    scene.freeze()
    cleanups.push(async () => scene.thaw())
    const { error } = await timed(() => redis.command(['GET', 'k']))
    expect(error).toMatchObject({ ...unreachable, message: expect.stringContaining('no answer within 300 ms') })
    await becomes(redis, 'down')
    expect(await atOnce(redis)).toMatchObject(unreachable)
    scene.thaw()
    await becomes(redis, 'up')
    expect(await redis.command(['SET', 'k', 'v'])).toBe('OK')
  })

  it("stays up when a caller's own shorter time runs out", async () => {
    const scene = await scenes[driver]()
    const redis = await open(scene.options)
    scene.freeze()
    const { error } = await timed(() => redis.command(['GET', 'k'], { timeoutMs: 40 }))
    scene.thaw()
    expect(error).toMatchObject(unreachable)
    expect(redis.state).toBe('up')
    expect(await redis.command(['GET', 'k'])).toBeNull()
  })

  it('starts down within its time where nothing listens, and comes up when something does', async () => {
    const scene = await scenes[driver]()
    await scene.kill()
    const lines: string[] = []
    const log = createLogger({ destination: { write: (line) => lines.push(line) } })
    const startedAt = performance.now()
    const redis = await open({ ...scene.options, log })
    expect(performance.now() - startedAt).toBeLessThan(atOnceMs)
    expect(redis.state).toBe('down')
    expect((await timed(() => redis.ping())).error).toMatchObject({
      ...unreachable,
      message: expect.stringContaining('ECONNREFUSED'),
    })
    await scene.restart()
    await becomes(redis, 'up')
    const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
    expect(messages).toEqual(['not reachable; going on without it', 'connected'])
  })

  it('rejects what is under way when it is stopped, and everything after', async () => {
    const scene = await scenes[driver]()
    const redis = await open(scene.options)
    scene.freeze()
    const pending = timed(() => redis.command(['GET', 'k']))
    await redis.stop()
    scene.thaw()
    expect((await pending).error).toMatchObject(unreachable)
    expect((await timed(() => redis.command(['GET', 'k']))).error).toMatchObject({ message: expect.stringContaining('stopped') })
    expect(redis.state).toBe('down')
    await redis.stop()
  })

  it('stops while it is down as well, without coming back', async () => {
    const scene = await scenes[driver]()
    await scene.kill()
    const redis = await open(scene.options)
    await redis.stop()
    await scene.restart()
    expect((await timed(() => redis.ping())).error).toMatchObject(unreachable)
    expect(redis.state).toBe('down')
  })
})

describe.skipIf(sharedRedisUrl() === undefined)('over TCP', () => {
  it('a blocked command rejects when the server dies, and is not sent again', async () => {
    const scene = await scenes.tcp()
    const redis = await open(scene.options)
    const observer = await open(scene.options)
    const blocked = timed(() => redis.command(['BLPOP', 'queue', 0], { timeoutMs: 60_000 }))
    await until(async () => String(await observer.command(['CLIENT', 'LIST'])).includes('cmd=blpop'))
    const killedAt = performance.now()
    await scene.kill()
    expect((await blocked).error).toMatchObject(unreachable)
    expect(performance.now() - killedAt).toBeLessThan(atOnceMs)
    await scene.restart()
    await becomes(redis, 'up')
    await redis.command(['RPUSH', 'queue', 'x'])
    expect(await redis.command(['LLEN', 'queue'])).toBe(1)
  })

  it('a subscription goes on after an outage', async () => {
    const scene = await scenes.tcp()
    const redis = await open(scene.options)
    const heard: string[] = []
    await redis.subscribe(['news'], (message) => void heard.push(message))
    await scene.kill()
    await becomes(redis, 'down')
    await expect(redis.subscribe(['more'], () => {})).rejects.toMatchObject(unreachable)
    await scene.restart()
    await becomes(redis, 'up')
    await until(async () => (await redis.command(['PUBLISH', 'news', 'x'])) === 1)
    await until(() => heard.includes('x'))
  })

  it('a full server refuses a write and stays up', async () => {
    const server = closing(await startTestRedis({ args: ['--maxmemory', '1mb', '--maxmemory-policy', 'noeviction'] }))
    const redis = await open({ url: server.url })
    const fill = () => redis.command(['SET', 'big', 'x'.repeat(3_000_000)])
    await timed(fill)
    const { error } = await timed(() => redis.command(['SET', 'more', 'x']))
    expect(error).toMatchObject({ code: 'TM_REDIS_COMMAND', message: expect.stringContaining('OOM') })
    expect(redis.state).toBe('up')
  })

  it('a write to a replica counts as unreachable, not as refused', async () => {
    const primary = closing(await startTestRedis())
    const replica = closing(await startTestRedis({ args: ['--replicaof', '127.0.0.1', String(primary.port)] }))
    const redis = await open({ url: replica.url })
    const { error } = await timed(() => redis.command(['SET', 'k', 'v']))
    expect(error).toMatchObject({ ...unreachable, message: expect.stringContaining('READONLY') })
  })
})

describe.skipIf(sharedRedisUrl() === undefined)('a refused login', () => {
  const secret = 'hunter2-is-a-secret'
  const collect = () => {
    const lines: string[] = []
    return { lines, log: createLogger({ level: 'debug', destination: { write: (line) => lines.push(line) } }) }
  }

  it('SEC-2: is told as such over TCP, and the password is nowhere in the error or the log', async () => {
    const server = closing(await startTestRedis({ password: 'right' }))
    const { lines, log } = collect()
    const redis = await open({ url: `redis://:${secret}@127.0.0.1:${server.port}`, log })
    const { error } = await timed(() => redis.command(['GET', 'k']))
    expect(error).toMatchObject({ code: 'TM_REDIS_AUTHENTICATION', message: expect.stringContaining('WRONGPASS') })
    expect(
      `${(error as Error).message} ${(error as Error).stack} ${JSON.stringify(error)} ${redis.target} ${lines.join()}`,
    ).not.toContain(secret)
    const right = await open({ url: server.url })
    expect(await right.command(['SET', 'k', 'v'])).toBe('OK')
    expect(right.target).toBe(`redis://127.0.0.1:${server.port}`)
  })

  it('SEC-2: is told as such over REST, and the token is nowhere in the error or the log', async () => {
    const server = closing(await startTestRedis())
    const facade = closing(await startUpstashFacade({ redisUrl: server.url, token }))
    const { lines, log } = collect()
    const redis = await open({ restUrl: facade.url, restToken: secret, log })
    expect(redis.state).toBe('down')
    const { error } = await timed(() => redis.command(['GET', 'k']))
    expect(error).toMatchObject({ code: 'TM_REDIS_AUTHENTICATION' })
    expect(`${(error as Error).message} ${(error as Error).stack} ${JSON.stringify(error)} ${lines.join()}`).not.toContain(secret)
  })
})
