/** Copies one part of one table: read, encode, COPY and note how far it came, in one Postgres transaction at a time. */
import { once } from 'node:events'
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import { type CopyStreamQuery, from as copyFrom } from 'pg-copy-streams'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { type ColumnPlan, type Reject, refersToItself, standInForNull, type TablePlan } from '../move.js'
import { type Key, type Packed, unpackKey } from '../row-keys.js'
import { largeColumns, quoteSqlite, type Row, RowSource } from '../row-source.js'
import { quoteIdentifier } from '../translate/identifiers.js'
import { CopyWriter, copyHeader, copyTrailer } from './copy-writer.js'
import { type CellAccess, createEncoder, type Encode, type SqliteValue } from './encoders.js'
import { parentGuard } from './parent-guard.js'
import { parentsFirst, type SelfReference, selfReferences } from './parents-first.js'
import { type MappedId, type Progress, recordProgress } from './progress.js'

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

/** SQLSTATE classes that speak of the row's own values: data, constraints, limits. Anything else ends the copy. */
const dataErrors = /^(?:22|23|44|54)/

/** Where the copy stands after a transaction. */
interface Step {
  readonly after: Key | null
  readonly done: boolean
}

/** A row on its way to Postgres. */
interface EncodedRow {
  readonly row: Row
  readonly bytes: Buffer
  /** Counted from the beginning of the transaction. */
  readonly ordinal: number
}

/** Rows that a careful copy holds in memory at a time. */
const carefulRows = 2000

interface Pending {
  readonly rejects: Reject[]
  readonly ids: MappedId[]
}

class UnitCopier {
  readonly #client: pg.Client
  readonly #unit: CopyUnit
  readonly #options: CopyUnitOptions
  readonly #source: RowSource
  readonly #columns: readonly ColumnPlan[]
  readonly #encoders: readonly Encode[]
  readonly #guard: ReturnType<typeof parentGuard>
  readonly #copySql: string
  readonly #reportNames: readonly string[]
  readonly #until: Key | null
  /** True where the table is copied in one transaction. */
  readonly #isWhole: boolean
  readonly #references: readonly SelfReference[]
  #writer: CopyWriter
  #batches: Generator<readonly Row[]> | undefined
  #pending: Pending = { rejects: [], ids: [] }
  #row: Row = []
  #column = 0
  #replaced: string | undefined

