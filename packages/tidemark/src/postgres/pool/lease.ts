import type pg from 'pg'
import { TidemarkError } from '../../errors.js'
import type { Target } from '../driver/connection.js'
import type { Driver } from '../driver/driver.js'
import type { Client, PoolObserver, QueryBehind, QueryOptions, QueryResult } from '../postgres.js'
import { isConnectionLoss, toPostgresError } from '../postgres-error.js'
import type { BatchResult, BatchStatement } from './batch.js'
import { cancellable } from './cancellable.js'
import { isLostName, type KeptNames } from './prepared-names.js'
import type { Ahead } from './query-behind.js'

/** What all leases of one pool have in common. */
export interface LeaseOwner {
  readonly driver: Driver
  readonly target: Target
  readonly names: KeptNames
  queried(durationMs: number, text: string, failed: boolean): void
  /** Called once, when the connection is back. */
  released(lease: Lease): void
}

const combine = (one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined =>
  one && other ? AbortSignal.any([one, other]) : (one ?? other)

/** `I` where no transaction is open; undefined where the driver does not tell. */
const transactionStatus = (client: pg.ClientBase): string | null | undefined =>
  (client as { getTransactionStatus?(): string | null }).getTransactionStatus?.()

const asText = { getTypeParser: () => (value: string) => value }

const oneByOne = async (client: pg.ClientBase, statements: readonly BatchStatement[]): Promise<readonly BatchResult[]> => {
  const results: BatchResult[] = []
  for (const { text, values, ...named } of statements) {
    const query = { text, values: [...values], ...named, rowMode: 'array', types: asText } as const
    const { rows, command } = await client.query<(string | null)[]>(query as unknown as pg.QueryArrayConfig)
    results.push({ rows, tag: command })
  }
  return results
}

/** One connection while a caller has it. */
export class Lease implements Client {
  readonly #owner: LeaseOwner
  readonly #client: pg.PoolClient
  readonly #signal: AbortSignal | undefined
  #released = false
  #broken = false

  constructor(owner: LeaseOwner, client: pg.PoolClient, signal: AbortSignal | undefined) {
    this.#owner = owner
    this.#client = client
    this.#signal = signal
  }

  get raw(): pg.ClientBase | undefined {
    return this.#owner.driver.raw(this.#client)
  }

  query<R>(text: string, values: readonly unknown[] = [], options: QueryOptions = {}): Promise<QueryResult<R>> {
    return this.#run(text, options.signal, () => this.#send<R>(text, values, options.name))
  }

  get queryBehind(): QueryBehind | undefined {
    const send = this.#owner.driver.queryBehind
    return (
      send &&
      ((ahead, text, values = [], options = {}) =>
        this.#run(text, options.signal, () => this.#sendBehind(send, ahead, this.#query(text, values, options.name))))
    )
  }

  /**
   * Statements in one round trip, or one after the other where the driver knows no other way. None runs after one that fails.
   * `text` is what they are called where they are slow.
   */
  batch(statements: readonly BatchStatement[], text: string): Promise<readonly BatchResult[]> {
    return this.#run(text, undefined, () => this.#sendAll(statements))
  }

  async #run<T>(text: string, ownSignal: AbortSignal | undefined, send: () => Promise<T>): Promise<T> {
    if (this.#released) throw new TidemarkError('TM_INTERNAL', { reason: 'a connection was used after it was given back' })
    const signal = combine(this.#signal, ownSignal)
    signal?.throwIfAborted()
    const startedAt = performance.now()
    let failed = true
    try {
      const work = send()
      const result = await (signal ? cancellable(work, signal, () => this.cancel()) : work)
      failed = false
      return result
    } finally {
      this.#owner.queried(performance.now() - startedAt, text, failed)
    }
  }

  #send<R>(text: string, values: readonly unknown[], name: string | undefined): Promise<QueryResult<R>> {
    // node-postgres copies what it is given as an object, descriptor by descriptor.
    const sent = name === undefined ? this.#client.query(text, [...values]) : this.#client.query(this.#query(text, values, name))
    return this.#mapped(sent as unknown as Promise<QueryResult<R>>)
  }

  #query(text: string, values: readonly unknown[], name: string | undefined): pg.QueryConfig {
    const named = name === undefined || this.#owner.target.transactionPooler ? {} : { name }
    return { text, values: [...values], ...named }
  }

  async #sendBehind<R>(send: NonNullable<Driver['queryBehind']>, ahead: Ahead, query: pg.QueryConfig): Promise<QueryResult<R>> {
    const { names } = this.#owner
    let isAnswered = false
    const answered = (result: BatchResult): void => {
      isAnswered = true
      ahead.answered(result)
    }
    const { text, values, name } = ahead
    const run = (isNamed: boolean) =>
      this.#mapped(send(this.#client, { text, values, ...(isNamed && name !== undefined && { name }), answered }, query))
    const isNamed = names.areKept
    const work = run(isNamed).catch((error: unknown) => {
      // Where the name was lost nothing of either has run.
      if (!isNamed || isAnswered || !isLostName(error)) throw error
      names.areKept = false
      return run(false)
    })
    return (await work) as unknown as QueryResult<R>
  }

  async #sendAll(statements: readonly BatchStatement[]): Promise<readonly BatchResult[]> {
    const client = this.#client
    const { target, driver } = this.#owner
    const known = target.transactionPooler ? statements.map(({ text, values }) => ({ text, values })) : statements
    return this.#mapped(driver.batch ? driver.batch(client, known) : oneByOne(client, known))
  }

  async #mapped<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      const mapped = toPostgresError(error, this.#owner.target)
      if (isConnectionLoss(mapped)) this.#broken = true
      throw mapped
    }
  }

  /** Has the server end what runs. The connection is given up, since the request may hit whatever it would run next. */
  async cancel(): Promise<void> {
    this.#broken = true
    await this.#owner.driver.cancel(this.#client)
  }

  /** Undoes the transaction, if one is open. Where that fails, closing the connection does it. */
  async rollback(): Promise<void> {
    if (this.#broken || this.#released || transactionStatus(this.#client) === 'I') return
    await this.#send('rollback', [], undefined).catch(() => {
      this.#broken = true
    })
  }

  release(broken = false): void {
    if (this.#released) return
    this.#released = true
    this.#client.release(this.#broken || broken)
    this.#owner.released(this)
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
