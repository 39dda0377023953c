/** The private Redis is emptied, killed, or frozen for a while. The move does not use it, so it must not notice. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { Project } from '../project.ts'
import { oneOf } from '../random.ts'
import { everywhere, type Fault } from './fault.ts'

const flush = async ({ stateDir }: Project): Promise<void> => {
  const conf = await readFile(join(stateDir, 'redis', 'redis.conf'), 'utf8')
  const redis = new Redis({
    port: Number(/^port (\d+)$/m.exec(conf)?.[1]),
    password: /^requirepass "(.*)"$/m.exec(conf)?.[1] ?? '',
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 1,
  })
  redis.on('error', () => undefined)
  try {
    await redis.connect()
    await redis.flushall()
  } finally {
    redis.disconnect()
  }
}

const isSignalled = (pid: number, signal: NodeJS.Signals): boolean => {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

export const redis: Fault = {
  phases: everywhere,
  strike: async ({ project, dice }) => {
    const server = await project.child('redis')
    if (!server) return undefined
    const what = oneOf(dice, ['flushed', 'killed', 'frozen'] as const)
    if (what === 'flushed')
      return flush(project).then(
        () => what,
        () => undefined,
      )
    if (!isSignalled(server.pid, what === 'killed' ? 'SIGKILL' : 'SIGSTOP')) return undefined
    if (what === 'killed') return what
    await pause(1500)
    isSignalled(server.pid, 'SIGCONT')
    return what
  },
}
