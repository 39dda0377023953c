/** A dialect of Kysely's with an eye on its transactions: one that a fence refused is never committed, whatever the work made of the error. */
import type {
  CompiledQuery,
  DatabaseConnection,
  Dialect,
  DialectAdapter,
  Driver,
  Kysely,
  QueryCompiler,
  QueryResult,
  TransactionSettings,
} from 'kysely'
import { isRefusal } from './refusal.js'

export interface Watch {
  /** True where a statement that failed fails its whole transaction: Postgres answers COMMIT with a silent ROLLBACK then. */
  readonly failsWhole: boolean
  /** Runs a step of the driver, again where that helps. */
  readonly again: <T>(step: () => Promise<T>) => Promise<T>
  /** Instead of Kysely's own BEGIN. */
  readonly begin?: (connection: DatabaseConnection, settings: TransactionSettings) => Promise<void>
  /** Result rows as the application is to see them. */
  readonly rows?: (rows: readonly unknown[]) => unknown[]
}

class WatchedConnection implements DatabaseConnection {
  readonly inner: DatabaseConnection
  readonly #watch: Watch
  refusal: unknown
  failure: unknown

  constructor(inner: DatabaseConnection, watch: Watch) {
    this.inner = inner
    this.#watch = watch
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    try {
      const result = await this.#watch.again(() => Promise.resolve().then(() => this.inner.executeQuery<R>(query)))
      // What failed since the savepoint is undone, and the transaction is good again.
      if (/^\s*rollback\s+to\b/i.test(query.sql)) this.failure = undefined
      return this.#watch.rows ? { ...result, rows: this.#watch.rows(result.rows) as R[] } : result
    } catch (error) {
      if (isRefusal(error)) this.refusal ??= error
      this.failure ??= error
      throw error
    }
  }

  streamQuery<R>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<R>> {
    return this.inner.streamQuery<R>(query, chunkSize ?? 100)
  }
}

type Compile = Parameters<NonNullable<Driver['savepoint']>>[2]

class WatchedDriver implements Driver {
  readonly #inner: Driver
  readonly #watch: Watch

  constructor(inner: Driver, watch: Watch) {
    this.#inner = inner
    this.#watch = watch
  }

  init(): Promise<void> {
    return this.#inner.init()
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    return new WatchedConnection(await this.#inner.acquireConnection(), this.#watch)
  }

  async beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    const { begin } = this.#watch
    await (begin ? this.#watch.again(() => begin(connection, settings)) : this.#inner.beginTransaction(connection, settings))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const { refusal, failure } = connection as WatchedConnection
    if (refusal !== undefined) throw refusal
    if (failure !== undefined && this.#watch.failsWhole) throw failure
    await this.#inner.commitTransaction(connection)
  }

  rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    return this.#inner.rollbackTransaction(connection)
  }

  async savepoint(connection: DatabaseConnection, name: string, compile: Compile): Promise<void> {
    await this.#inner.savepoint?.(connection, name, compile)
  }

  async rollbackToSavepoint(connection: DatabaseConnection, name: string, compile: Compile): Promise<void> {
    await this.#inner.rollbackToSavepoint?.(connection, name, compile)
  }

  async releaseSavepoint(connection: DatabaseConnection, name: string, compile: Compile): Promise<void> {
    await this.#inner.releaseSavepoint?.(connection, name, compile)
  }

  releaseConnection(connection: DatabaseConnection): Promise<void> {
    return this.#inner.releaseConnection((connection as WatchedConnection).inner)
  }

  destroy(): Promise<void> {
    return this.#inner.destroy()
  }
}

/** Wraps a dialect of Kysely's. */
export const watched = (inner: Dialect, watch: Watch): Dialect => ({
  createDriver: () => new WatchedDriver(inner.createDriver(), watch),
  createQueryCompiler: (): QueryCompiler => inner.createQueryCompiler(),
  createAdapter: (): DialectAdapter => inner.createAdapter(),
  createIntrospector: (db: Kysely<unknown>) => inner.createIntrospector(db),
})
