import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type pg from 'pg'
import type { PreparedNames } from './prepared-names.js'

/** One of several statements that are sent together. */
export interface BatchStatement {
  readonly text: string
  /** Without types: each is what the statement makes of it. */
  readonly values: readonly BatchValue[]
  /** Prepared under this name, at most 63 characters, once per connection. Left out where no session outlives a transaction. */
  readonly name?: string
}

export type BatchValue = string | Buffer | null

/** What one statement of a batch gave: every value as Postgres writes it, by the position of its column. */
export interface BatchResult {
  readonly rows: readonly (readonly (string | null)[])[]
  /** `SELECT 1`, `COMMIT`. */
  readonly tag: string
}

/** What node-postgres has and its types leave out. */
export interface Wire extends EventEmitter {
  readonly stream: Duplex
  parse(query: { readonly text: string; readonly name: string }): void
  bind(config: { readonly statement: string; readonly values: readonly BatchValue[] }): void
  execute(config: undefined): void
  close(message: { readonly type: 'S'; readonly name: string }): void
  sync(): void
  sendCopyFail(message: string): void
}

interface MutableResult {
  readonly rows: (string | null)[][]
  tag: string
}

const isServerError = (error: unknown): boolean => error instanceof Error && 'severity' in error

/**
 * Statements that node-postgres sends in one write and with one Sync, so that the server skips all after the first that
 * fails. It takes the place of a query of node-postgres' own. Settles when the server is ready again, so that the state of
 * the transaction is known by then.
 */
export class Batch implements pg.Submittable {
  readonly results: Promise<readonly BatchResult[]>
  readonly #statements: readonly BatchStatement[]
  readonly #names: PreparedNames
  readonly #answered: MutableResult[] = []
  #current: MutableResult = { rows: [], tag: '' }
  #parsed: ReadonlySet<string> = new Set()
  #resolve!: (results: readonly BatchResult[]) => void
  #reject!: (error: unknown) => void

  constructor(statements: readonly BatchStatement[], names: PreparedNames) {
    this.#statements = statements
    this.#names = names
    this.results = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  submit(connection: pg.Connection): void {
    const wire = connection as unknown as Wire
    wire.stream.cork()
    try {
      this.#send(wire)
    } finally {
      wire.stream.uncork()
    }
  }

  #send(wire: Wire): void {
    const { close, parse } = this.#names.plan(this.#statements.flatMap(({ name }) => name ?? []))
    this.#parsed = parse
    const missing = new Set(parse)
    for (const name of close) wire.close({ type: 'S', name })
    for (const { text, values, name = '' } of this.#statements) {
      if (name === '' || missing.delete(name)) wire.parse({ text, name })
      wire.bind({ statement: name, values })
      wire.execute(undefined)
    }
    wire.sync()
  }

  handleDataRow(message: { readonly fields: (string | null)[] }): void {
    this.#current.rows.push(message.fields)
  }

  handleCommandComplete(message: { readonly text: string }): void {
    this.#finish(message.text)
  }

  handleEmptyQuery(): void {
    this.#finish('')
  }

  #finish(tag: string): void {
    this.#current.tag = tag
    this.#answered.push(this.#current)
    this.#current = { rows: [], tag: '' }
  }

  handleReadyForQuery(): void {
    this.#names.settle(this.#parsed)
    this.#resolve(this.#answered)
  }

  handleError(error: unknown, connection: pg.Connection): void {
    // What broke after the last answer broke after the end of the transaction.
    if (this.#answered.length === this.#statements.length) {
      this.#resolve(this.#answered)
      return
    }
    if (!isServerError(error)) {
      this.#reject(error)
      return
    }
    // The client has let go of this query by now, and tells it no more.
    const wire = connection as unknown as Wire
    const done = (): void => {
      wire.off('readyForQuery', done)
      wire.off('end', done)
      this.#reject(error)
    }
    wire.on('readyForQuery', done)
    wire.on('end', done)
  }

  handleCopyInResponse(connection: pg.Connection): void {
    const wire = connection as unknown as Wire
    wire.sendCopyFail('there is no data to copy here')
  }

  handleCopyData(): void {
    // COPY TO STDOUT in a batch has no reader.
  }

  handlePortalSuspended(): void {
    // Every portal runs to its end.
  }

  handleRowDescription(): void {
    // Nobody asks for one: columns are known by their position.
  }
}
