/** Copies one part of one table: read, encode, COPY and note how far it came, in one Postgres transaction at a time. */
import { once } from 'node:events'
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import { type CopyStreamQuery, from as copyFrom } from 'pg-copy-streams'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { type Reject, refersToItself, type TablePlan } from '../move.js'
import { type Key, type Packed, unpackKey } from '../row-keys.js'
import type { Row, RowSource } from '../row-source.js'
import { copyByHalves, type EncodedRow, isDataError, type RefusedRow, rejection } from './copy-rows.js'
import { copyHeader, copyTrailer } from './copy-writer.js'
import { parentsFirst, type SelfReference, selfReferences } from './parents-first.js'
import { type Progress, recordProgress } from './progress.js'
import { RowEncoder } from './row-encoder.js'

export interface CopyUnit {
  readonly runId: string
  readonly table: TablePlan
  readonly unit: number
  /** Where it begins (or went on to) and where it ends; null is the table's beginning or end. */
  readonly after: readonly Packed[] | null
  readonly until: readonly Packed[] | null
}

export interface CopyUnitOptions {
  /** Bytes of one Postgres transaction, about. */
  readonly transactionBytes: number
  /** Bytes handed to the socket at a time. */
  readonly blockBytes: number
  readonly signal: AbortSignal
  readonly onProgress: (rows: number, bytes: number) => void
  readonly onReject: (reject: Reject) => void
}

/** A foreign key without its row: with a table that refers to itself, the row may only come later. */
const foreignKeyViolation = '23503'

/** Where the copy stands after a transaction. */
interface Step {
  readonly after: Key | null
  readonly done: boolean
}

/** Rows that a careful copy holds in memory at a time. */
const carefulRows = 2000

class UnitCopier {
  readonly #client: pg.Client
  readonly #unit: CopyUnit
  readonly #options: CopyUnitOptions
  readonly #encoder: RowEncoder
  readonly #source: RowSource
  readonly #copySql: string
  readonly #until: Key | null
  /** True where the table is copied in one transaction. */
  readonly #isWhole: boolean
  readonly #references: readonly SelfReference[]
  #batches: Generator<readonly Row[]> | undefined

  constructor(database: Database, client: pg.Client, unit: CopyUnit, options: CopyUnitOptions) {
    const { table } = unit
    this.#client = client
    this.#unit = unit
    this.#options = options
    this.#encoder = new RowEncoder(database, table, table.rowKey, options.blockBytes + 65_536)
    this.#source = this.#encoder.source
    this.#copySql = this.#encoder.copySql
    this.#until = unpackKey(unit.until)
    this.#references = selfReferences(table, this.#encoder.expressions)
    this.#isWhole = this.#source.keyWidth === 0 || refersToItself(table)
  }

  async run(): Promise<void> {
    let step: Step = { after: unpackKey(this.#unit.after), done: false }
    while (!step.done) {
      this.#options.signal.throwIfAborted()
      step = await this.#transaction(step.after)
    }
  }

  /** One COPY with what it came to; where Postgres refuses a row of it, the same range again, row by row as far as needed. */
  async #transaction(after: Key | null): Promise<Step> {
    this.#encoder.restart()
    try {
      return await this.#copyOnce(after)
    } catch (error) {
      this.#batches = undefined
      if (!isDataError(error)) throw error
      return this.#copyCarefully(after)
    }
  }

  async #begin(): Promise<void> {
    await this.#client.query("BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL tidemark.origin = 'move'")
  }

  async #copyOnce(after: Key | null): Promise<Step> {
    await this.#begin()
    const stream = this.#client.query(copyFrom(this.#copySql))
    const failed = rejection(stream)
    try {
      const result = await Promise.race([this.#feed(stream, after), failed.promise])
      await this.#finish(after, result)
      return result
    } catch (error) {
      // A COPY that is still open would keep ROLLBACK waiting for ever; destroying the stream ends it.
      if (!failed.hasFailed()) stream.destroy()
      await this.#client.query('ROLLBACK').catch(() => undefined)
      throw error
    }
  }

  /** The reading goes on where the transaction before left it; after a failure it begins again at the key. */
  #batchesFrom(after: Key | null): Generator<readonly Row[]> {
    this.#batches ??= this.#source.batches({ after, until: this.#until })
    return this.#batches
  }

