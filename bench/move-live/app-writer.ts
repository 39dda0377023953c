/**
 * An application in a process of its own, which writes at an even pace to whoever takes its writes: to the SQLite file until that refuses them,
 * then to Postgres, and the other way round. Each write is a commit of one row.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import pg from 'pg'
import { createRandom } from '../measuring/random.ts'

export interface AppWriterOptions {
  readonly path: string
  readonly url: string
  /** Commits a second. */
  readonly rate: number
  /** Rows of `orders` that it changes. */
  readonly firstId: number
  readonly ids: number
  /** Above every number that stands in `pulses`. */
  readonly firstPulse: number
}

export type Side = 'sqlite' | 'postgres'

/** From the last commit that one side took to the first that the other one took. */
export interface SeenSwitch {
  readonly to: Side
  readonly pauseMs: number
  readonly refusals: number
}

export interface WriterSummary {
  readonly pulses: number
  /** Of the numbers of all accepted pulses. */
  readonly pulseSum: number
  readonly changes: number
  /** Commits a second while writes were taken. */
  readonly rate: number
}

export interface AppWriter {
  /** Those seen so far. */
  readonly switches: readonly SeenSwitch[]
  /** Ends it after the writes under way. */
  stop(): Promise<WriterSummary>
  kill(): void
}

/** The one table tells when a commit was asked for, in milliseconds since 1970; the other one has real rows. */
export const pulseTable = 'CREATE TABLE pulses (n INTEGER PRIMARY KEY, at REAL NOT NULL)'

/** As fast as one connection is never asked to be: each commit of Postgres waits for the disk. */
const connections = 8
const retryMs = 5

/** Where a write goes. Resolves with the rows that it changed; undefined where it was refused. */
interface Store {
  pulse(n: number, at: number): Promise<number | undefined>
  change(id: number): Promise<number | undefined>
  close(): Promise<void>
}

const openFile = (path: string): Store => {
  const db = new Database(path, { timeout: 5000 })
  db.pragma('synchronous = NORMAL')
  const pulse = db.prepare('INSERT INTO pulses VALUES (?, ?)')
  const change = db.prepare('UPDATE orders SET quantity = quantity + 1 WHERE id = ?')
  const unlessRefused = async (write: () => Database.RunResult): Promise<number | undefined> => {
    try {
      return write().changes
    } catch (error) {
      if (/^tidemark: /.test((error as Error).message)) return undefined
      throw error
    }
  }
  return {
    pulse: (n, at) => unlessRefused(() => pulse.run(n, at)),
    change: (id) => unlessRefused(() => change.run(id)),
    close: async () => void db.close(),
  }
}

const openPostgres = (url: string): Store => {
  const pool = new pg.Pool({ connectionString: url, max: connections })
  const unlessRefused = async (name: string, text: string, values: unknown[]): Promise<number | undefined> => {
    try {
      return (await pool.query({ name, text, values })).rowCount ?? 0
    } catch (error) {
      if ((error as pg.DatabaseError).code === 'TM001') return undefined
      throw error
    }
  }
  return {
    pulse: (n, at) => unlessRefused('pulse', 'INSERT INTO pulses VALUES ($1, $2)', [n, at]),
    change: (id) => unlessRefused('change', 'UPDATE orders SET quantity = quantity + 1 WHERE id = $1', [id]),
    close: () => pool.end(),
  }
}

const now = (): number => performance.timeOrigin + performance.now()
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

class Application {
  readonly #stores: Readonly<Record<Side, Store>>
  readonly #options: AppWriterOptions
  readonly #random = createRandom(7)
  #side: Side = 'sqlite'
  #acceptedAt = now()
  #refusals = 0
  #nextPulse: number
  #turn = 0
  #accepted = 0
  #pausedMs = 0
  #pulses = 0
  #pulseSum = 0
  #changes = 0
  isGoing = true

  constructor(options: AppWriterOptions) {
    this.#options = options
    this.#stores = { sqlite: openFile(options.path), postgres: openPostgres(options.url) }
    this.#nextPulse = options.firstPulse
  }

