import { TidemarkError } from '../../errors.js'
import { retry } from '../../resilience/retry.js'
import type {
  BatchOptions,
  Client,
  Pool,
  PoolName,
  PoolQueryOptions,
  PoolStats,
  QueryResult,
  Setting,
  TransactionOptions,
} from '../postgres.js'
import { isConnectionLoss, isOutcomeUnknown } from '../postgres-error.js'
import type { BatchResult, BatchStatement } from './batch.js'
import { BatchRunner, checkCommit } from './batch-transaction.js'
import { Connections, type ConnectionsOptions } from './connections.js'
import { Lease, type LeaseOwner, notify } from './lease.js'
import type { KeptNames } from './prepared-names.js'
import { Slots } from './slots.js'
import { Stopwatch } from './timing.js'
import { beginStatements } from './transaction.js'
import { within } from './within.js'

export interface RetryPolicy {
  /** Tries in all, the first included. */
  readonly attempts: number
  /** The first pause is a random part of this, each next one of twice as much. */
  readonly baseMs: number
  readonly maxMs: number
}

export interface PoolOptions extends ConnectionsOptions {
  /** How long a caller waits while all connections are in use. */
  readonly acquireTimeoutMs: number
  readonly slowQueryMs: number
  readonly retry: RetryPolicy
}

const stopTimeoutMs = 10_000
const forceGraceMs = 1_000

class BoundedPool implements Pool {
  readonly name: PoolName
  readonly #options: PoolOptions
  readonly #connections: Connections
  readonly #slots: Slots
  readonly #batches: BatchRunner
  readonly #owner: LeaseOwner
  readonly #leases = new Set<Lease>()
  readonly #acquireTimes = new Stopwatch()
  readonly #queryTimes = new Stopwatch()
  #retries = 0
  #timeouts = 0
  #stopped: Promise<void> | undefined

