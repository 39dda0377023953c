/** Postgres, Redis, servers, the writer of the oracle table, and who listens. */
import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { signApiKey } from '../../../packages/tidemark/dist/auth/keys/sign-api-key.js'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../packages/tidemark/dist/postgres/embedded/embedded.js'
import { acquirePort, openState, type State } from '../../../packages/tidemark/dist/state/state.js'
import { startTestRedis, type TestRedis } from '../../../packages/tidemark/dist/testing/redis/redis-server.js'
import { until } from '../../../packages/tidemark/dist/time/until.js'
import { between, type Dice } from '../random.ts'
import { lastWordsOf, runCommand, type Started, wordsOf } from '../run-command.ts'
import { type ChaosClient, openPositionClient, openSupabaseClient } from './clients.ts'
import { Wire } from './wire.ts'

const executable = fileURLToPath(new URL('../../../packages/tidemark/bin/tidemark.js', import.meta.url))
const secret = 'a secret of at least thirty-two characters'
const startTimeoutMs = 90_000
/** Servers write about once a second how far their clients are; a busy machine takes a while longer. */
const unwrittenMs = 2_500
/** By then they write again after Postgres failed. */
const recoveryMs = 20_000

export interface StormOptions {
  readonly dir: string
  readonly nodes: number
  /** Of each kind. */
  readonly clients: number
  readonly rate: number
  /** Clients are cut off as soon as they listen. */
  readonly young: boolean
  readonly dice: Dice
  readonly tell: (text: string) => void
  /** More settings of the servers. */
  readonly env?: Readonly<Record<string, string>>
}

interface Node {
  readonly port: number
  readonly dir: string
  process: Started | undefined
  isKilled: boolean
  startedAt: number
}

