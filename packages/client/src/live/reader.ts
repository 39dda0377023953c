import type { LiveData, Reading } from './live-data.js'
import type { ResolvedSpec } from './live-spec.js'
import { LoadError, type ReadPage } from './ports.js'
import { readRows } from './read-rows.js'

export type ReadOutcome = 'loaded' | 'loadFailed' | 'loadRefused'

export interface ReaderOptions {
  readonly spec: ResolvedSpec
  readonly readPage: ReadPage
  /** What one answer of the server holds at most. */
  readonly maxRows: number
  readonly data: LiveData
  /** What begins with every reading; what it returns is called when that has come in. */
  readonly began: () => () => void
  /** Each reading ends so, unless it is broken off. */
  readonly ended: (outcome: ReadOutcome, error: Error | undefined) => void
}

/** Reads the rows of a live query, one reading at a time. */
export class Reader {
  readonly #options: ReaderOptions
  #current: { readonly reading: Reading; readonly abort: AbortController } | undefined
  #running: Promise<void> = Promise.resolve()
  #again = false

  constructor(options: ReaderOptions) {
    this.#options = options
  }

  /** Or is about to read anew. */
  get isReading(): boolean {
    return this.#current !== undefined || this.#again
  }

  /** Resolves when a reading has ended that began now or later. Raises nothing. */
  read(): Promise<void> {
    if (this.#current) this.#again = true
    else this.#running = this.#readAll()
    return this.#running
  }

  /** So many rows behind the last one. */
  async readMore(by: number): Promise<void> {
    await this.#running
    if (this.#current) return this.readMore(by)
    if (!this.#options.data.rows.more) return
    this.#running = this.#readOnce(by)
    await this.#running
  }

  /** Breaks off. */
  stop(): void {
    this.#again = false
    const current = this.#current
    if (!current) return
    this.#current = undefined
    this.#options.data.failReading(current.reading)
    current.abort.abort()
  }

  async #readAll(): Promise<void> {
    do {
      this.#again = false
      await this.#readOnce(undefined)
    } while (this.#again)
  }

  async #readOnce(by: number | undefined): Promise<void> {
    const { spec, readPage, maxRows, data, began } = this.#options
    const current = { reading: data.beginReading(by), abort: new AbortController() }
    this.#current = current
    const cameIn = began()
    const { signal } = current.abort
    const after = by === undefined ? undefined : data.rows.last
    try {
      const read = await readRows({ spec, readPage, after, limit: by ?? data.rows.limit, maxRows, signal })
      if (this.#current !== current) return
      data.finishReading(current.reading, read.rows, read.position, read.more)
      if (by === undefined) cameIn()
      this.#end('loaded', undefined)
    } catch (thrown) {
      if (this.#current !== current) return
      data.failReading(current.reading)
      const error = thrown instanceof Error ? thrown : new Error(String(thrown))
      this.#end(error instanceof LoadError && error.isNetwork ? 'loadFailed' : 'loadRefused', error)
    }
  }

  #end(outcome: ReadOutcome, error: Error | undefined): void {
    this.#current = undefined
    this.#options.ended(outcome, error)
  }
}
