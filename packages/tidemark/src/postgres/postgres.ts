import type pg from 'pg'
import type { BatchResult, BatchStatement } from './pool/batch.js'
import type { Ahead } from './pool/query-behind.js'

/**
 * primary: reads and writes of requests · analytics: long reads, on a pooled connection string where there is one ·
 * migration: schema changes and whatever needs a session, on the direct connection string · secondary: another database ·
 * auth: the tables of users and sessions, under their owner · rest: requests of users, each as the role of its caller ·
 * realtime: what subscribers may see, as the role of each.
 */
export type PoolName = 'primary' | 'analytics' | 'migration' | 'secondary' | 'auth' | 'rest' | 'realtime'

/** What every driver gives back, a subset of node-postgres' result. */
export interface QueryResult<R> {
  readonly rows: R[]
  /** Rows touched or returned; null for a statement that counts none. */
  readonly rowCount: number | null
  readonly command: string
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[]
}

export interface QueryOptions {
  /** Prepares the statement under this name once per connection. Left out on a transaction pooler, which has no such memory. */
  readonly name?: string
  /** Stops waiting, and asks the server to cancel. Raises the signal's reason. */
  readonly signal?: AbortSignal
}

export interface PoolQueryOptions extends QueryOptions {
  /** True for a statement that may be run twice: it is tried again when the connection is lost on the way. */
  readonly idempotent?: boolean
}

/**
 * Runs a query, and in front of it another statement in the same write: at the price of its execution, without a round trip of its own. Only
 * for queries of which {@link mayGoBehind} is true.
 */
export type QueryBehind = <R = Record<string, unknown>>(
  ahead: Ahead,
  text: string,
  values?: readonly unknown[],
  options?: QueryOptions,
) => Promise<QueryResult<R>>

/** One connection, for as long as its owner has it. Errors are TM_POSTGRES_*, with what the driver raised as their cause. */
export interface Client {
  query<R = Record<string, unknown>>(text: string, values?: readonly unknown[], options?: QueryOptions): Promise<QueryResult<R>>
  /** Undefined where the driver cannot send two statements at once. */
  readonly queryBehind: QueryBehind | undefined
  /** node-postgres' own client, for COPY streams; undefined where another driver carries the connection. */
  readonly raw: pg.ClientBase | undefined
}

export type Isolation = 'read committed' | 'repeatable read' | 'serializable'

export interface TransactionOptions {
  readonly isolation?: Isolation
  readonly readOnly?: boolean
  /** With `serializable` and `readOnly`: wait for a snapshot that cannot fail. */
  readonly deferrable?: boolean
  /** Settings for this transaction alone (`set_config(name, value, true)`), such as `role` or `request.jwt.claims`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Cancels the running statement and rolls back. Raises the signal's reason. */
  readonly signal?: AbortSignal
}

/** A name and its value, as `set_config(name, value, true)` takes them. */
export type Setting = readonly [name: string, value: string]

export interface BatchOptions extends Pick<TransactionOptions, 'isolation' | 'readOnly' | 'signal'> {
  /** Made in this order, before the statements. */
  readonly settings?: readonly Setting[]
  /** Default `commit`. */
  readonly end?: 'commit' | 'rollback'
}

/** Durations of one kind since the pool was made, in milliseconds. */
export interface Timing {
  readonly count: number
  readonly sumMs: number
  readonly maxMs: number
}

export interface PoolStats {
  readonly name: PoolName
  readonly minConnections: number
  readonly maxConnections: number
  /** Open connections. */
  readonly total: number
  readonly idle: number
  readonly inUse: number
  /** Callers that wait for a connection. */
  readonly waiting: number
  /** inUse / maxConnections, from 0 to 1. */
  readonly utilisation: number
  /** From asking for a connection to having it, connecting included where one had to be made. */
  readonly acquire: Timing
  /** From opening a socket to being logged in. */
  readonly connect: Timing
  readonly query: Timing
  /** Acquires that had to wait out a lost connection, and idempotent statements that were run again. */
  readonly retries: number
  /** Acquires that ended in TM_POSTGRES_POOL_TIMEOUT. */
  readonly timeouts: number
  /** Connections that broke while open. */
  readonly lost: number
}