const openSession = async (url: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: url, application_name: 'storm', connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** A policy that only Postgres can judge. */
const policies = `
  set role tidemark_migrator;
  create table oracle (id bigint primary key, seq bigint not null, body text not null);
  create index on oracle (seq);
  alter table oracle enable row level security;
  grant select on oracle to anon;
  create policy rows on oracle for select to anon using (body like 'row %');
  alter publication supabase_realtime add table oracle;
  reset role`

export class Storm {
  readonly options: StormOptions
  readonly postgres: EmbeddedPostgres
  readonly failures: string[] = []
  readonly redisPort: number
  redis: TestRedis
  clients: readonly ChaosClient[] = []
  /** The last number that is committed for sure. */
  written = 0
  restarts = 0
  anonKey = ''
  readonly #state: State
  readonly #nodes: Node[] = []
  #isWriting = false
  #isStopping = false
  #failedAt = Number.NEGATIVE_INFINITY
  #writing: Promise<void> = Promise.resolve()

  private constructor(options: StormOptions, state: State, postgres: EmbeddedPostgres, redis: TestRedis) {
    this.options = options
    this.#state = state
    this.postgres = postgres
    this.redis = redis
    this.redisPort = redis.port
  }

  static async open(options: StormOptions): Promise<Storm> {
    await chmod(options.dir, 0o755)
    const state = await openState(join(options.dir, 'state'))
    await chmod(join(options.dir, 'state'), 0o755)
    // What is acknowledged is flushed, as on a server of weight; only the disk is not waited for.
    const settings = { synchronous_commit: 'on', max_connections: '200' }
    const postgres = await startEmbeddedPostgres({ state, disposable: true, settings })
    try {
      return new Storm(options, state, postgres, await startTestRedis())
    } catch (error) {
      await postgres.stop()
      throw error
    }
  }

  async start(): Promise<void> {
    for (let index = 0; index < this.options.nodes; index++) {
      const dir = join(this.options.dir, `node-${index}`)
      await mkdir(dir)
      this.#nodes.push({ port: await acquirePort(), dir, process: undefined, isKilled: false, startedAt: 0 })
      // The first one makes what all share.
      await this.startNode(index)
    }
    const client = await openSession(this.postgres.url)
    await client.query(policies)
    await client.end()
    const anonKey = await signApiKey('anon', secret, Math.floor(Date.now() / 1000) - 60)
    this.anonKey = anonKey
    const clients: ChaosClient[] = []
    const { dice } = this.options
    for (let n = 0; n < 2 * this.options.clients; n++) {
      // Each connection goes to another server, as behind a balancer.
      const wire = await Wire.open(() => this.#nodes[between(dice, 0, this.#nodes.length - 1)]!.port)
      const kind = n % 2 === 0 ? 'supabase' : 'position'
      const open = kind === 'supabase' ? openSupabaseClient : openPositionClient
      clients.push(
        await open({
          name: `${kind}-${n >> 1}`,
          wire,
          anonKey,
          pause: () => between(dice, 20, 300),
        }),
      )
    }
    this.clients = clients
    const isReady = (each: ChaosClient): boolean => each.joins() > 0 && (this.options.young || each.isKnown())
    await until(() => clients.every(isReady), { timeoutMs: startTimeoutMs, what: 'Clients that listen' })
  }

  get nodeCount(): number {
    return this.#nodes.length
  }

  async startNode(index: number): Promise<void> {
    if (this.#isStopping) throw new Error('the storm is over')
    const node = this.#nodes[index]!
    node.isKilled = false
    node.startedAt = performance.now()
    const env = {
      DATABASE_URL: this.postgres.url,
      REDIS_URL: `redis://127.0.0.1:${this.redisPort}`,
      PORT: String(node.port),
      SUPABASE_JWT_SECRET: secret,
      TIDEMARK_STATE_DIR: join(node.dir, 'state'),
      LOG_LEVEL: 'error',
      NO_COLOR: '1',
      ...this.options.env,
    }
    const started = runCommand(node.dir, process.execPath, [executable, 'start', '--json'], { ...process.env, ...env })
    node.process = started
    void started.ended.then((ended) => {
      if (node.process !== started || node.isKilled || this.#isStopping) return
      node.process = undefined
      this.#nodeEnded(index, wordsOf(ended))
    })
    await this.#untilReady(node)
  }

  /** Whoever looks after servers starts them again. By itself one may end only where it could not start without its database. */
  #nodeEnded(index: number, words: string): void {
    const node = this.#nodes[index]!
    const lived = performance.now() - node.startedAt
    this.options.tell(`server ${index} ended by itself after ${(lived / 1000).toFixed(1)} s, ${words}`)
    if (node.isKilled) return
    this.restarts++
    setTimeout(() => void this.startNode(index).catch(() => undefined), 500)
  }

  async #untilReady(node: Node): Promise<void> {
    const isReady = async (): Promise<boolean> => {
      const answer = await fetch(`http://127.0.0.1:${node.port}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(
        () => undefined,
      )
      return answer?.status === 200
    }
    await until(async () => node.isKilled || (await isReady()), {
      timeoutMs: startTimeoutMs,
      intervalMs: 100,
      what: 'A server that is ready',
    }).catch((error: unknown) => {
      throw new Error(`the last words of the server: ${node.process ? lastWordsOf(node.process.said()) : 'none'}`, {
        cause: error,
      })
    })
  }

  /** All servers answer. */
  async ready(): Promise<void> {
    for (const node of this.#nodes) await this.#untilReady(node)
  }

  async killNode(index: number): Promise<void> {
    const node = this.#nodes[index]!
    const { process: running } = node
    node.isKilled = true
    const unwrittenSince = performance.now() - unwrittenMs
    for (const { ledger } of this.clients) ledger.forgive(Math.min(unwrittenSince, this.#failsSince()))
    running?.child.kill('SIGKILL')
    await running?.ended
  }

  /** Ends it in good order, as a release does: nobody is owed anything. */
  async endNode(index: number): Promise<void> {
    const node = this.#nodes[index]!
    node.isKilled = true
    node.process?.child.kill('SIGTERM')
    await node.process?.ended
  }

  /** Where a server listens, and its process; no pid while it is down. */
  nodeAt(index: number): { readonly port: number; readonly pid: number | undefined } {
    const { port, process: running, isKilled } = this.#nodes[index]!
    return { port, pid: isKilled ? undefined : running?.child.pid }
  }

  /** Servers may write nothing down for a while. */
  writingFails(): void {
    this.#failedAt = performance.now()
  }

  #failsSince(): number {
    return performance.now() - this.#failedAt < recoveryMs ? this.#failedAt - unwrittenMs : Number.POSITIVE_INFINITY
  }

  async postgresPid(): Promise<number> {
    const record = await this.#state.child('postgres').read()
    if (!record) throw new Error('Postgres is gone')
    return record.pid
  }

  async checkpointerPid(): Promise<number> {
    const client = await openSession(this.postgres.url)
    try {
      const { rows } = await client.query<{ pid: number }>(`select pid from pg_stat_activity where backend_type = 'checkpointer'`)
      return rows[0]!.pid
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  async rows<R extends pg.QueryResultRow>(sql: string): Promise<readonly R[]> {
    const client = await openSession(this.postgres.url)
    try {
      return (await client.query<R>(sql)).rows
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  async asAdmin(sql: string): Promise<number> {
    const client = await openSession(this.postgres.url)
    try {
      return (await client.query(sql)).rowCount ?? 0
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  async restartRedis(): Promise<void> {
    this.redis = await startTestRedis({ port: this.redisPort })
  }

  write(): void {
    this.#isWriting = true
    this.#writing = this.#keepWriting()
  }

  async #keepWriting(): Promise<void> {
    while (this.#isWriting) {
      try {
        await this.#writeOver(await openSession(this.postgres.url))
      } catch (error) {
        if (/^(2[23]|42)/.test(String((error as pg.DatabaseError).code))) {
          this.failures.push(`the writer: ${String(error)}`)
          return
        }
        await pause(50)
      }
    }
  }

  /** One transaction after the other, so that the numbers are in the order of the commits. */
  async #writeOver(client: pg.Client): Promise<void> {
    const { rate, dice } = this.options
    try {
      const { rows } = await client.query<{ last: string | null }>('select max(seq) as last from oracle')
      let last = Number(rows[0]!.last ?? 0)
      this.written = last
      let dueMs = performance.now()
      while (this.#isWriting) {
        const size = between(dice, 1, 9)
        const inserts = `insert into oracle select n, n, 'row ' || n from generate_series($1::bigint, $2::bigint) n`
        const update = `update oracle set seq = $1::bigint, body = 'row ' || $1::bigint where id = (select id from oracle where seq < $1 order by seq desc limit 1)`
        // Every fifth transaction changes a row that is there.
        if (last > 0 && dice() < 0.2) {
          await client.query(update, [last + 1])
          last += 1
        } else {
          await client.query(inserts, [last + 1, last + size])
          last += size
        }
        this.written = last
        dueMs = Math.max(dueMs + (1000 * size) / rate, performance.now() - 200)
        const waitMs = dueMs - performance.now()
        if (waitMs > 1) await pause(waitMs)
      }
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  /** Ends the writing, and gives the last number. */
  async endWriting(): Promise<number> {
    this.#isWriting = false
    await this.#writing
    const client = await openSession(this.postgres.url)
    const { rows } = await client.query<{ last: string }>('select coalesce(max(seq), 0) as last from oracle')
    await client.end()
    return Number(rows[0]!.last)
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    this.#isWriting = false
    await this.#writing.catch(() => undefined)
    for (const client of this.clients) {
      await client.stop()
      await client.wire.close()
    }
    for (const node of this.#nodes) {
      node.process?.child.kill('SIGTERM')
      await node.process?.ended
    }
    this.redis.signal('SIGCONT')
    await this.redis.stop()
    await this.postgres.stop()
    await rm(this.options.dir, { recursive: true, force: true, maxRetries: 5 })
  }
}
