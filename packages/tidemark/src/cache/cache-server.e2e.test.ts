import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createFanOut } from '../feed/fan-out/open-fan-out.js'
import { openFeedNode } from '../feed/fan-out/open-feed-node.js'
import { walSources } from '../feed/fan-out/wal-sources.js'
import type { EmbeddedPostgres } from '../postgres/embedded/embedded.js'
import { type BatchResult, type Client, createPools } from '../postgres/postgres.js'
import { createRedis } from '../redis/create-redis.js'
import { findRedisServer } from '../redis/embedded/find-server.js'
import { startBarePostgres } from '../testing/project/prepared-project.js'
import { useRedis } from '../testing/redis/use-redis.js'
import { until } from '../time/until.js'
import type { Answer, LoadClient } from './cache.js'
import { cached } from './cached.js'
import { createCache } from './create-cache.js'
import { readStamp, type Stamp, stampAhead, takeStamp } from './load/stamp.js'
import type { CacheProcessOptions } from './testing/cache-process.js'
import { Gate } from './testing/gate.js'
import { type Standby, startStandby } from './testing/standby.js'
import { useNodes } from './testing/use-nodes.js'

const program = await findRedisServer()
const nodeProgram = fileURLToPath(new URL('../../dist/cache/testing/cache-process.js', import.meta.url))

const definitions = (gate: Gate, linearizable = false) => ({
  thing: cached('thing:{id}', {
    ttl: '5m',
    from: { things: 'id' },
    linearizable,
    load: async ({ id }, db: LoadClient) => {
      const { rows } = await db.query<{ n: number }>('select n from things where id = $1', [id])
      await gate.pass()
      return rows[0]?.n ?? null
    },
  }),
  all: cached('things:all', {
    ttl: '5m',
    from: { things: true },
    load: async (_none, db: LoadClient) =>
      (await db.query<{ n: number }>('select n from things order by id')).rows.map(({ n }) => n),
  }),
})

/** A node in a process of its own. */
class NodeProcess {
  readonly child: ChildProcess
  #asked = 0
  readonly #answers: (Answer<number> & { readonly beganAt: number })[] = []