  constructor(database: Database, client: pg.Client, unit: CopyUnit, options: CopyUnitOptions) {
    const { table } = unit
    this.#client = client
    this.#unit = unit
    this.#options = options
    this.#columns = table.columns.filter((column) => column.generatedSql === null)
    this.#guard = parentGuard(table)
    const expressions = [...this.#columns.map((column) => quoteSqlite(column.source)), ...this.#guard.expressions]
    this.#source = new RowSource(database, table, expressions, largeColumns(this.#columns))
    this.#encoders = this.#columns.map((column) =>
      createEncoder(column, (namespace, legacyId, id) => this.#pending.ids.push({ namespace, legacyId, id: id.toString('hex') })),
    )
    const names = this.#columns.map((column) => quoteIdentifier(column.target)).join(', ')
    this.#copySql = `COPY ${quoteIdentifier(table.targetSchema)}.${quoteIdentifier(table.target)} (${names}) FROM STDIN (FORMAT binary)`
    this.#reportNames = table.reportKey
    this.#until = unpackKey(unit.until)
    this.#references = selfReferences(table, expressions)
    this.#isWhole = this.#source.keyWidth === 0 || refersToItself(table)
    this.#writer = new CopyWriter(options.blockBytes + 65_536)
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
    this.#pending = { rejects: [], ids: [] }
    this.#writer.rewind(0)
    try {
      return await this.#copyOnce(after)
    } catch (error) {
      this.#batches = undefined
      if (!dataErrors.test(sqlstateOf(error) ?? '')) throw error
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
    let [after, rows, bytes, done, sent] = [from, 0, 0, false, 0]
    stream.write(copyHeader)
    while (!done && bytes < limit) {
      signal.throwIfAborted()
      const next = batches.next()
      done = next.done === true
      const batch = next.done ? [] : next.value
      for (const row of batch) this.#encode(row, rows++)
      if (batch.length > 0 && this.#source.keyWidth > 0) after = this.#source.keyOf(batch.at(-1)!)
      if (this.#writer.length < blockBytes && !done) continue
      const block = this.#writer.take(blockBytes + 65_536)
      bytes += block.length
      if (block.length > 0 && !stream.write(block)) await once(stream, 'drain')
      this.#options.onProgress(rows - sent, block.length)
      sent = rows
    }
    stream.end(copyTrailer)
    await once(stream, 'finish')
    return { after, rows, done }
  }

  readonly #cell: CellAccess = {
    exact: () => this.#source.exact(this.#row, this.#column),
    replaced: (reason) => {
      this.#replaced = reason
    },
  }

  /** Encodes one row; a value that cannot be carried leaves the row out, or becomes what its policy says. */
  #encode(row: Row, ordinal: number): void {
    const start = this.#writer.length
    const width = this.#source.keyWidth
    const { rejects } = this.#pending
    const before = rejects.length
    this.#row = row
    const orphan = this.#guard.reason(row, width + this.#columns.length)
    if (orphan) {
      this.#reject(ordinal, orphan.column, orphan.reason, 'rowRejected')
      return
    }
    this.#writer.fieldCount(this.#columns.length)
    for (let i = 0; i < this.#columns.length; i++) {
      const value = row[width + i] as SqliteValue | null
      this.#column = i
      const failure = value === null ? this.#encodeNull(i, ordinal) : this.#encoders[i]!(this.#writer, value, this.#cell)
      if (failure !== undefined && !this.#replaceWithNull(i, ordinal, failure)) {
        // A row that is left out has no replaced values either.
        this.#writer.rewind(start)
        rejects.length = before
        this.#replaced = undefined
        this.#reject(ordinal, this.#columns[i]!.source, failure, 'rowRejected')
        return
      }
      if (this.#replaced !== undefined) this.#noteReplaced(ordinal, i)
    }
  }

  #encodeNull(i: number, ordinal: number): string | undefined {
    const { notNull, policies, source } = this.#columns[i]!
    if (!notNull || policies.nullAs === null) {
      if (notNull) return 'NULL where the target refuses it'
      this.#writer.nothing()
      return undefined
    }
    const value = standInForNull(this.#columns[i]!)
    const raw = Buffer.from(policies.nullAs)
    const cell: CellAccess = { exact: () => ({ storage: 'text', value, raw }), replaced: this.#cell.replaced }
    const failure = this.#encoders[i]!(this.#writer, value, cell)
    if (failure === undefined) this.#reject(ordinal, source, `NULL written as '${policies.nullAs}'`, 'valueReplaced')
    return failure
  }

  #replaceWithNull(i: number, ordinal: number, failure: string): boolean {
    const { policies, notNull, source } = this.#columns[i]!
    const wanted = failure.includes('NUL byte')
      ? policies.nulBytes
      : failure.includes('UTF-8')
        ? policies.invalidUtf8
        : policies.badValue
    if (notNull || (wanted !== 'null' && policies.badValue !== 'null') || this.#row[this.#source.keyWidth + i] === null)
      return false
    this.#writer.nothing()
    this.#reject(ordinal, source, `${failure}; written as NULL`, 'valueReplaced')
    return true
  }

  #noteReplaced(ordinal: number, i: number): void {
    this.#reject(ordinal, this.#columns[i]!.source, this.#replaced!, 'valueReplaced')
    this.#replaced = undefined
  }

  #reject(ordinal: number, column: string | null, reason: string, outcome: Reject['outcome'], row: Row = this.#row): void {
    const at = this.#columns.findIndex((candidate) => candidate.source === column)
    const bytes = at >= 0 && row[this.#source.keyWidth + at] !== null ? this.#source.exact(row, at).raw : null
    const key = this.#source.describe(row, this.#reportNames, ordinal)
    this.#pending.rejects.push({ table: this.#unit.table.source, key, column, reason, bytes, outcome })
  }

  async #finish(from: Key | null, result: Progress & { done: boolean }): Promise<void> {
    const rejected = this.#pending.rejects.filter((reject) => reject.outcome === 'rowRejected').length
    await recordProgress(this.#client, this.#unit, {
      ...result,
      from,
      rows: result.rows - rejected,
      rejects: this.#pending.rejects,
      ids: this.#pending.ids,
    })
    await this.#client.query('COMMIT')
    for (const reject of this.#pending.rejects) this.#options.onReject(reject)
  }

  /** Copies the next rows so that those Postgres refuses are found and set aside, by halving. */
  async #copyCarefully(after: Key | null): Promise<Step> {
    this.#pending = { rejects: [], ids: [] }
    this.#writer.rewind(0)
    const encoded: EncodedRow[] = []
    let [rows, last, done, bytes] = [0, undefined as Row | undefined, true, 0]
    for (const row of this.#source.rows({ after, until: this.#until })) {
      this.#encode(row, rows)
      bytes += this.#writer.length
      if (this.#writer.length > 0) encoded.push({ row, ordinal: rows, bytes: this.#writer.slice(0, this.#writer.length) })
      this.#writer.rewind(0)
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
      const refused: (EncodedRow & { readonly error: unknown })[] = []
      await this.#halve(waiting, refused)
      const orphans = refused.filter(({ error }) => sqlstateOf(error) === foreignKeyViolation)
      const isStuck = !this.#isWhole || orphans.length === 0 || orphans.length === waiting.length
      for (const row of refused) if (isStuck || !orphans.includes(row)) this.#refuse(row)
      if (isStuck) return
      waiting = orphans
    }
  }

  #refuse({ row, ordinal, error }: EncodedRow & { readonly error: unknown }): void {
    this.#dropReplaced(row, ordinal)
    this.#reject(ordinal, columnOf(error, this.#columns), `Postgres: ${describeRefusal(error)}`, 'rowRejected', row)
  }

  async #halve(rows: readonly EncodedRow[], refused: (EncodedRow & { readonly error: unknown })[]): Promise<void> {
    if (rows.length === 0) return
    await this.#client.query('SAVEPOINT rows')
    try {
      const stream = this.#client.query(copyFrom(this.#copySql))
      const failed = rejection(stream)
      stream.write(copyHeader)
      for (const { bytes } of rows) stream.write(bytes)
      stream.end(copyTrailer)
      await Promise.race([once(stream, 'finish'), failed.promise])
      await this.#client.query('RELEASE SAVEPOINT rows')
      return
    } catch (error) {
      if (!dataErrors.test(sqlstateOf(error) ?? '')) throw error
      await this.#client.query('ROLLBACK TO SAVEPOINT rows; RELEASE SAVEPOINT rows')
      const [only] = rows
      if (rows.length === 1 && only) {
        refused.push({ ...only, error })
        return
      }
    }
    const middle = rows.length >> 1
    await this.#halve(rows.slice(0, middle), refused)
    await this.#halve(rows.slice(middle), refused)
  }

