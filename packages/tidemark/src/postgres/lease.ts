import type pg from 'pg'
import { TidemarkError } from '../errors.js'
import { cancellable } from './cancellable.js'
import type { Target } from './connection.js'
import type { Driver } from './driver.js'
import type { Client, PoolObserver, QueryOptions, QueryResult } from './postgres.js'
import { isConnectionLoss, toPostgresError } from './postgres-error.js'

interface LeaseOptions {
  readonly client: pg.PoolClient
  readonly driver: Driver
  readonly target: Target
  queried(durationMs: number, text: string, failed: boolean): void
  /** Called once, when the connection is back; `broken` where it may not be used again. */
  released(broken: boolean): void
}

const combine = (signals: readonly (AbortSignal | undefined)[]): AbortSignal | undefined => {
  const given = signals.filter((signal) => signal !== undefined)
  return given.length > 1 ? AbortSignal.any(given) : given[0]
}

/** `I` where no transaction is open; undefined where the driver does not tell. */
const transactionStatus = (client: pg.ClientBase): string | null | undefined =>
  (client as { getTransactionStatus?(): string | null }).getTransactionStatus?.()

/** One connection while a caller has it. */
export class Lease implements Client {
  readonly #options: LeaseOptions
  readonly #signal: AbortSignal | undefined
  #released = false
  #broken = false

  constructor(options: LeaseOptions, signal?: AbortSignal) {
    this.#options = options
    this.#signal = signal
  }

  get raw(): pg.ClientBase | undefined {
    return this.#options.driver.raw(this.#options.client)
  }

  async query<R>(text: string, values: readonly unknown[] = [], options: QueryOptions = {}): Promise<QueryResult<R>> {
    if (this.#released) throw new TidemarkError('TM_INTERNAL', { reason: 'a connection was used after it was given back' })
    const signal = combine([this.#signal, options.signal])
    signal?.throwIfAborted()
    const startedAt = performance.now()
    let failed = true
    try {
      const work = this.#send<R>(text, values, options.name)
      const result = await (signal ? cancellable(work, signal, () => this.cancel()) : work)
      failed = false
      return result
    } finally {
      this.#options.queried(performance.now() - startedAt, text, failed)
    }
  }

  async #send<R>(text: string, values: readonly unknown[], name: string | undefined): Promise<QueryResult<R>> {
    const { client, target } = this.#options
    try {
      const named = name === undefined || target.transactionPooler ? {} : { name }
      return (await client.query({ text, values: [...values], ...named })) as unknown as QueryResult<R>
    } catch (error) {
      const mapped = toPostgresError(error, target)
      if (isConnectionLoss(mapped)) this.#broken = true
      throw mapped
    }
  }

  /** Has the server end what runs. The connection is given up, since the request may hit whatever it would run next. */
  async cancel(): Promise<void> {
    this.#broken = true
    await this.#options.driver.cancel(this.#options.client)
  }

  /** Undoes the transaction, if one is open. Where that fails, closing the connection does it. */
  async rollback(): Promise<void> {
    if (this.#broken || this.#released || transactionStatus(this.#options.client) === 'I') return
    await this.#send('rollback', [], undefined).catch(() => {
      this.#broken = true
    })
  }

  release(broken = false): void {
    if (this.#released) return
    this.#released = true
    const unusable = this.#broken || broken
    this.#options.client.release(unusable)
    this.#options.released(unusable)
  }
}

/** Calls one of an observer's methods; what it throws is its own affair. */
export const notify = <K extends keyof PoolObserver>(
  observer: PoolObserver,
  event: K,
  detail: Parameters<NonNullable<PoolObserver[K]>>[0],
): void => {
  try {
    ;(observer[event] as ((detail: unknown) => void) | undefined)?.call(observer, detail)
  } catch {
    // A metric that cannot be counted must not fail a query.
  }
}