  constructor(options: CacheProcessOptions) {
    this.child = spawn(process.execPath, [nodeProgram, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.child.stdout! }).on('line', (line) => this.#answers.push(JSON.parse(line)))
  }

  ask(): void {
    this.#asked++
    this.child.stdin!.write('\n')
  }

  /** The answer to what was asked, or else to what is asked now. */
  async answer() {
    if (this.#asked === 0) this.ask()
    this.#asked--
    await until(() => this.#answers.length > 0, { timeoutMs: 30_000, what: 'An answer' })
    return this.#answers.shift()!
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGCONT')
    this.child.kill('SIGKILL')
    await once(this.child, 'close')
  }
}

describe.skipIf(program === undefined)('a cache on a server of its own', () => {
  let dir: string
  let postgres: EmbeddedPostgres
  let client: pg.Client

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tidemark-cache-e2e-'))
    await chmod(dir, 0o755)
    const settings = { max_connections: '300', max_wal_senders: '100' }
    postgres = await startBarePostgres(dir, { settings })
    client = new pg.Client({ connectionString: postgres.url })
    await client.connect()
    await client.query('create table things (id bigint primary key, n integer not null)')
  })

  afterEach(async () => {
    await client.query('truncate things')
  })

  afterAll(async () => {
    await client?.end()
    await postgres?.stop()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })

  const server = {
    get url() {
      return postgres.url
    },
  }
  const redis = useRedis()
  const nodes = useNodes({ database: server, redis })
  const { cleanups } = nodes

  const open = async (linearizable = false) => {
    const gate = new Gate()
    return { ...(await nodes.open(definitions(gate, linearizable), { maxSilenceMs: 1000 })), gate }
  }

  const set = (n: number) => client.query('insert into things values (1, $1) on conflict (id) do update set n = excluded.n', [n])
  const change = (n: number) => (tx: LoadClient) => tx.query('update things set n = $1 where id = 1', [n])
  const configure = async (sql: string) => {
    await client.query(sql)
    await client.query('select pg_reload_conf()')
  }

  it('S1: keeps nothing of before a commit that the log has and readers do not see yet', async () => {
    await set(1)
    const [a, b] = [await open(), await open()]
    for (const { entries } of [a, b]) await until(async () => (await entries.thing.lookup({ id: 1 })).source === 'memory')
    await configure(`alter system set synchronous_standby_names = 'nobody'`)
    cleanups.push(() => configure('alter system reset synchronous_standby_names'))
    const writer = new pg.Client({ connectionString: postgres.url })
    await writer.connect()
    cleanups.push(() => writer.end())
    await writer.query('set synchronous_commit = on')
    let isTold = false
    const writing = writer.query('update things set n = 2 where id = 1').then(() => {
      isTold = true
    })
    await until(async () => (await client.query(`select from pg_stat_activity where wait_event = 'SyncRep'`)).rowCount === 1)
    // Loads go on meanwhile, and one of them is held where it has read.
    a.gate.close()
    const old = a.entries.thing.get({ id: 2 })
    const since = performance.now()
    while (performance.now() - since < 2500)
      for (const { entries } of [b]) expect([await entries.thing.get({ id: 1 }), await entries.all.get({})]).toEqual([1, [1]])
    expect(isTold).toBe(false)
    await configure('alter system reset synchronous_standby_names')
    await writing
    a.gate.open()
    expect(await old).toBeNull()
    for (const { entries } of [a, b]) {
      await until(async () => (await entries.thing.get({ id: 1 })) === 2, { what: 'The new number' })
      await until(async () => (await entries.all.get({}))[0] === 2, { what: 'The new list' })
      for (let time = 0; time < 5; time++)
        expect([await entries.thing.get({ id: 1 }), await entries.all.get({})]).toEqual([2, [2]])
    }
  })

  it('S13: a linearizable write waits for a frozen node no longer than its proof lasts, and not for a dead one again', {
    timeout: 120_000,
  }, async () => {
    await set(0)
    const a = await open(true)
    const other = new NodeProcess({ database: postgres.url, redis: redis.url, name: nodes.name(), maxSilenceMs: 1000 })
    cleanups.push(() => other.end())
    const inMemory = () =>
      until(async () => (await other.answer()).source === 'memory', { timeoutMs: 60_000, what: 'A value in memory' })
    await inMemory()
    const timed = async (n: number) => {
      const beganAt = performance.now()
      await a.write(change(n))
      return performance.now() - beganAt
    }
    other.child.kill('SIGSTOP')
    // Asked while it sleeps, answered when it wakes.
    other.ask()
    const frozenMs = await timed(1)
    expect(frozenMs).toBeGreaterThan(1000)
    // A second by design; it sleeps for as long as it is let.
    expect(frozenMs).toBeLessThan(15_000)
    expect(await a.entries.thing.get({ id: 1 })).toBe(1)
    other.child.kill('SIGCONT')
    expect(await other.answer()).toMatchObject({ value: 1 })
    for (let n = 2; n < 10; n++) {
      await timed(n)
      expect(await other.answer()).toMatchObject({ value: n })
    }
    await inMemory()
    other.child.kill('SIGKILL')
    await timed(10)
    await until(async () => (await timed(11)) < 500, { timeoutMs: 20_000, what: 'A write that waits for nobody' })
    expect(await a.entries.thing.get({ id: 1 })).toBe(11)
  })

  it('S11: keeps nothing that a standby answered before it had replayed what was told', { timeout: 120_000 }, async () => {
    await set(1)
    const primary = await open()
    const standby: Standby = await startStandby(postgres, join(dir, `standby-${nodes.name()}`))
    const pools = createPools({ url: standby.url })
    const shared = await createRedis({ url: redis.url })
    const replay = new pg.Client({ connectionString: standby.url })
    await replay.connect()
    cleanups.push(async () => {
      await pools.stop()
      await shared.stop()
      await replay.end()
      await standby.stop()
    })
    const cache = await createCache({
      entries: definitions(new Gate()),
      pool: pools.primary,
      redis: shared,
      prefix: `${nodes.name()}:`,
    })
    const target = { url: postgres.url }
    // As the other node has it: either may come to read the log.
    const tables =
      cache.follower.tables === 'all'
        ? []
        : cache.follower.tables.map((each) => {
            const [schema, table] = each.split('.') as [string, string]
            return { schema, table }
          })
    const connect = () => createRedis({ url: redis.url })
    const name = nodes.name()
    const sources = walSources({
      target,
      adminTarget: target,
      slotName: name,
      publication: `tidemark_${name}`,
      tables,
      maxSilenceMs: 1000,
    })
    const node = await openFeedNode({
      fanOut: createFanOut({ sources, redis: { redis: shared, connect }, ...cache.purging }),
      followers: [cache.follower],
    })
    cache.attach({
      waitFor: (position, wait) => node.feed.waitFor(position, { follower: 'cache', ...wait }),
      redisEpoch: () => node.state().redisEpoch,
    })
    cleanups.push(async () => {
      await cache.stop()
      await node.stop()
    })
    await until(() => cache.freshness() < 1000, { what: 'A proof of freshness' })
    await until(async () => (await cache.entries.thing.lookup({ id: 1 })).source === 'memory', {
      what: 'What the standby answered, in memory',
    })

    // A transaction that is at work stands in no snapshot of a standby.
    const running = new pg.Client({ connectionString: postgres.url })
    await running.connect()
    cleanups.push(() => running.end())
    await running.query('begin')
    await running.query('insert into things values (9, 9)')
    await client.query('insert into things values (8, 8)')
    await until(async () => (await replay.query('select from things where id = 8')).rowCount === 1)
    const stamp = await pools.primary.withClient((db) => takeStamp(db))
    expect(stamp).toMatchObject({ standby: true, hasWritten: false, snapshot: expect.stringMatching(/^\d+:\d+:$/) })
    const carried = async (db: Client): Promise<Stamp> => {
      let answer: BatchResult | undefined
      const answered = (result: BatchResult): void => {
        answer = result
      }
      await db.queryBehind!({ ...stampAhead, answered }, 'select 1')
      return readStamp(answer!)
    }
    expect(await pools.primary.withClient(carried)).toEqual({ ...stamp, replayed: expect.any(BigInt) })
    // With one snapshot for both, the log may have been replayed further than what is read shows.
    await replay.query('begin isolation level repeatable read')
    const { rows } = await replay.query<{ replayed: unknown }>(stampAhead.text)
    await replay.query('rollback')
    expect(rows[0]!.replayed).toBeNull()
    await running.query('rollback')

    await replay.query('select pg_wal_replay_pause()')
    await until(
      async () => (await replay.query<{ is: string }>('select pg_get_wal_replay_pause_state() as is')).rows[0]!.is === 'paused',
    )
    const { position } = await primary.write(change(2))
    await until(() => cache.position()!.number >= position.number, { what: 'The change on the node of the standby' })
    for (let time = 0; time < 5; time++) {
      expect(await cache.entries.thing.lookup({ id: 1 })).toMatchObject({ value: 1, source: 'load' })
      expect(await cache.entries.all.lookup({})).toMatchObject({ source: 'load' })
    }
    expect(cache.entries.thing.peek({ id: 1 })).toBeUndefined()
    expect(await primary.entries.thing.get({ id: 1 })).toBe(2)
    expect(await primary.entries.all.get({})).toEqual([2, 8])
    await replay.query('select pg_wal_replay_resume()')
    await until(async () => (await cache.entries.all.get({}))[0] === 2, { what: 'What was replayed' })
    await until(async () => (await cache.entries.thing.lookup({ id: 1 })).source === 'memory')
    expect(await cache.entries.thing.get({ id: 1 })).toBe(2)
  })
})
