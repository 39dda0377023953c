import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../postgres/embedded/embedded.js'
import { findRedisServer } from '../../redis/embedded/find-server.js'
import { bootstrap } from '../../schema/bootstrap.js'
import { platformSource } from '../../schema/migration-files.js'
import { createMigrator } from '../../schema/migrator.js'
import { connectTo, testPasswords, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { startBarePostgres } from '../../testing/project/prepared-project.js'
import { useRedis } from '../../testing/redis/use-redis.js'
import {
  createService,
  endPeer,
  isReady,
  type Peer,
  startPeer,
  stateOf,
  statesOf,
} from '../../testing/resilience/resilience-peers.js'
import type { ResilienceProcessOptions } from '../../testing/resilience/resilience-process.js'
import { until } from '../../time/until.js'

const hasRedis = (await findRedisServer()) !== undefined

const running: Peer[] = []

const start = (options: ResilienceProcessOptions): Peer => {
  const peer = startPeer(options)
  running.push(peer)
  return peer
}

const slow = { timeoutMs: 60_000, intervalMs: 50 }

afterEach(async () => {
  await Promise.all(running.splice(0).map((peer) => endPeer(peer, 'SIGKILL')))
})

describe.skipIf(!hasRedis)('processes that share breakers', () => {
  const redis = useRedis()
  let dir: string
  let postgres: EmbeddedPostgres
  let client: pg.Client
  let service: Awaited<ReturnType<typeof createService>>

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tidemark-resilience-'))
    await chmod(dir, 0o755)
    postgres = await startBarePostgres(dir)
    const admin = await connectTo(postgres.url)()
    await bootstrap(admin, { url: postgres.url, passwords: testPasswords })
    await admin.end()
    await createMigrator({ connect: connectTo(testUrl(postgres.url, 'migrator')), sources: [platformSource] }).up()
    client = new pg.Client({ connectionString: postgres.url })
    await client.connect()
    service = await createService()
  })

  afterAll(async () => {
    service?.stop()
    await client?.end()
    await postgres?.stop()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })

  test('F19: eight open within a second of the trip, probe one at a time, and leave one row for each transition', async () => {
    const name = 'crm'
    const peers = Array.from({ length: 8 }, () =>
      start({
        redisUrl: redis.url,
        databaseUrl: testUrl(postgres.url, 'app'),
        folder: join(dir, 'journal'),
        callers: 64,
        breaker: { service: name, url: service.url, recoveryTimeoutMs: 3000, pauseMs: 3000 },
      }),
    )
    await until(() => peers.every((peer) => isReady(peer) && stateOf(peer) === 'CLOSED'), slow)
    service.become({ status: 503, takesMs: 0 })
    const rowsOf = async () => {
      const { rows } = await client.query<{ move: string; at: Date; instance: string }>(
        `select previous_state || '>' || new_state as move, timestamp as at, instance
         from public.circuit_breaker_events where service_name = $1 order by epoch`,
        [name],
      )
      return rows
    }
    await until(() => peers.every((peer) => stateOf(peer) === 'OPEN'), slow)
    service.become({ status: 200, takesMs: 120 })
    const tripped = (await until(async () => (await rowsOf())[0], slow)).at.getTime()
    for (const peer of peers) {
      const { at, stalledMs } = statesOf(peer).find(({ state }) => state === 'OPEN')!
      // Hearing of it, asking, and printing it: each may come to a process that does not run just now.
      expect(at - tripped).toBeLessThanOrEqual(1000 + 3 * stalledMs)
    }
    await until(() => peers.every((peer) => stateOf(peer) === 'CLOSED'), slow)
    // Three probes close it, and no two of them are in the service at once.
    expect(service.most).toEqual([1, 1, 1])
    await Promise.all(peers.map((peer) => endPeer(peer, 'SIGTERM')))
    const rows = await rowsOf()
    expect(rows.map(({ move }) => move)).toEqual(['CLOSED>OPEN', 'OPEN>HALF_OPEN', 'HALF_OPEN>CLOSED'])
    expect(rows.every(({ instance }) => instance === '')).toBe(true)
  })

  test('F20: four of 64 callers each, with clocks apart, admit no more than the limit in any window', async () => {
    const limit = 100
    const windowMs = 500
    for (const algorithm of ['log', 'ring'] as const) {
      const shared = { name: `vendor-${algorithm}`, limit, windowMs, algorithm, forMs: 2500 }
      const peers = [-700, -100, 100, 700].map((shiftMs) =>
        start({ redisUrl: redis.url, callers: 64, limit: { ...shared, shiftMs } }),
      )
      await until(() => peers.every(isReady), slow)
      for (const { child } of peers) child.stdin?.write('go\n')
      const admitted = await until(() => {
        const told = peers.flatMap(({ lines }) => lines.flatMap((line) => ('admitted' in line ? [line.admitted] : [])))
        return told.length === peers.length ? told.flat() : undefined
      }, slow)
      const sorted = admitted.toSorted(([a], [b]) => a - b)
      const within = sorted.map(([from], at) => sorted.slice(at).filter(([, answered]) => answered < from + windowMs).length)
      expect(Math.max(...within)).toBeLessThanOrEqual(limit)
      expect(sorted.length).toBeGreaterThanOrEqual(0.95 * limit * Math.floor(shared.forMs / windowMs / 1.05))
      await Promise.all(peers.map((peer) => endPeer(peer, 'SIGKILL')))
    }
  })
})
