import type pg from 'pg'
import { type BatchResult, type Client, mayGoBehind, type QueryOptions, type QueryResult } from '../../postgres/postgres.js'
import type { LoadClient } from '../cache.js'
import { readStamp, type Stamp, stampAhead } from './stamp.js'

/**
 * A connection as one load has it, that looks at what is done with it first. Where that is a statement that reads, it can carry a stamp along,
 * which then needs no round trip of its own. It has to come before this process reads anything else from anywhere: what a load has learned by
 * other ways may be older than a stamp that comes later.
 */
export class FirstStatement implements LoadClient {
  /** Null until one was carried. */
  stamp: Stamp | null = null
  /** The first thing that was done was to send a statement that reads, and at once. */
  isFit = false
  readonly #client: Client
  readonly isCarrier: boolean
  #isFirst = true

  /** To be made right before the load begins, where promises are being settled. */
  constructor(client: Client, isCarrier: boolean) {
    this.#client = client
    this.isCarrier = isCarrier
    // When all promises are settled that need nothing from outside: those who build statements await some of their own.
    process.nextTick(() => {
      this.#isFirst = false
    })
  }

  /** Not of a loader's interface, and there all the same. */
  get raw(): pg.ClientBase | undefined {
    this.#isFirst = false
    return this.#client.raw
  }

  query<R = Record<string, unknown>>(text: string, values?: readonly unknown[], options?: QueryOptions): Promise<QueryResult<R>> {
    const isFit = this.#isFirst && mayGoBehind(text, values)
    this.#isFirst = false
    if (!isFit) return this.#client.query<R>(text, values, options)
    this.isFit = true
    if (!this.isCarrier) return this.#client.query<R>(text, values, options)
    const answered = (result: BatchResult): void => {
      this.stamp = readStamp(result)
    }
    return this.#client.queryBehind!<R>({ ...stampAhead, answered }, text, values, options)
  }
}
