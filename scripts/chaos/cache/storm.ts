/** The servers, the nodes and the writer beside them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../packages/tidemark/dist/postgres/embedded/embedded.js'
import { acquirePort, openState } from '../../../packages/tidemark/dist/state/state.js'
import { startTestCluster, type TestCluster } from '../../../packages/tidemark/dist/testing/redis/redis-cluster.js'
import { startTestRedis, type TestRedis } from '../../../packages/tidemark/dist/testing/redis/redis-server.js'
import { until } from '../../../packages/tidemark/dist/time/until.js'
import { between, type Dice } from '../random.ts'
import { Board } from './board.ts'
import type { NodeCommand, NodeMessage, NodeOptions, NodeReport } from './words.ts'

const jiti = fileURLToPath(new URL('../../../node_modules/.bin/jiti', import.meta.url))
const program = fileURLToPath(new URL('node.ts', import.meta.url))

export interface StormOptions {
  readonly dir: string
  readonly nodes: number
  readonly keys: number
  readonly loops: number
  readonly writeShare: number
  readonly maxSilenceMs: number
  readonly seed: number
  readonly dice: Dice
  /** Values are shared in a Redis Cluster of three masters. Default: in one Redis. */
  readonly isCluster?: boolean
}

/** What all nodes told since it was taken last. */
export interface Totals extends NodeReport {
  readonly ages: number[]
}

const noTotals = (): Totals => ({
  reads: 0,
  withToken: 0,
  writes: 0,
  broken: 0,
  examples: [],
  late: 0,
  ages: [],
  oldestMs: 0,
  slowestMs: 0,
  errors: {},
})

type Report = Extract<NodeMessage, { readonly type: 'report' }>

/** A process with its last words. */
export class NodeProcess {
  readonly index: number
  readonly child: ChildProcess
  last: Report | undefined
  isReady = false
  errors = ''
  readonly #heard = new Set<(message: NodeMessage) => void>()

