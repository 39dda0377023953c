import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EmbeddedPostgres } from '../../postgres/embedded/embedded.js'
import { createRedis } from '../../redis/create-redis.js'
import { findRedisServer } from '../../redis/embedded/find-server.js'
import type { Redis } from '../../redis/redis.js'
import { bootstrappedTemplate, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { lockWaits } from '../../testing/postgres/lock-waits.js'
import { startCli, untilServing } from '../../testing/project/cli-process.js'
import { startBarePostgres } from '../../testing/project/prepared-project.js'
import { startTestRedis, type TestRedis } from '../../testing/redis/redis-server.js'
import { until } from '../../time/until.js'
import { giveQueued } from '../../webhooks/testing/give-events.js'
import { rolloutEvent, rolloutSecret, signRollout } from '../testing/use-webhook-server.js'
import type { WebhookProcessAddresses } from '../testing/webhook-process.js'

const built = (path: string): string => fileURLToPath(new URL(`../../../dist/${path}`, import.meta.url))
const script = built('server/testing/webhook-process.js')
const workerScript = built('webhooks/testing/worker-process.js')
const program = await findRedisServer()

interface Router {
  readonly child: ChildProcess
  readonly urls: WebhookProcessAddresses
  duplicates(): Promise<Readonly<Record<'postgres' | 'redis', number>>>
}

const startRouter = async (databaseUrl: string, redisUrl: string): Promise<Router> => {
  const options = JSON.stringify({ databaseUrl: testUrl(databaseUrl, 'app'), redisUrl })
  const child = spawn(process.execPath, [script, options], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const next = async () => JSON.parse(String((await once(lines, 'line'))[0]))
  const urls: WebhookProcessAddresses = await next()
  const duplicates = () => {
    const said = next()
    child.stdin.write('\n')
    return said
  }
  return { child, urls, duplicates }
}

const post = async (url: string, body: string): Promise<number> => {
  const answer = await fetch(`${url}/webhooks/rollout`, { method: 'POST', body, headers: signRollout(body) })
  await answer.arrayBuffer()
  return answer.status
}

describe.skipIf(program === undefined)('processes that take webhooks', () => {
  let dir: string
  let postgres: EmbeddedPostgres
  let db: pg.Client
  let redis: TestRedis
  let routers: readonly Router[]

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tidemark-webhooks-e2e-'))
    await chmod(dir, 0o755)
    postgres = await startBarePostgres(dir)
    await bootstrappedTemplate.prepare(postgres.url)
    db = new pg.Client({ connectionString: postgres.url })
    await db.connect()
    redis = await startTestRedis()
    routers = await Promise.all([1, 2, 3, 4].map(() => startRouter(postgres.url, redis.url)))
  })

  afterAll(async () => {
    for (const { child } of routers ?? []) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'close')
    }
    await redis?.stop()
    await db?.end()
    await postgres?.stop()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })

  const entries = async (id: string): Promise<number> => {
    const client = await createRedis({ url: redis.url })
    const all = await client.command<[string, string[]][]>(['XRANGE', 'webhooks:events', '-', '+'])
    await client.stop()
    return all.filter(([, fields]) => fields.some((field) => field.includes(id))).length
  }

  it.each(['postgres', 'redis'] as const)(
    'keep one event of a hundred that are the same, over four of them, durability %s (F7)',
    async (durability) => {
      const before = await Promise.all(routers.map((router) => router.duplicates()))
      const eventId = randomUUID()
      const body = rolloutEvent({ eventId })
      const statuses = await Promise.all(Array.from({ length: 100 }, (_, n) => post(routers[n % 4]!.urls[durability], body)))
      expect(new Set(statuses)).toEqual(new Set([202]))
      expect(await entries(eventId)).toBe(1)
      const after = await Promise.all(routers.map((router) => router.duplicates()))
      const counted = after.reduce((sum, each, at) => sum + each[durability] - before[at]![durability], 0)
      expect(counted).toBe(99)
      const { rows } = await db.query('select 1 from webhook_events where dedupe_key = $1', [eventId])
      expect(rows).toHaveLength(durability === 'postgres' ? 1 : 0)
    },
  )

  it('lose nothing when one is killed between the row and the stream: the row tells that it is in none (F8)', async () => {
    const eventId = randomUUID()
    const body = rolloutEvent({ eventId })
    const [victim, other] = routers
    const row = async () => (await db.query('select status, queued from webhook_events where dedupe_key = $1', [eventId])).rows[0]
    redis.signal('SIGSTOP')
    try {
      const unanswered = post(victim!.urls.postgres, body).catch(() => 'no answer')
      await until(row)
      victim!.child.kill('SIGKILL')
      expect(await unanswered).toBe('no answer')
    } finally {
      redis.signal('SIGCONT')
    }
    expect(await row()).toEqual({ status: 'accepted', queued: false })
    await until(async () => (await post(other!.urls.postgres, body)) === 202)
    expect((await db.query('select 1 from webhook_events where dedupe_key = $1', [eventId])).rows).toHaveLength(1)
  })

  it('are the role webhooks of the command line, alone (R68, C25)', async () => {
    const cwd = await mkdtemp(join(tmpdir(), 'tidemark-webhooks-role-'))
    const env = {
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
      PORT: '0',
      ROLLOUT_CLIENT_SECRET: rolloutSecret,
      ENV: 'production',
    }
    const server = startCli(['start', '--roles', 'webhooks', '--json'], { cwd, env })
    try {
      const url = await untilServing(server)
      const body = rolloutEvent()
      expect(await post(url, body)).toBe(202)
      expect(await post(url, `${body} `).then(() => post(url, body))).toBe(202)
      expect((await fetch(`${url}/webhooks/gohighlevel`, { method: 'POST', body })).status).toBe(404)
      expect((await fetch(`${url}/rest/v1/things`)).status).toBe(404)
      const metrics = await (await fetch(`${url}/metrics`)).text()
      expect(metrics).toContain('tidemark_webhook_stored_total{provider="rollout",store="postgres"} 1')
      expect(metrics).toContain('tidemark_webhook_verified_total{provider="rollout",key="client-secret"}')
    } finally {
      server.child.kill('SIGTERM')
      const { exitCode, stderr, stdout } = await server.ended
      await rm(cwd, { recursive: true, force: true })
      expect(exitCode).toBe(0)
      expect(stderr + stdout).not.toContain(rolloutSecret)
    }
  })
})

