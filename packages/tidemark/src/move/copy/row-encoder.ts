/** Encodes the rows of one table for COPY, and keeps what became of values that could not be carried as they are. */
import type { Database } from 'better-sqlite3'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { type ColumnPlan, type Reject, type RowKey, standInForNull, type TablePlan } from '../move.js'
import { largeColumns, quoteSqlite, type Row, RowSource } from '../row-source.js'
import { quoteIdentifier } from '../translate/identifiers.js'
import { CopyWriter } from './copy-writer.js'
import type { CellAccess, Encode, SqliteValue } from './encode.js'
import { createEncoder } from './encoders.js'
import { parentGuard } from './parent-guard.js'
import type { MappedId } from './progress.js'

/** What the rows of a transaction left behind. */
export interface Leavings {
  readonly rejects: Reject[]
  readonly ids: MappedId[]
}

export class RowEncoder {
  readonly source: RowSource
  /** The columns that are written, generated ones apart. */
  readonly columns: readonly ColumnPlan[]
  /** The expressions of {@link columns}, and those of the foreign keys after them. */
  readonly expressions: readonly string[]
  readonly writer: CopyWriter
  readonly #table: TablePlan
  readonly #encoders: readonly Encode[]
  readonly #guard: ReturnType<typeof parentGuard>
  #leavings: Leavings = { rejects: [], ids: [] }
  #row: Row = []
  #column = 0
  #replaced: string | undefined

  /** `walk` is the key by which rows are read. */
  constructor(database: Database, table: TablePlan, walk: RowKey, initialBytes: number) {
    this.#table = table
    this.columns = table.columns.filter((column) => column.generatedSql === null)
    this.#guard = parentGuard(table)
    this.expressions = [...this.columns.map((column) => quoteSqlite(column.source)), ...this.#guard.expressions]
    this.source = new RowSource(database, { source: table.source, rowKey: walk }, this.expressions, largeColumns(this.columns))
    this.#encoders = this.columns.map((column) =>
      createEncoder(column, (namespace, legacyId, id) =>
        this.#leavings.ids.push({ namespace, legacyId, id: id.toString('hex') }),
      ),
    )
    this.writer = new CopyWriter(initialBytes)
  }

  /** Into the target table. */
  get copySql(): string {
    const { targetSchema, target } = this.#table
    const names = this.columns.map((column) => quoteIdentifier(column.target)).join(', ')
    return `COPY ${quoteIdentifier(targetSchema)}.${quoteIdentifier(target)} (${names}) FROM STDIN (FORMAT binary)`
  }

  get leavings(): Leavings {
    return this.#leavings
  }

  /** Begins a transaction: nothing is written, and nothing is left behind. */
  restart(): void {
    this.#leavings = { rejects: [], ids: [] }
    this.writer.rewind(0)
  }

  readonly #cell: CellAccess = {
    exact: () => this.source.exact(this.#row, this.#column),
    replaced: (reason) => {
      this.#replaced = reason
    },
  }

  /** Encodes one row; a value that cannot be carried leaves the row out, or becomes what its policy says. */
  encode(row: Row, ordinal: number): void {
    const start = this.writer.length
    const width = this.source.keyWidth
    const { rejects } = this.#leavings
    const before = rejects.length
    this.#row = row
    const orphan = this.#guard.reason(row, width + this.columns.length)
    if (orphan) {
      this.#reject(ordinal, orphan.column, orphan.reason, 'rowRejected')
      return
    }
    this.writer.fieldCount(this.columns.length)
    for (let i = 0; i < this.columns.length; i++) {
      const value = row[width + i] as SqliteValue | null
      this.#column = i
      const failure = value === null ? this.#encodeNull(i, ordinal) : this.#encoders[i]!(this.writer, value, this.#cell)
      if (failure !== undefined && !this.#replaceWithNull(i, ordinal, failure)) {
        // A row that is left out has no replaced values either.
        this.writer.rewind(start)
        rejects.length = before
        this.#replaced = undefined
        this.#reject(ordinal, this.columns[i]!.source, failure, 'rowRejected')
        return
      }
      if (this.#replaced !== undefined) this.#noteReplaced(ordinal, i)
    }
  }

  #encodeNull(i: number, ordinal: number): string | undefined {
    const { notNull, policies, source } = this.columns[i]!
    if (!notNull || policies.nullAs === null) {
      if (notNull) return 'NULL where the target refuses it'
      this.writer.nothing()
      return undefined
    }
    const value = standInForNull(this.columns[i]!)
    const raw = Buffer.from(policies.nullAs)
    const cell: CellAccess = { exact: () => ({ storage: 'text', value, raw }), replaced: this.#cell.replaced }
    const failure = this.#encoders[i]!(this.writer, value, cell)
    if (failure === undefined) this.#reject(ordinal, source, `NULL written as '${policies.nullAs}'`, 'valueReplaced')
    return failure
  }

  #replaceWithNull(i: number, ordinal: number, failure: string): boolean {
    const { policies, notNull, source } = this.columns[i]!
    const wanted = failure.includes('NUL byte')
      ? policies.nulBytes
      : failure.includes('UTF-8')
        ? policies.invalidUtf8
        : policies.badValue
    if (notNull || (wanted !== 'null' && policies.badValue !== 'null') || this.#row[this.source.keyWidth + i] === null)
      return false
    this.writer.nothing()
    this.#reject(ordinal, source, `${failure}; written as NULL`, 'valueReplaced')
    return true
  }

  #noteReplaced(ordinal: number, i: number): void {
    this.#reject(ordinal, this.columns[i]!.source, this.#replaced!, 'valueReplaced')
    this.#replaced = undefined
  }

  #reject(
    ordinal: number,
    column: string | null,
    reason: string,
    outcome: Reject['outcome'],
    row: Row = this.#row,
    sqlstate?: string,
  ): void {
    const at = this.columns.findIndex((candidate) => candidate.source === column)
    const bytes = at >= 0 && row[this.source.keyWidth + at] !== null ? this.source.exact(row, at).raw : null
    const key = this.describe(row, ordinal)
    const reject = { table: this.#table.source, key, column, reason, bytes, outcome }
    this.#leavings.rejects.push(sqlstate === undefined ? reject : { ...reject, sqlstate })
  }

  /** The row's key as people read it. */
  describe(row: Row, ordinal: number): string {
    return this.source.describe(row, this.#table.reportKey, ordinal)
  }

  /** Sets a row aside that Postgres itself refused; it has no replaced values then. */
  refuse(row: Row, ordinal: number, error: unknown): void {
    this.#dropReplaced(row, ordinal)
    const reason = `Postgres: ${describeRefusal(error)}`
    this.#reject(ordinal, columnOf(error, this.columns), reason, 'rowRejected', row, sqlstateOf(error))
  }

  #dropReplaced(row: Row, ordinal: number): void {
    const key = this.describe(row, ordinal)
    const { rejects } = this.#leavings
    for (let i = rejects.length - 1; i >= 0; i--) {
      if (rejects[i]!.outcome === 'valueReplaced' && rejects[i]!.key === key) rejects.splice(i, 1)
    }
  }
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
