/** A project with a SQLite file, its server, and the command line of Tidemark, as a user has them. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { superuserUrl } from '../../packages/tidemark/dist/postgres/embedded/confirm.js'
import type { MachineClock } from './live/machine-clock.ts'
import { type Ended, runCommand, type Started, wordsOf } from './run-command.ts'
import type { Tally } from './tally.ts'

const executable = fileURLToPath(new URL('../../packages/tidemark/bin/tidemark.js', import.meta.url))
export const fileName = 'chaos.db'
const startTimeoutMs = 60_000
const statusTries = 10

export class Project {
  readonly path: string
  readonly #cwd: string
  readonly #clock: MachineClock
  readonly #tally: Tally
  #server: Started | undefined
  #url = ''

  constructor(cwd: string, clock: MachineClock, tally: Tally) {
    this.#cwd = cwd
    this.#clock = clock
    this.#tally = tally
    this.path = join(cwd, fileName)
  }

  get clock(): MachineClock {
    return this.#clock
  }

  get stateDir(): string {
    return join(this.#cwd, '.tidemark')
  }

  start(...args: readonly string[]): Started {
    const env = args[0] === 'start' ? this.#clock.dates : this.#clock.env
    return runCommand(this.#cwd, process.execPath, [executable, ...args, '--json'], env)
  }

  run(...args: readonly string[]): Promise<Ended> {
    return this.start(...args).ended
  }

  async must(...args: readonly string[]): Promise<Ended> {
    const ended = await this.run(...args)
    if (ended.code !== 0) throw new Error(`tidemark ${args.join(' ')} ended with ${wordsOf(ended)}`)
    return ended
  }

  readonly url = async (): Promise<string> => this.#url

  /** The server's own, for what Tidemark's roles may not do. */
  async superuserUrl(): Promise<string> {
    const secrets = JSON.parse(await readFile(join(this.stateDir, 'secrets.json'), 'utf8')) as Record<string, string>
    return superuserUrl((await this.child('postgres'))?.port ?? 0, secrets['postgres-superuser'] ?? '')
  }

  /** What the server and the commands noted of a child of theirs, such as `postgres`. */
  async child(name: string): Promise<{ readonly pid: number; readonly port: number } | undefined> {
    const text = await readFile(join(this.stateDir, 'children', `${name}.json`), 'utf8').catch(() => undefined)
    return text === undefined ? undefined : (JSON.parse(text) as { pid: number; port: number })
  }

  async startServer(): Promise<void> {
    const server = this.start('start', '--port', '0')
    this.#server = server
    void server.ended.then((ended) => {
      if (this.#server === server) this.#tally.fail(`the server ended by itself: ${wordsOf(ended)}`)
    })
    await this.reachPostgres()
  }

  /** By the command that starts it where it does not run. */
  async reachPostgres(): Promise<void> {
    const until = Date.now() + startTimeoutMs
    for (;;) {
      const ended = await this.run('db', 'url')
      if (ended.code === 0) {
        this.#url = (JSON.parse(ended.stdout) as { url: string }).url
        return
      }
      if (Date.now() > until) throw new Error(`Postgres did not come up: ${wordsOf(ended)}`)
      await pause(200)
    }
  }

  async stopServer(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended | undefined> {
    const server = this.#server
    this.#server = undefined
    server?.child.kill(signal)
    return server?.ended
  }

  /** The state that the record of the move is in, also where Postgres has just died under whoever asks. */
  async moveState(): Promise<string> {
    for (let tries = 1; ; tries++) {
      const ended = await this.run('move', 'status', fileName)
      if (ended.code === 0) return (JSON.parse(ended.stdout) as { moves: [{ state: string }] }).moves[0].state
      if (tries === statusTries) throw new Error(`\`move status\` ended with ${wordsOf(ended)}`)
      await pause(500)
    }
  }

  /** Whether a process works on the move, by the record; false where that cannot be told. */
  async isHeldBy({ child }: Started): Promise<boolean> {
    const client = new pg.Client({ connectionString: this.#url, connectionTimeoutMillis: 2000 })
    client.on('error', () => undefined)
    try {
      await client.connect()
      const { rowCount } = await client.query('SELECT FROM tidemark.move_runs WHERE holder_pid = $1', [child.pid])
      return rowCount === 1
    } catch {
      return false
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  /** True where it was the signal that ended it. */
  async kill(started: Started): Promise<boolean> {
    started.child.kill('SIGKILL')
    return (await started.ended).signal === 'SIGKILL'
  }
}

/** Resolves with undefined where it does not end in time. */
export const endedWithin = (started: Started, timeoutMs: number): Promise<Ended | undefined> => {
  const late = new AbortController()
  return Promise.race([started.ended, pause(timeoutMs, undefined, { signal: late.signal }).catch(() => undefined)]).finally(() =>
    late.abort(),
  )
}

export const isGone = async (pid: number, timeoutMs = 30_000): Promise<boolean> => {
  const until = Date.now() + timeoutMs
  while (Date.now() < until) {
    try {
      process.kill(pid, 0)
    } catch {
      return true
    }
    await pause(50)
  }
  return false
}