  /**
   * Reads, encodes and sends until the transaction is large enough or the range ends. A table without a key cannot be taken up again in the
   * middle, and one that refers to itself is checked at the end of a COPY: each is one transaction.
   */
  async #feed(stream: CopyStreamQuery, from: Key | null): Promise<Progress & { done: boolean }> {
    const { transactionBytes, blockBytes, signal } = this.#options
    const limit = this.#isWhole ? Number.POSITIVE_INFINITY : transactionBytes
    const batches = this.#batchesFrom(from)
    const { writer } = this.#encoder
    let [after, rows, bytes, done, sent] = [from, 0, 0, false, 0]
    stream.write(copyHeader)
    while (!done && bytes < limit) {
      signal.throwIfAborted()
      const next = batches.next()
      done = next.done === true
      const batch = next.done ? [] : next.value
      for (const row of batch) this.#encoder.encode(row, rows++)
      if (batch.length > 0 && this.#source.keyWidth > 0) after = this.#source.keyOf(batch.at(-1)!)
      if (writer.length < blockBytes && !done) continue
      const block = writer.take(blockBytes + 65_536)
      bytes += block.length
      if (block.length > 0 && !stream.write(block)) await once(stream, 'drain')
      this.#options.onProgress(rows - sent, block.length)
      sent = rows
    }
    stream.end(copyTrailer)
    await once(stream, 'finish')
    return { after, rows, done }
  }

  async #finish(from: Key | null, result: Progress & { done: boolean }): Promise<void> {
    const { rejects, ids } = this.#encoder.leavings
    const rejected = rejects.filter((reject) => reject.outcome === 'rowRejected').length
    await recordProgress(this.#client, this.#unit, { ...result, from, rows: result.rows - rejected, rejects, ids })
    await this.#client.query('COMMIT')
    for (const reject of rejects) this.#options.onReject(reject)
  }

  /** Copies the next rows so that those Postgres refuses are found and set aside, by halving. */
  async #copyCarefully(after: Key | null): Promise<Step> {
    this.#encoder.restart()
    const encoded: EncodedRow[] = []
    const { writer } = this.#encoder
    let [rows, last, done, bytes] = [0, undefined as Row | undefined, true, 0]
    for (const row of this.#source.rows({ after, until: this.#until })) {
      this.#encoder.encode(row, rows)
      bytes += writer.length
      if (writer.length > 0) encoded.push({ row, ordinal: rows, bytes: writer.slice(0, writer.length) })
      writer.rewind(0)
      rows++
      last = row
      if (!this.#isWhole && (rows >= carefulRows || bytes >= this.#options.transactionBytes)) {
        done = false
        break
      }
    }
    await this.#begin()
    try {
      await this.#copyRows(encoded)
      const result = { after: last && this.#source.keyWidth > 0 ? this.#source.keyOf(last) : after, rows, done }
      await this.#finish(after, result)
      this.#options.onProgress(rows, 0)
      return result
    } catch (error) {
      await this.#client.query('ROLLBACK').catch(() => undefined)
      throw error
    }
  }

  /** Sets aside what Postgres refuses; rows that miss another of their own table are tried again for as long as that helps. */
  async #copyRows(encoded: readonly EncodedRow[]): Promise<void> {
    for (let waiting = parentsFirst(encoded, this.#references, this.#source.keyWidth); ; ) {
      const refused: RefusedRow[] = []
      await copyByHalves(this.#client, this.#copySql, waiting, refused)
      const orphans = refused.filter(({ error }) => sqlstateOf(error) === foreignKeyViolation)
      const isStuck = !this.#isWhole || orphans.length === 0 || orphans.length === waiting.length
      for (const each of refused) if (isStuck || !orphans.includes(each)) this.#encoder.refuse(each.row, each.ordinal, each.error)
      if (isStuck) return
      waiting = orphans
    }
  }
}

/** Copies a unit to its end. Throws what stops it; what was committed by then stays and is gone on from. */
export const copyUnit = (database: Database, client: pg.Client, unit: CopyUnit, options: CopyUnitOptions): Promise<void> =>
  new UnitCopier(database, client, unit, options).run()
