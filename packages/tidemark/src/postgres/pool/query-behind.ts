import pg from 'pg'
import type { BatchResult, BatchStatement, Wire } from './batch.js'
import type { PreparedNames } from './prepared-names.js'

/** A statement that goes in front of another. */
export interface Ahead extends BatchStatement {
  /** Called with its answer, which comes before that of the other statement; also where the other one fails. */
  answered(result: BatchResult): void
}

/** What reads and nothing else begins with these; a list of statements in one text goes another way than one alone. */
const reads = /^\s*(?:select|with|table|values)\b/i
const maySeveral = /;\s*\S/

/**
 * Whether a statement may have another in front of it. Then both run in one transaction, which has a snapshot by the time
 * of the second: too late for `begin isolation level …`, and for what may not run inside of a transaction at all.
 */
export const mayGoBehind = (text: string, values: readonly unknown[] = []): boolean =>
  reads.test(text) && (values.length > 0 || !maySeveral.test(text))

/** What node-postgres' own query has and its types leave out. */
interface OwnQuery {
  readonly name: string | undefined
  readonly text: string
  readonly _result: unknown
  submit(connection: pg.Connection): Error | null
  handleRowDescription(message: unknown): void
  handleDataRow(message: unknown): void
  handleCommandComplete(message: unknown, connection: pg.Connection): void
  handleEmptyQuery(connection: pg.Connection): void
  handlePortalSuspended(connection: pg.Connection): void
  handleCopyInResponse(connection: pg.Connection): void
  handleCopyData(message: unknown, connection: pg.Connection): void
  handleReadyForQuery(connection: pg.Connection): void
  handleError(error: unknown, connection: pg.Connection): void
}

/** Names that were sent to be parsed, and that node-postgres takes for parsed. */
interface Submitted {
  readonly submittedNamedStatements: Record<string, string>
}

const openQuery = (config: pg.QueryConfig, ended: (error: Error | null, result: pg.QueryResult) => void): OwnQuery =>
  // Of the two ways to send a query, the one that another can go in front of.
  new pg.Query({ ...config, queryMode: 'extended' } as pg.QueryConfig, ended as never) as unknown as OwnQuery

/**
 * A query of node-postgres' own behind another statement, in one write and with one Sync. Each takes a snapshot of its own
 * where the transaction's isolation lets it, the first one first.
 */
export class QueryBehind implements pg.Submittable {
  readonly #ahead: Ahead
  readonly #names: PreparedNames
  readonly #query: OwnQuery
  #parsed: ReadonlySet<string> = new Set()
  readonly #rows: (readonly (string | null)[])[] = []
  /** From then on the answers are those of the query. */
  #isAnswered = false
  #refused: Error | null = null

  constructor(
    ahead: Ahead,
    names: PreparedNames,
    config: pg.QueryConfig,
    ended: (error: Error | null, result: pg.QueryResult) => void,
  ) {
    this.#ahead = ahead
    this.#names = names
    this.#query = openQuery(config, ended)
  }

  // What node-postgres looks up in the query that it takes this for.

  get name(): string | undefined {
    return this.#isAnswered ? this.#query.name : undefined
  }

  get text(): string {
    return this.#query.text
  }

  get _result(): unknown {
    return this.#query._result
  }

  submit(connection: pg.Connection): void {
    const wire = connection as unknown as Wire
    wire.stream.cork()
    try {
      this.#sendAhead(wire)
      this.#refused = this.#query.submit(connection)
      if (this.#refused) wire.sync()
    } finally {
      wire.stream.uncork()
    }
  }

  #sendAhead(wire: Wire): void {
    const { text, values, name = '' } = this.#ahead
    const { close, parse } = this.#names.plan(name === '' ? [] : [name])
    this.#parsed = parse
    for (const each of close) wire.close({ type: 'S', name: each })
    if (name === '' || parse.has(name)) wire.parse({ text, name })
    wire.bind({ statement: name, values })
    wire.execute(undefined)
  }

  handleRowDescription(message: unknown): void {
    // Nobody asks for one of the statement in front.
    this.#query.handleRowDescription(message)
  }

  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    if (this.#isAnswered) this.#query.handleDataRow(message)
    else this.#rows.push(message.fields)
  }

  handleCommandComplete(message: { readonly text: string }, connection: pg.Connection): void {
    if (this.#isAnswered) {
      this.#query.handleCommandComplete(message, connection)
      return
    }
    this.#isAnswered = true
    // It stays prepared, whatever becomes of the transaction.
    this.#names.settle(this.#parsed)
    this.#ahead.answered({ rows: this.#rows, tag: message.text })
  }

  handleEmptyQuery(connection: pg.Connection): void {
    this.#query.handleEmptyQuery(connection)
  }

  handlePortalSuspended(connection: pg.Connection): void {
    this.#query.handlePortalSuspended(connection)
  }

  handleCopyInResponse(connection: pg.Connection): void {
    this.#query.handleCopyInResponse(connection)
  }

  handleCopyData(message: unknown, connection: pg.Connection): void {
    this.#query.handleCopyData(message, connection)
  }

  handleReadyForQuery(connection: pg.Connection): void {
    if (this.#refused) this.#query.handleError(this.#refused, connection)
    else this.#query.handleReadyForQuery(connection)
  }

  handleError(error: unknown, connection: pg.Connection): void {
    const { name } = this.#query
    // The server has skipped it.
    if (!this.#isAnswered && name !== undefined) delete (connection as unknown as Submitted).submittedNamedStatements[name]
    this.#query.handleError(error, connection)
  }
}
