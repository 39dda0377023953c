import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createRedis } from '../../redis/create-redis.js'
import type { Redis } from '../../redis/redis.js'
import { startTestRedis } from '../../testing/redis/redis-server.js'
import { sharedRedisUrl } from '../../testing/redis/redis-setup.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { companionKeys } from './companion-keys.js'
import { createRedisTier } from './create-redis-tier.js'
import type { LeaseAnswer, NewValue } from './redis-tier.js'

// The machine may be busy.
const leaseMs = 600_000
const newValue = (value: unknown): NewValue => ({
  value,
  plain: true,
  freshForMs: 600_000,
  keptForMs: 600_000,
  asOf: 0n,
  tags: [],
})
const granted = (answer: LeaseAnswer): string => {
  if (answer.state !== 'granted') throw new Error(`the lease is ${answer.state}`)
  return answer.token
}

describe.skipIf(sharedRedisUrl() === undefined)('The tier in a Redis that fails', () => {
  const cleanups = useCleanups()
  const serve = async (...args: readonly string[]) => {
    const server = await startTestRedis({ args })
    cleanups.push(() => server.stop())
    return server
  }
  const connect = async (url: string): Promise<Redis> => {
    const redis = await createRedis({ url, commandTimeoutMs: 20_000 })
    cleanups.push(() => redis.stop())
    return redis
  }

  it('S12 voids what comes back with an old snapshot file, and what an old lease may still store', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'tidemark-snapshot-'))
    cleanups.push(() => rm(dir, { recursive: true, force: true }))
    const first = await serve('--dir', dir)
    const before = await connect(first.url)
    const tier = createRedisTier({ redis: before, leaseMs })
    const late = granted(await tier.lease('late', 'epoch 1'))
    await tier.fill('k', 'epoch 1', granted(await tier.lease('k', 'epoch 1')), newValue('old'), null)
    await before.command(['SAVE'])
    await tier.purge(['k', 'late'].map((key) => ({ key, xid: '100' })))
    expect(await tier.get('k', 'epoch 1')).toBeUndefined()
    first.signal('SIGKILL')
    await first.stop()

    const after = await connect((await serve('--dir', dir)).url)
    const again = createRedisTier({ redis: after, leaseMs })
    // Redis forgot the purge: value and lease are back, and the fence is not.
    expect((await again.get('k', 'epoch 1'))?.value).toBe('old')
    expect(await after.command(['GET', companionKeys('late').lease])).toBe(late)
    expect(await again.fill('late', 'epoch 1', late, newValue('old'), null)).toBe('stored')
    expect(await again.getMany(['k', 'late'], 'epoch 2')).toEqual([undefined, undefined])
    for (const key of ['k', 'late']) {
      expect(await again.fill(key, 'epoch 2', granted(await again.lease(key, 'epoch 2')), newValue('new'), null)).toBe('stored')
    }
    expect((await again.getMany(['k', 'late'], 'epoch 2')).map((found) => found?.value)).toEqual(['new', 'new'])
  })

  it('S16 stores nothing where there is no room, and still answers, gives leases back and purges', async () => {
    const redis = await connect((await serve('--maxmemory-policy', 'noeviction')).url)
    const tier = createRedisTier({ redis, leaseMs })
    await tier.fill('there', 'e', granted(await tier.lease('there', 'e')), newValue('x'), null)
    const held = granted(await tier.lease('held', 'e'))
    const given = granted(await tier.lease('given', 'e'))
    await redis.command(['CONFIG', 'SET', 'maxmemory', '1kb'])
    await expect(redis.command(['SET', 'x', 'y'])).rejects.toMatchObject({
      parameters: { reason: expect.stringMatching(/^OOM/) },
    })
    expect(await tier.fill('held', 'e', held, newValue('x'), null)).toBe('full')
    expect(await redis.command(['EXISTS', companionKeys('held').lease, 'held'])).toBe(0)
    expect(await tier.lease('new', 'e')).toEqual({ state: 'full' })
    await tier.release('given', given)
    expect(await redis.command(['EXISTS', companionKeys('given').lease])).toBe(0)
    expect((await tier.get('there', 'e'))?.value).toBe('x')
    await tier.purge([
      { key: 'there', xid: '100' },
      { key: 'never', xid: '100' },
    ])
    expect(await tier.get('there', 'e')).toBeUndefined()
    expect(await redis.command(['EXISTS', companionKeys('there').fence, companionKeys('never').fence])).toBe(2)
    await redis.command(['CONFIG', 'SET', 'maxmemory', '100mb'])
    expect(await tier.fill('new', 'e', granted(await tier.lease('new', 'e')), newValue('x'), null)).toBe('stored')
  })

  it('S16 fills a Redis up to its bound, and goes on when there is room again', async () => {
    const redis = await connect((await serve('--maxmemory', '4mb', '--maxmemory-policy', 'noeviction')).url)
    const tier = createRedisTier({ redis, leaseMs })
    const outcomes: string[] = []
    const fillOne = async (n: number) => {
      const answer = await tier.lease(`big:${n}`, 'e')
      if (answer.state !== 'granted') return answer.state
      return tier.fill(`big:${n}`, 'e', answer.token, newValue('x'.repeat(100_000)), null)
    }
    for (let n = 0; n < 100 && outcomes.at(-1) !== 'full'; n++) outcomes.push(await fillOne(n))
    expect(outcomes.length).toBeGreaterThan(5)
    expect(outcomes.at(-1)).toBe('full')
    await tier.purge(outcomes.map((_outcome, n) => ({ key: `big:${n}`, xid: '100' })))
    await until(async () => (await tier.lease('again', 'e')).state === 'granted')
  })

  it('raises where the server refuses to write, and where it is gone', async () => {
    const server = await serve()
    const redis = await connect(server.url)
    const tier = createRedisTier({ redis, leaseMs })
    await tier.fill('k', 'e', granted(await tier.lease('k', 'e')), newValue('x'), null)
    const token = granted(await tier.lease('other', 'e'))
    const everyWrite = () => [
      tier.lease('new', 'e'),
      tier.fill('other', 'e', token, newValue('x'), null),
      tier.release('other', token),
      tier.purge([{ key: 'k', xid: '100' }]),
    ]
    await redis.command(['REPLICAOF', '127.0.0.1', '1'])
    for (const write of await Promise.allSettled(everyWrite())) {
      expect(write).toMatchObject({ status: 'rejected', reason: { code: 'TM_REDIS_UNREACHABLE' } })
    }
    // The driver takes the connection up anew: such an answer may mean that the address leads to another server by now.
    await until(async () => (await tier.get('k', 'e').catch(() => undefined))?.value === 'x')
    server.signal('SIGKILL')
    await until(() => redis.state === 'down')
    const outcomes = await Promise.allSettled([...everyWrite(), tier.get('k', 'e'), tier.get('k', 'e'), tier.getMany(['k'], 'e')])
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'TM_REDIS_UNREACHABLE' } })
    }
    const absent = createRedisTier({ redis: await createRedis() })
    await expect(absent.get('k', 'e')).rejects.toMatchObject({ code: 'TM_REDIS_ABSENT' })
  })
})
