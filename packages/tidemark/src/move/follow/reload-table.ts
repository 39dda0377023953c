/** Copies a table anew, in one transaction: what the target held of it goes, what the file holds comes. */
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import { copyByHalves, copyRows, type EncodedRow, isDataError, type RefusedRow } from '../copy/copy-rows.js'
import { insertIds, insertRejects } from '../copy/progress.js'
import { RowEncoder } from '../copy/row-encoder.js'
import type { HeldRun } from '../live/live-run.js'
import type { Reject, TablePlan } from '../move.js'
import type { Row } from '../row-source.js'
import { qualifiedName } from '../translate/translate.js'
import { type FollowRecord, inLongFencedTransaction } from './fenced-transaction.js'

export interface ReloadOptions {
  /** Reads on its own, beside the log. */
  readonly database: Database
  readonly client: pg.Client
  readonly held: HeldRun
  readonly table: TablePlan
  readonly signal: AbortSignal
}

export interface Reload {
  readonly record: FollowRecord
  readonly rows: number
  readonly rejects: readonly Reject[]
}

/** Bytes sent at a time: all that is held in memory. */
const blockBytes = 2 * 1024 * 1024
const carefulRows = 2000

/** One pass over the table, within the transaction. */
class Pass {
  readonly #options: ReloadOptions
  readonly #encoder: RowEncoder
  readonly #isCareful: boolean
  readonly #rejects: Reject[] = []
  #encoded: EncodedRow[] = []
  #bytes = 0
  #rows = 0

  constructor(options: ReloadOptions, isCareful: boolean) {
    const { database, table } = options
    this.#options = options
    this.#isCareful = isCareful
    this.#encoder = new RowEncoder(database, table, table.rowKey, blockBytes)
  }

  async run(): Promise<Omit<Reload, 'record'>> {
    const { client, table, held, signal } = this.#options
    await client.query(`DELETE FROM ${qualifiedName({ schema: table.targetSchema, name: table.target })}`)
    await client.query('DELETE FROM tidemark.move_rejects WHERE run_id = $1 AND table_name = $2', [held.run.id, table.source])
    for (const batch of this.#encoder.source.batches({ after: null, until: null })) {
      signal.throwIfAborted()
      for (const row of batch) this.#add(row)
      if (this.#isFull) await this.#send()
    }
    await this.#send()
    return { rows: this.#rows, rejects: this.#rejects }
  }

  get #isFull(): boolean {
    return this.#encoded.length >= carefulRows || this.#bytes + this.#encoder.writer.length >= blockBytes
  }

  #add(row: Row): void {
    const { writer } = this.#encoder
    const ordinal = this.#rows++
    this.#encoder.encode(row, ordinal)
    if (!this.#isCareful || writer.length === 0) return
    this.#encoded.push({ row, ordinal, bytes: writer.slice(0, writer.length) })
    this.#bytes += writer.length
    writer.rewind(0)
  }

  async #send(): Promise<void> {
    const { client, held, table } = this.#options
    const encoder = this.#encoder
    if (this.#isCareful) await this.#sendCarefully()
    else if (encoder.writer.length > 0)
      await copyRows(client, encoder.copySql, [{ bytes: encoder.writer.slice(0, encoder.writer.length) }])
    const { rejects, ids } = encoder.leavings
    await insertRejects(client, { runId: held.run.id, table }, rejects)
    await insertIds(client, ids)
    this.#rejects.push(...rejects)
    encoder.restart()
  }

  async #sendCarefully(): Promise<void> {
    const refused: RefusedRow[] = []
    await copyByHalves(this.#options.client, this.#encoder.copySql, this.#encoded, refused)
    for (const { row, ordinal, error } of refused) this.#encoder.refuse(row, ordinal, error)
    this.#encoded = []
    this.#bytes = 0
  }
}

/**
 * Rows are read a few hundred at a time, each read on its own: what is changed in between stands in the log, and is brought over behind it. A
 * table without any handle is read in one go.
 */
export const reloadTable = async (options: ReloadOptions): Promise<Reload> => {
  const { client, held, table } = options
  const attempt = async (isCareful: boolean): Promise<Reload> => {
    const pass = new Pass(options, isCareful)
    const { record, result } = await inLongFencedTransaction(client, held, { settle: [table.source] }, () => pass.run())
    return { ...result, record }
  }
  try {
    return await attempt(false)
  } catch (error) {
    if (!isDataError(error)) throw error
    return attempt(true)
  }
}