  constructor(options: NodeOptions, totals: () => Totals) {
    this.index = options.index
    this.child = spawn(process.execPath, [jiti, program, JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.errors = `${this.errors}${text}`.slice(-4000)
    })
    this.child.on('message', (message: NodeMessage) => {
      if (message.type === 'ready') this.isReady = true
      if (message.type === 'report') {
        this.last = message
        add(totals(), message.report)
      }
      for (const listener of this.#heard) listener(message)
    })
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  tell(command: NodeCommand): void {
    if (this.isAlive) this.child.send(command)
  }

  /** Raises where it dies first, or says nothing for long. */
  async ask<Kind extends NodeMessage['type']>(command: NodeCommand, kind: Kind): Promise<Extract<NodeMessage, { type: Kind }>> {
    let found: NodeMessage | undefined
    const listener = (message: NodeMessage) => {
      if (message.type === kind) found = message
    }
    this.#heard.add(listener)
    try {
      this.tell(command)
      await until(() => found !== undefined || !this.isAlive, {
        timeoutMs: 60_000,
        what: `The answer ${kind} of node ${this.index}`,
      })
      if (found) return found as Extract<NodeMessage, { type: Kind }>
      throw new Error(`node ${this.index} died: ${this.errors}`)
    } finally {
      this.#heard.delete(listener)
    }
  }

  async end(): Promise<void> {
    if (!this.isAlive) return
    this.child.kill('SIGCONT')
    this.child.kill('SIGKILL')
    await until(() => !this.isAlive, { what: 'The end of a node' })
  }
}

const add = (totals: Totals, report: NodeReport): void => {
  for (const name of ['reads', 'withToken', 'writes', 'broken', 'late'] as const) totals[name] += report[name]
  totals.oldestMs = Math.max(totals.oldestMs, report.oldestMs)
  totals.slowestMs = Math.max(totals.slowestMs, report.slowestMs)
  totals.examples.push(...report.examples)
  if (totals.ages.length < 1_000_000) totals.ages.push(...report.ages)
  for (const [code, times] of Object.entries(report.errors)) totals.errors[code] = (totals.errors[code] ?? 0) + times
}

export class Storm {
  readonly options: StormOptions
  readonly postgres: EmbeddedPostgres
  /** Of this process: nobody cuts it. */
  readonly client: pg.Client
  readonly board: Board
  readonly redisPort: number
  redis: TestRedis
  cluster: TestCluster | undefined
  nodes: NodeProcess[] = []
  totals = noTotals()
  #isRunning = false
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(options: StormOptions, postgres: EmbeddedPostgres, client: pg.Client, redis: TestRedis) {
    this.options = options
    this.postgres = postgres
    this.client = client
    this.redis = redis
    this.redisPort = redis.port
    this.board = new Board(join(options.dir, 'board'), 2 * options.keys, options.nodes + 1)
  }

  static async open(options: StormOptions): Promise<Storm> {
    await chmod(options.dir, 0o755)
    await mkdir(join(options.dir, 'redis'))
    // What is acknowledged is flushed, as on a server of weight; only the disk is not waited for.
    const settings = { synchronous_commit: 'on', max_connections: '300' }
    const state = await openState(join(options.dir, 'state'))
    await chmod(join(options.dir, 'state'), 0o755)
    const postgres = await startEmbeddedPostgres({ state, disposable: true, restart: false, settings })
    const client = new pg.Client({ connectionString: postgres.url, application_name: 'storm' })
    await client.connect()
    for (const table of ['firm', 'plain']) {
      await client.query(`create table ${table} (id bigint primary key, n integer not null, filler text)`)
      await client.query(`insert into ${table} select i, 0, repeat('x', 200) from generate_series(0, $1::int - 1) i`, [
        options.keys,
      ])
    }
    const redis = await startTestRedis({ port: await acquirePort(), args: redisArguments(options.dir) })
    const storm = new Storm(options, postgres, client, redis)
    if (options.isCluster) storm.cluster = await startTestCluster()
    return storm
  }

  /** One node after the other: the first makes what all share. */
  async start(): Promise<void> {
    for (let index = 0; index < this.options.nodes; index++) await this.startNode(index)
    await this.ready()
    await until(() => this.nodes.every(({ last }) => last?.isMember), { timeoutMs: 30_000, what: 'Members' })
  }

  async startNode(index: number): Promise<NodeProcess> {
    const { dir, nodes, keys, loops, writeShare, maxSilenceMs, seed } = this.options
    const own = { index, nodes, keys, loops, writeShare, maxSilenceMs, seed }
    const node = new NodeProcess(
      {
        ...own,
        database: this.postgres.url,
        redis: this.cluster?.url ?? `redis://127.0.0.1:${this.redisPort}`,
        board: join(dir, 'board'),
      },
      () => this.totals,
    )
    this.nodes = [...this.nodes.filter((each) => each.index !== index), node].sort((a, b) => a.index - b.index)
    await until(() => node.isReady || !node.isAlive, { timeoutMs: 60_000, what: 'A node' })
    if (!node.isAlive) throw new Error(`node ${index} did not start: ${node.errors}`)
    if (this.#isRunning) node.tell({ type: 'run' })
    return node
  }

  /** All nodes are fresh and have Redis again. */
  async ready(): Promise<void> {
    const isReady = ({ last }: NodeProcess) => last !== undefined && last.freshMs < this.options.maxSilenceMs && last.hasRedis
    await until(() => this.nodes.every(isReady), { timeoutMs: 30_000, what: 'Nodes that are fresh' })
  }

  get reader(): NodeProcess | undefined {
    return this.nodes.find(({ last, isAlive }) => isAlive && last?.role === 'reading')
  }

  async restartRedis(): Promise<void> {
    this.redis = await startTestRedis({ port: this.redisPort, args: redisArguments(this.options.dir) })
  }

  run(): void {
    this.totals = noTotals()
    this.#isRunning = true
    for (const node of this.nodes) node.tell({ type: 'run' })
    this.#writing = this.#writeBeside()
  }

  /** Ends reads and writes. */
  async pause(): Promise<void> {
    this.#isRunning = false
    await Promise.all(this.nodes.map((node) => node.ask({ type: 'pause' }, 'paused')))
    await this.#writing
  }

  /** A writer that knows nothing of the cache. */
  async #writeBeside(): Promise<void> {
    const { keys, nodes, dice } = this.options
    while (this.#isRunning) {
      const id = between(dice, 0, keys - 1)
      const { rows } = await this.client.query<{ n: number }>('update plain set n = n + 1 where id = $1 returning n', [id])
      this.board.acknowledge(keys + id, nodes, rows[0]!.n, 0n)
      await pause(between(dice, 20, 80))
    }
  }

  /** Keys that a node answers with something else than what stands, one second after the last write. */
  async stuck(): Promise<readonly string[]> {
    await pause(1000)
    const rows = async (table: string) =>
      (await this.client.query<{ n: number }>(`select n from ${table} order by id`)).rows.map(({ n }) => n)
    const [firm, plain] = [await rows('firm'), await rows('plain')]
    const standing: Readonly<Record<string, readonly number[]>> = { firm, plain, tagged: plain }
    const found: string[] = []
    for (const node of this.nodes) {
      const { values } = await node.ask({ type: 'look' }, 'values')
      for (const [kind, list] of Object.entries(values))
        for (const [id, n] of list.entries())
          if (n !== standing[kind]![id])
            found.push(`${kind} ${id} on node ${node.index}: ${n}, and ${standing[kind]![id]} stands`)
    }
    return found
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    await this.#writing.catch(() => undefined)
    for (const node of this.nodes) await node.end()
    this.redis.signal('SIGCONT')
    await this.redis.stop()
    await this.cluster?.stop()
    await this.client.end()
    this.board.close()
    await this.postgres.stop()
    await rm(this.options.dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Its files outlive it, so that it can come back with what it had saved. */
const redisArguments = (dir: string): readonly string[] => ['--dir', join(dir, 'redis'), '--dbfilename', 'saved.rdb']