  constructor(options: PoolOptions) {
    this.name = options.name
    this.#options = options
    this.#connections = new Connections(options)
    const { maxConnections: max, acquireTimeoutMs: timeoutMs, clock } = options
    this.#slots = new Slots({ max, timeoutMs, clock, onTimeout: () => this.#timeout() })
    const { driver, target } = options
    const names: KeptNames = { areKept: !target.transactionPooler }
    this.#batches = new BatchRunner(this.#limit(), names)
    this.#owner = {
      driver,
      target,
      names,
      queried: (durationMs, text, failed) => this.#queried(durationMs, text, failed),
      released: (lease) => {
        this.#leases.delete(lease)
        this.#slots.give()
      },
    }
  }

  async query<R>(text: string, values: readonly unknown[] = [], options: PoolQueryOptions = {}): Promise<QueryResult<R>> {
    const run = async (lease: Lease) => {
      try {
        return await lease.query<R>(text, values, options)
      } finally {
        lease.release()
      }
    }
    if (options.idempotent) return this.#acquire(options.signal, run)
    const lease = await this.#acquire(options.signal)
    return run(lease).catch((error: unknown) => {
      throw this.#ofUnknownOutcome(error)
    })
  }

  async transaction<T>(fn: (client: Client) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const lease = await this.#acquire(options.signal, (acquired) => this.#begin(acquired, options))
    try {
      const result = await fn(lease)
      options.signal?.throwIfAborted()
      await this.#commit(lease)
      return result
    } catch (error) {
      await lease.rollback()
      throw error
    } finally {
      lease.release()
    }
  }

  batch(statements: readonly BatchStatement[], options: BatchOptions = {}): Promise<readonly BatchResult[]> {
    return this.#acquire(options.signal, async (lease) => {
      try {
        return await this.#batches.run(lease, statements, options)
      } catch (error) {
        await lease.rollback()
        throw options.readOnly || options.end === 'rollback' ? error : this.#ofUnknownOutcome(error)
      } finally {
        lease.release()
      }
    })
  }

  async withClient<T>(fn: (client: Client) => Promise<T>, options: { readonly signal?: AbortSignal } = {}): Promise<T> {
    const lease = await this.#acquire(options.signal)
    try {
      return await fn(lease)
    } catch (error) {
      throw this.#ofUnknownOutcome(error)
    } finally {
      await lease.rollback()
      lease.release()
    }
  }

  start(): Promise<void> {
    return this.#connections.keep()
  }

  stats(): PoolStats {
    const { minConnections, maxConnections } = this.#options
    const { total, lost, connectTimes } = this.#connections
    const inUse = this.#slots.taken
    return {
      name: this.name,
      minConnections,
      maxConnections,
      total,
      idle: Math.max(0, total - this.#leases.size),
      inUse,
      waiting: this.#slots.waiting,
      utilisation: inUse / maxConnections,
      acquire: this.#acquireTimes.read(),
      connect: connectTimes.read(),
      query: this.#queryTimes.read(),
      retries: this.#retries,
      timeouts: this.#timeouts,
      lost,
    }
  }

  stop(timeoutMs = stopTimeoutMs): Promise<void> {
    this.#stopped ??= this.#stop(timeoutMs)
    return this.#stopped
  }

  async #stop(timeoutMs: number): Promise<void> {
    this.#slots.close(() => new TidemarkError('TM_POSTGRES_POOL_CLOSED', { pool: this.name }))
    if (!(await this.#idleWithin(timeoutMs))) {
      await Promise.all([...this.#leases].map((lease) => lease.cancel()))
      await this.#idleWithin(forceGraceMs)
      for (const lease of this.#leases) lease.release()
    }
    await this.#connections.close()
  }

  #idleWithin(timeoutMs: number): Promise<boolean> {
    return within(this.#options.clock, timeoutMs, this.#slots.whenIdle())
  }

  /**
   * A connection on which `prepare` succeeded, and what that gave (the connection itself by default). Both are tried
   * again while the connection is lost, so `prepare` may only do what is safe to do twice.
   */
  async #acquire(signal?: AbortSignal): Promise<Lease>
  async #acquire<T>(signal: AbortSignal | undefined, prepare: (lease: Lease) => Promise<T>): Promise<T>
  async #acquire<T>(signal?: AbortSignal, prepare?: (lease: Lease) => Promise<T>): Promise<T | Lease> {
    const startedAt = this.#options.clock.monotonicMs()
    const work = async () => {
      const lease = await this.#lease(signal)
      const durationMs = this.#options.clock.monotonicMs() - startedAt
      this.#acquireTimes.add(durationMs)
      notify(this.#options.observer, 'acquired', { pool: this.name, durationMs })
      return prepare ? prepare(lease) : lease
    }
    try {
      return await work()
    } catch (error) {
      return this.#again(error, work, signal)
    }
  }

  /** Takes up what has failed once. Few do, so that only those pay for what trying again takes. */
  #again<T>(error: unknown, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    let isFirst = true
    const attempt = async (): Promise<T> => {
      if (!isFirst) return work()
      isFirst = false
      throw error
    }
    return retry(attempt, {
      ...this.#options.retry,
      clock: this.#options.clock,
      retryable: (error) => isConnectionLoss(error) && this.#stopped === undefined,
      onRetry: ({ attempt, error }) => {
        this.#retries += 1
        notify(this.#options.observer, 'retried', { pool: this.name, attempt, reason: (error as Error).message })
      },
      ...(signal && { signal }),
    })
  }

  async #lease(signal: AbortSignal | undefined): Promise<Lease> {
    await this.#slots.take(signal)
    const client = await this.#connections.checkOut().catch((error: unknown) => {
      this.#slots.give()
      throw error
    })
    const lease = new Lease(this.#owner, client, signal)
    this.#leases.add(lease)
    return lease
  }

  #timeout(): TidemarkError {
    this.#timeouts += 1
    const { maxConnections, acquireTimeoutMs: timeoutMs } = this.#options
    return new TidemarkError('TM_POSTGRES_POOL_TIMEOUT', { pool: this.name, timeoutMs, inUse: this.#slots.taken, maxConnections })
  }

  #queried(durationMs: number, text: string, failed: boolean): void {
    const { observer, slowQueryMs } = this.#options
    this.#queryTimes.add(durationMs)
    notify(observer, 'queried', { pool: this.name, durationMs, failed })
    if (durationMs >= slowQueryMs) notify(observer, 'slow', { pool: this.name, durationMs, text })
  }

  /** Until BEGIN and its settings are answered nothing has happened that could not happen twice. */
  async #begin(lease: Lease, options: TransactionOptions): Promise<Lease> {
    const settings = { ...Object.fromEntries(this.#limit()), ...options.settings }
    try {
      for (const { text, values } of beginStatements({ ...options, settings })) {
        await lease.query(text, values)
      }
      return lease
    } catch (error) {
      await lease.rollback()
      lease.release()
      throw error
    }
  }

  /** Behind a transaction pooler the session cannot carry the limit of statements, so each transaction does. */
  #limit(): readonly Setting[] {
    const { target, statementTimeoutMs } = this.#options
    return target.transactionPooler && statementTimeoutMs ? [['statement_timeout', String(statementTimeoutMs)]] : []
  }

  async #commit(lease: Lease): Promise<void> {
    const { command } = await lease.query('commit').catch((error: unknown) => {
      throw this.#ofUnknownOutcome(error)
    })
    checkCommit(command)
  }

  /** A statement that was on its way when the connection broke may or may not have taken effect. */
  #ofUnknownOutcome(error: unknown): unknown {
    if (!isOutcomeUnknown(error)) return error
    const reason = error.cause instanceof Error ? error.cause.message : 'it broke'
    return new TidemarkError('TM_POSTGRES_CONNECTION_LOST', { target: this.#options.target.name, reason }, { cause: error })
  }
}

export const createPool = (options: PoolOptions): Pool => new BoundedPool(options)
