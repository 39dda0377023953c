import type pg from 'pg'
import type { BatchResult, BatchStatement } from '../pool/batch.js'
import type { Ahead } from '../pool/query-behind.js'
import type { Target } from './connection.js'

/** What a pool tells a driver about the connections it wants. */
export interface SessionOptions {
  readonly target: Target
  readonly applicationName: string
  readonly connectTimeoutMs: number
  /** Undefined: the server's own setting holds. */
  readonly statementTimeoutMs: number | undefined
  /** Called once a connection is logged in. */
  onConnected(durationMs: number): void
}

/** One way to reach Postgres. Both speak through clients of node-postgres' shape, so one pool serves both. */
export interface Driver {
  readonly name: 'pg' | 'neon'
  /** The class of the clients of one pool, its options inside. Raises what reaching the server for that may raise. */
  clientClass(options: SessionOptions): Promise<new () => pg.ClientBase>
  /** Asks the server to end what the client runs. Best effort: resolves when that was asked, or could not be. */
  cancel(client: pg.ClientBase): Promise<void>
  /** Sends the statements in one round trip; after one that fails none runs. Left out where the driver cannot. */
  batch?(client: pg.ClientBase, statements: readonly BatchStatement[]): Promise<readonly BatchResult[]>
  /** Sends both in one round trip; raises what the driver raises. Left out where the driver cannot. */
  queryBehind?(client: pg.ClientBase, ahead: Ahead, query: pg.QueryConfig): Promise<pg.QueryResult>
  /** The client as node-postgres' own; undefined where it is another's. */
  raw(client: pg.ClientBase): pg.ClientBase | undefined
}