/** A bounded set of connections to one database. All methods raise TM_POSTGRES_*. */
export interface Pool {
  readonly name: PoolName
  /** Runs one statement on any connection. */
  query<R = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
    options?: PoolQueryOptions,
  ): Promise<QueryResult<R>>
  /** Runs `fn` between BEGIN and COMMIT on one connection; a throw rolls back and passes on. `fn` runs once. */
  transaction<T>(fn: (client: Client) => Promise<T>, options?: TransactionOptions): Promise<T>
  /**
   * Runs the statements as one transaction, in one round trip where the driver can. No statement runs after one that fails,
   * and nothing stays of a transaction of which one did. Run again where it is certain that the lost connection took it along.
   */
  batch(statements: readonly BatchStatement[], options?: BatchOptions): Promise<readonly BatchResult[]>
  /** Lends one connection outside a transaction. */
  withClient<T>(fn: (client: Client) => Promise<T>, options?: { readonly signal?: AbortSignal }): Promise<T>
  /** Opens the minimum of connections. The pool keeps them from then on, replacing what is lost. */
  start(): Promise<void>
  stats(): PoolStats
  /**
   * Refuses new callers (TM_POSTGRES_POOL_CLOSED), waits up to `timeoutMs` (default 10,000) for what runs, then cancels
   * it, and closes every connection. A second call waits for the first.
   */
  stop(timeoutMs?: number): Promise<void>
}

/** Called as things happen, for metrics and logs. A throw in one is swallowed. Statements come without their values. */
export interface PoolObserver {
  acquired?(event: { readonly pool: PoolName; readonly durationMs: number }): void
  connected?(event: { readonly pool: PoolName; readonly durationMs: number }): void
  queried?(event: { readonly pool: PoolName; readonly durationMs: number; readonly failed: boolean }): void
  slow?(event: { readonly pool: PoolName; readonly durationMs: number; readonly text: string }): void
  retried?(event: { readonly pool: PoolName; readonly attempt: number; readonly reason: string }): void
  lost?(event: { readonly pool: PoolName; readonly reason: string }): void
}

export interface PoolSize {
  readonly maxConnections: number
  readonly minConnections: number
  /** A connection above the minimum that nobody used for so long is closed. */
  readonly idleTimeoutMs: number
}

export interface PoolHealth {
  readonly ok: boolean
  /** Of `select 1`, a connection at hand or not. */
  readonly latencyMs: number
  /** The code of what failed. */
  readonly error?: string
  readonly stats: PoolStats
}

export interface Pools {
  readonly primary: Pool
  readonly analytics: Pool
  readonly migration: Pool
  readonly secondary?: Pool
  readonly auth?: Pool
  /** Warms every pool and checks each server's version. Raises TM_POSTGRES_UNREACHABLE, TM_POSTGRES_VERSION and the like. */
  start(): Promise<void>
  /** Asks every pool's server; never raises. */
  health(timeoutMs?: number): Promise<{ readonly ok: boolean; readonly pools: Readonly<Partial<Record<PoolName, PoolHealth>>> }>
  /** Stops all pools side by side, see {@link Pool.stop}. */
  stop(timeoutMs?: number): Promise<void>
}

export { type ConnectOptions, connectPostgres, sessionUrl } from './driver/connect.js'
export { parseConnection, type SslMode, type Target } from './driver/connection.js'
export { directUrl, isTransactionPooler } from './driver/pooler.js'
export { checkVersion } from './driver/version.js'
export {
  describeEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  embeddedPlatformPackage,
  startEmbeddedPostgres,
} from './embedded/embedded.js'
export { isoText } from './iso-text.js'
export type { BatchResult, BatchStatement, BatchValue } from './pool/batch.js'
export { createNamedPool, createPools, defaultPoolSettings, type PoolsOptions } from './pool/pools.js'
export { type Ahead, mayGoBehind } from './pool/query-behind.js'
export { sqlstateOf, toPostgresError } from './postgres-error.js'