  async run(): Promise<WriterSummary> {
    const begunAt = now()
    const everyMs = 1000 / this.#options.rate
    const underWay = new Set<Promise<void>>()
    let dueAt = now()
    while (this.isGoing) {
      // What a pause held up is not made up for: it is measured as a pause.
      if (this.#refusals > 0) {
        await Promise.all(underWay)
        if (this.#refusals > 0) await this.#tryBoth()
        dueAt = now()
      }
      if (now() < dueAt) await sleep(dueAt - now())
      while (now() >= dueAt && this.#refusals === 0) {
        dueAt += everyMs
        const write = this.#write(this.#side).finally(() => underWay.delete(write))
        underWay.add(write)
        if (this.#side === 'sqlite') await write
        else if (underWay.size >= connections) await Promise.race(underWay)
      }
    }
    await Promise.all(underWay)
    const seconds = (now() - begunAt - this.#pausedMs) / 1000
    for (const store of Object.values(this.#stores)) await store.close()
    return { pulses: this.#pulses, pulseSum: this.#pulseSum, changes: this.#changes, rate: this.#accepted / seconds }
  }

  /** Asks one side and then the other, until one of them takes a write. */
  async #tryBoth(): Promise<void> {
    const from = this.#side
    const lastAt = this.#acceptedAt
    for (
      let side: Side = from === 'sqlite' ? 'postgres' : 'sqlite';
      this.isGoing;
      side = side === 'sqlite' ? 'postgres' : 'sqlite'
    ) {
      const refusals = this.#refusals
      await this.#write(side)
      if (this.#refusals === refusals) break
      await sleep(retryMs)
    }
    if (this.#acceptedAt === lastAt) return
    const pauseMs = this.#acceptedAt - lastAt
    this.#pausedMs += pauseMs
    if (this.#side !== from) say({ type: 'switch', to: this.#side, pauseMs, refusals: this.#refusals })
    this.#refusals = 0
  }

  async #write(side: Side): Promise<void> {
    this.#turn++
    const store = this.#stores[side]
    const n = this.#nextPulse
    const isPulse = this.#turn % 2 === 0
    if (isPulse) this.#nextPulse++
    const rows = isPulse ? await store.pulse(n, now()) : await store.change(this.#orderToChange())
    if (rows === undefined) {
      this.#refusals++
      return
    }
    this.#side = side
    this.#acceptedAt = now()
    this.#accepted++
    if (isPulse) {
      this.#pulses++
      this.#pulseSum += n
    } else this.#changes += rows
  }

  /** Every other time the same one, as a counter would be. */
  #orderToChange(): number {
    const { firstId, ids } = this.#options
    return this.#turn % 4 === 1 ? firstId : firstId + this.#random.integer(ids)
  }
}

type Line = ({ readonly type: 'switch' } & SeenSwitch) | ({ readonly type: 'end' } & WriterSummary)

const say = (line: Line): void => void process.stdout.write(`${JSON.stringify(line)}\n`)

/** Starts the application. It writes from when this resolves on, or a moment later. */
export const startAppWriter = (options: AppWriterOptions): AppWriter => {
  const child: ChildProcess = spawn(process.execPath, ['node_modules/.bin/jiti', fileURLToPath(import.meta.url)], {
    env: { ...process.env, APP_WRITER: JSON.stringify(options) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const switches: SeenSwitch[] = []
  let summary: WriterSummary | undefined
  createInterface(child.stdout!).on('line', (text) => {
    const line = JSON.parse(text) as Line
    if (line.type === 'switch') switches.push(line)
    else summary = line
  })
  const ended = once(child, 'close')
  return {
    switches,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
      if (!summary) throw new Error('the application ended without its summary')
      return summary
    },
    kill: () => void child.kill('SIGKILL'),
  }
}

const { APP_WRITER: given } = process.env
if (given !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const application = new Application(JSON.parse(given) as AppWriterOptions)
  process.once('SIGTERM', () => {
    application.isGoing = false
  })
  say({ type: 'end', ...(await application.run()) })
}