  #dropReplaced(row: Row, ordinal: number): void {
    const key = this.#source.describe(row, this.#reportNames, ordinal)
    const { rejects } = this.#pending
    for (let i = rejects.length - 1; i >= 0; i--) {
      if (rejects[i]!.outcome === 'valueReplaced' && rejects[i]!.key === key) rejects.splice(i, 1)
    }
  }
}

/** A promise that only ever rejects, when the stream does. */
const rejection = (stream: CopyStreamQuery): { readonly promise: Promise<never>; hasFailed(): boolean } => {
  let hasFailed = false
  const promise = new Promise<never>((_resolve, reject) => {
    stream.on('error', (error) => {
      hasFailed = true
      reject(error)
    })
  })
  promise.catch(() => undefined)
  return { promise, hasFailed: () => hasFailed }
}

interface Refusal {
  readonly message?: string
  readonly detail?: string
  readonly column?: string
}

const refusalOf = (error: unknown): Refusal => {
  const cause = (error as { cause?: unknown }).cause
  return ((cause as Refusal | undefined)?.message ? cause : error) as Refusal
}

const describeRefusal = (error: unknown): string => {
  const { message = 'refused', detail } = refusalOf(error)
  return detail ? `${message} (${detail})` : message
}

const columnOf = (error: unknown, columns: readonly ColumnPlan[]): string | null => {
  const { column } = refusalOf(error)
  return columns.find(({ target }) => target === column)?.source ?? null
}

/** Copies a unit to its end. Throws what stops it; what was committed by then stays and is gone on from. */
export const copyUnit = (database: Database, client: pg.Client, unit: CopyUnit, options: CopyUnitOptions): Promise<void> =>
  new UnitCopier(database, client, unit, options).run()
