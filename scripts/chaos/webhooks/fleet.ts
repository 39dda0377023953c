/** Processes that handle events, and what becomes of them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { WorkersState } from '../../../packages/tidemark/dist/webhooks/workers/workers.js'
import type { WorkerSetup } from './worker.ts'

const script = fileURLToPath(new URL('worker.ts', import.meta.url))

export type Told = WorkersState & { readonly rss: number }

export interface FleetWorker {
  readonly child: ChildProcess
  /** What it said last. */
  readonly told: Told | undefined
  readonly hasEnded: boolean
}

class Worker implements FleetWorker {
  readonly child: ChildProcess
  told: Told | undefined
  hasEnded = false

  constructor(setup: WorkerSetup) {
    this.child = spawn(process.execPath, ['node_modules/.bin/jiti', script], {
      env: { ...process.env, CHAOS_WEBHOOKS: JSON.stringify(setup) },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.told = JSON.parse(line) as Told
    })
    this.child.once('close', () => {
      this.hasEnded = true
    })
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.hasEnded) return
    const ended = once(this.child, 'close')
    this.child.kill(signal)
    await ended
  }
}

export class Fleet {
  readonly #setup: WorkerSetup
  #workers: Worker[] = []
  #started = 0
  #isOver = false
  kills = 0

  constructor(setup: WorkerSetup) {
    this.#setup = setup
  }

  get workers(): readonly FleetWorker[] {
    return this.#workers
  }

  /** Ends all at once, and starts none any more. */
  async close(): Promise<void> {
    this.#isOver = true
    await this.kill('all')
  }

  start(count: number): void {
    if (this.#isOver) throw new Error('the fleet is closed')
    for (let i = 0; i < count; i++) this.#workers.push(new Worker({ ...this.#setup, seed: this.#setup.seed + this.#started++ }))
  }

  /** Starts another for each that has ended by itself. Gives how many had. */
  replaceEnded(): number {
    const ended = this.#workers.filter(({ hasEnded }) => hasEnded)
    this.#workers = this.#workers.filter(({ hasEnded }) => !hasEnded)
    this.start(ended.length)
    return ended.length
  }

  /** kill -9: of one that owns something, or of all. */
  async kill(which: 'owner' | 'all'): Promise<void> {
    const owner = this.#workers.find(({ told }) => (told?.owned.length ?? 0) > 0)
    const doomed = which === 'all' ? this.#workers : owner ? [owner] : []
    this.kills += doomed.length
    await Promise.all(doomed.map((worker) => worker.end('SIGKILL')))
    this.#workers = this.#workers.filter((worker) => !doomed.includes(worker))
  }

  /** SIGTERM, one after the other. Gives how long the slowest took, in milliseconds. */
  async stop(): Promise<number> {
    let slowestMs = 0
    for (const worker of this.#workers) {
      const startedAt = performance.now()
      await worker.end('SIGTERM')
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
    }
    this.#workers = []
    return slowestMs
  }
}
