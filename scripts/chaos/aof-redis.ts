/** A Redis that writes its log, can be killed, and comes back with what the log holds, at the same address. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRedis } from '../../packages/tidemark/dist/redis/create-redis.js'
import { findRedisServer } from '../../packages/tidemark/dist/redis/embedded/find-server.js'
import { acquirePort } from '../../packages/tidemark/dist/state/state.js'
import { until } from '../../packages/tidemark/dist/time/until.js'

export interface AofRedis {
  readonly url: string
  /** kill -9. */
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

export const startAofRedis = async (): Promise<AofRedis> => {
  const program = await findRedisServer()
  if (program === undefined) throw new Error('neither redis-server nor valkey-server is on PATH')
  const port = await acquirePort()
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-chaos-redis-'))
  const url = `redis://127.0.0.1:${port}`
  let child: ChildProcess | undefined
  const answers = async (): Promise<boolean> => {
    const redis = await createRedis({ url })
    const isUp = redis.state === 'up'
    await redis.stop()
    return isUp
  }
  const kill = async (): Promise<void> => {
    if (!child) return
    const ended = once(child, 'close')
    child.kill('SIGKILL')
    await ended
    child = undefined
  }
  const start = async (): Promise<void> => {
    const log = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', '', '--maxmemory-policy', 'noeviction']
    child = spawn(program, ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, ...log], { stdio: 'ignore' })
    await until(answers, { timeoutMs: 20_000, intervalMs: 100, what: 'The start of Redis' })
  }
  await start()
  return {
    url,
    kill,
    start,
    stop: async () => {
      await kill()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