describe.skipIf(program === undefined)('processes that handle webhooks', () => {
  let dir: string
  let postgres: EmbeddedPostgres
  let db: pg.Client
  let server: TestRedis
  let redis: Redis
  const workers = new Set<ChildProcess>()

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tidemark-workers-e2e-'))
    await chmod(dir, 0o755)
    postgres = await startBarePostgres(dir)
    await bootstrappedTemplate.prepare(postgres.url)
    db = new pg.Client({ connectionString: postgres.url })
    await db.connect()
    await db.query(`create table effects (place bigint generated always as identity primary key, event uuid, entity text, n int);
      grant all on effects to tidemark_app`)
    server = await startTestRedis()
    redis = await createRedis({ url: server.url })
  })

  afterAll(async () => {
    await kill()
    await redis?.stop()
    await server?.stop()
    await db?.end()
    await postgres?.stop()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })

  const startWorker = async (): Promise<void> => {
    const options = JSON.stringify({ databaseUrl: testUrl(postgres.url, 'app'), redisUrl: server.url })
    const child = spawn(process.execPath, [workerScript, options], { stdio: ['ignore', 'pipe', 'inherit'] })
    workers.add(child)
    await once(child.stdout, 'data')
  }

  /** kill -9, of all. */
  const kill = async (): Promise<void> => {
    const ended = [...workers].map(async (child) => {
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      await closed
    })
    workers.clear()
    await Promise.all(ended)
  }

  const entities = 20
  let given = 0

  /** Events of each entity, behind those that it has. */
  const give = async (count: number): Promise<void> => {
    const events = Array.from({ length: count }, (_each, at) => ({
      entity: `e${(given + at) % entities}`,
      n: Math.floor((given + at) / entities),
    }))
    given += count
    await giveQueued(db, redis, events)
  }

  const effects = async (): Promise<number> => Number((await db.query('select count(*) as n from effects')).rows[0].n)

  const expectAllOnceAndInOrder = async (): Promise<void> => {
    await until(async () => (await effects()) >= given, { timeoutMs: 60_000 })
    const { rows } = await db.query('select entity, array_agg(n order by place) as told from effects group by entity')
    const each = Array.from({ length: given / entities }, (_n, at) => at)
    expect(rows.map(({ told }) => told)).toEqual(Array.from({ length: entities }, () => each))
    const states = await db.query('select status, count(*)::int as n from webhook_events group by status')
    expect(states.rows).toEqual([{ status: 'processed', n: given }])
    await until(async () => (await redis.command<readonly number[]>(['XPENDING', 'webhooks:events', 'tidemark']))[0] === 0)
  }

  it('lose nothing and do nothing twice when the one that works is killed, and the next one goes on by itself (F1)', async () => {
    await give(400)
    // However quick it is, it is killed in the middle of them.
    await db.query(`select pg_advisory_lock(232); create function in_the_middle() returns trigger language plpgsql as
      'begin perform pg_advisory_xact_lock_shared(232); return new; end';
      create trigger in_the_middle before insert on effects for each row when (new.n >= 10) execute function in_the_middle()`)
    await startWorker()
    await until(async () => (await effects()) > 60)
    // It is in the middle of an event, and goes on no further.
    await db.query('begin; lock table effects in share row exclusive mode')
    const waiting = `select from ${lockWaits} and relation = 'effects'::regclass`
    await until(async () => (await db.query(waiting)).rows.length > 0)
    await kill()
    await db.query('rollback')
    expect(await effects()).toBeLessThan(given)
    await db.query('select pg_advisory_unlock(232); drop trigger in_the_middle on effects')
    await startWorker()
    await expectAllOnceAndInOrder()
    const { rows } = await db.query(`select attempts, attempt_log as log from webhook_events where attempt_log is not null`)
    expect(rows.length).toBeGreaterThan(0)
    for (const { attempts, log } of rows) {
      expect(attempts).toBe(1)
      expect(log).toMatchObject([{ outcome: 'worker_ended', attempt: 1 }])
    }
  })

  it('lose nothing and do nothing twice when all of them are killed again and again under load (F2)', async () => {
    for (let round = 0; round < 2; round++) {
      await give(200)
      const before = await effects()
      while (workers.size < 2) await startWorker()
      await until(async () => (await effects()) > before + 60, { timeoutMs: 30_000 })
      await kill()
    }
    await startWorker()
    await expectAllOnceAndInOrder()
  })
})
