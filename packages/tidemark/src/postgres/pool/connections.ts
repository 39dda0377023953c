import pg from 'pg'
import { reasonOf } from '../../errors.js'
import { retry } from '../../resilience/retry.js'
import type { Clock } from '../../time/clock.js'
import type { Target } from '../driver/connection.js'
import type { Driver } from '../driver/driver.js'
import type { PoolName, PoolObserver, PoolSize } from '../postgres.js'
import { toPostgresError } from '../postgres-error.js'
import { CheckOuts } from './check-outs.js'
import { notify } from './lease.js'
import { Stopwatch } from './timing.js'
import { within } from './within.js'

export interface ConnectionsOptions extends PoolSize {
  readonly name: PoolName
  readonly target: Target
  readonly driver: Driver
  /** How long opening one connection may take. */
  readonly connectTimeoutMs: number
  readonly statementTimeoutMs: number | undefined
  readonly observer: PoolObserver
  readonly clock: Clock
}

interface Made {
  readonly pool: pg.Pool
  readonly checkOuts: CheckOuts
}

const closeGraceMs = 1_000
const refill = { attempts: Number.MAX_SAFE_INTEGER, baseMs: 500, maxMs: 10_000 }

/** The open connections of one pool: node-postgres' own pool, kept at its minimum, with errors and times of ours. */
export class Connections {
  readonly #options: ConnectionsOptions
  readonly #open = new Set<pg.PoolClient>()
  readonly #connectTimes = new Stopwatch()
  readonly #closing = new AbortController()
  #made: Promise<Made> | undefined
  #kept = false
  #refilling: Promise<void> | undefined
  #lost = 0

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  get total(): number {
    return this.#open.size
  }

  get lost(): number {
    return this.#lost
  }

  get connectTimes(): Stopwatch {
    return this.#connectTimes
  }

  /** An idle connection, or a new one. The caller sees to it that there are never more than `maxConnections`. */
  async checkOut(): Promise<pg.PoolClient> {
    const { checkOuts } = await this.#ready()
    return checkOuts.take().catch((error: unknown) => {
      throw this.#mapped(error)
    })
  }

  /** Opens the minimum, and keeps it from now on. */
  async keep(): Promise<void> {
    await this.#fill()
    this.#kept = true
  }

  /** Closes every connection; all must be back. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#refilling
    const made = await this.#made?.catch(() => undefined)
    const closed = [...this.#open].map((client) => new Promise((resolve) => client.once('end', resolve)))
    await made?.pool.end()
    await within(this.#options.clock, closeGraceMs, Promise.all(closed))
  }

  /** Made on first use: for some modes the server has to be asked first. A failure is forgotten, the next caller tries anew. */
  #ready(): Promise<Made> {
    if (this.#made) return this.#made
    const made = this.#make().catch((error: unknown) => {
      throw this.#mapped(error)
    })
    this.#made = made
    made.catch(() => {
      if (this.#made === made) this.#made = undefined
    })
    return made
  }

  #mapped(error: unknown): Error {
    return toPostgresError(error, this.#options.target)
  }

  async #make(): Promise<Made> {
    const { driver, target, name, maxConnections, minConnections, idleTimeoutMs, ...options } = this.#options
    const { connectTimeoutMs, statementTimeoutMs, observer, clock } = options
    const Client = await driver.clientClass({
      target,
      connectTimeoutMs,
      statementTimeoutMs,
      applicationName: `tidemark/${name}`,
      onConnected: (durationMs) => {
        this.#connectTimes.add(durationMs)
        notify(observer, 'connected', { pool: name, durationMs })
      },
    })
    const pool = new pg.Pool({ Client, max: maxConnections, min: minConnections, idleTimeoutMillis: idleTimeoutMs })
    pool.on('connect', (client) => this.#opened(client as pg.PoolClient))
    pool.on('error', nothing)
    return { pool, checkOuts: new CheckOuts(pool, clock) }
  }

  #opened(client: pg.PoolClient): void {
    this.#open.add(client)
    client.once('error', (error) => {
      this.#lost += 1
      notify(this.#options.observer, 'lost', { pool: this.#options.name, reason: reasonOf(error) })
    })
    client.once('end', () => {
      this.#open.delete(client)
      this.#replace()
    })
  }

  #replace(): void {
    const { minConnections, clock } = this.#options
    if (!this.#kept || this.#closing.signal.aborted || this.#refilling || this.#open.size >= minConnections) return
    const refilled = async () => {
      await this.#fill()
      // One that was lost meanwhile may have been counted as there: it is looked at once more, after a while.
      if (this.#open.size < minConnections) throw new Error('fewer connections than there should be')
    }
    this.#refilling = retry(refilled, { ...refill, clock, retryable: () => true, signal: this.#closing.signal })
      .catch(nothing)
      .finally(() => {
        this.#refilling = undefined
      })
  }

  /** The pool opens a connection only for one who asks while none is idle, so all are taken at once and given back. */
  async #fill(): Promise<void> {
    const { minConnections } = this.#options
    const { pool } = await this.#ready()
    const missing = Math.max(0, minConnections - pool.totalCount)
    const taken = await Promise.allSettled(Array.from({ length: missing + pool.idleCount }, () => this.checkOut()))
    for (const result of taken) if (result.status === 'fulfilled') result.value.release()
    const failure = taken.find((result) => result.status === 'rejected')
    if (failure) throw failure.reason
  }
}

const nothing = () => undefined
