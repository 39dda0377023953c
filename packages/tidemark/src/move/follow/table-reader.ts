/** Collects what a stretch of the log means for one table: the keys it names, and the rows they have now, encoded for COPY. */
import type { Database } from 'better-sqlite3'
import { createRowCondition, type RowCondition } from '../../sqlite/capture/row-condition.js'
import type { EncodedRow } from '../copy/copy-rows.js'
import { CopyWriter } from '../copy/copy-writer.js'
import type { Encode, SqliteValue } from '../copy/encode.js'
import { createEncoder } from '../copy/encoders.js'
import { type Leavings, RowEncoder } from '../copy/row-encoder.js'
import { isPlainKeyValue, keyColumnsOf, logKeyOf } from '../log-key.js'
import type { ColumnPlan, TablePlan } from '../move.js'
import { type Key, type KeyValue, packKey } from '../row-keys.js'
import type { Row } from '../row-source.js'

/** The changes of one table. */
export interface TableChanges {
  readonly table: TablePlan
  readonly keyColumns: readonly ColumnPlan[]
  /** Each key once, in the order of the log. */
  readonly keys: readonly Key[]
  /** The same as people read them, by which rejects are known. */
  readonly printed: readonly string[]
  /** For COPY: the keys as the target holds them; those that it cannot hold are not among them. */
  readonly keyRows: readonly EncodedRow[]
  /** For COPY into {@link copySql}: the rows that stand in the file under these keys. */
  readonly rows: readonly EncodedRow[]
  readonly copySql: string
  readonly leavings: Leavings
  /** Sets a row aside that Postgres refused. */
  refuse(row: EncodedRow, error: unknown): void
  /** The key of a row of {@link rows}. */
  keyOf(row: EncodedRow): Key
}

const initialBytes = 16 * 1024

/** The same for the same key, and for no other. */
const nameOf = (key: Key): string => {
  const [only] = key
  if (key.length === 1 && typeof only === 'bigint') return String(only)
  return JSON.stringify(packKey(key))
}

export class TableReader {
  readonly table: TablePlan
  readonly keyColumns: readonly ColumnPlan[]
  readonly #encoder: RowEncoder
  readonly #condition: (key: Key) => RowCondition
  readonly #keyEncoders: readonly Encode[]
  readonly #keyWriter = new CopyWriter(1024)
  /** Where each column of the report's key stands in a key of the log. */
  readonly #reportPlaces: readonly number[]
  #seen = new Set<string>()
  #keys: Key[] = []
  #printed: string[] = []
  #keyRows: EncodedRow[] = []
  #rows: EncodedRow[] = []
  #bytes = 0

  constructor(database: Database, table: TablePlan) {
    const key = logKeyOf(table)
    this.table = table
    this.keyColumns = keyColumnsOf(table)
    const names = this.keyColumns.map(({ source }) => source)
    // Not as a rowid: a RowSource reads a rowid as a double where none was beyond 2^53 when it was made, and this one lives long.
    this.#encoder = new RowEncoder(database, table, { kind: 'columns', columns: names }, initialBytes)
    this.#condition = createRowCondition(database, { name: table.source, key })
    this.#keyEncoders = this.keyColumns.map((column) => createEncoder(column, () => undefined))
    this.#reportPlaces = table.reportKey.map((name) => names.indexOf(name))
  }

  /** Forgets what was collected, where a read has to be done again. */
  restart(): void {
    this.#encoder.restart()
    this.#seen = new Set()
    this.#keys = []
    this.#printed = []
    this.#keyRows = []
    this.#rows = []
    this.#bytes = 0
  }

  /** True for keys by which the target's row can be told from every other. */
  isPlain(key: Key): boolean {
    const { source } = this.#encoder
    return this.keyColumns.every((column, i) => isPlainKeyValue(column, source.exactKey(key[i] ?? null).value))
  }

  /** Reads the row of a key, unless it was read already; answers with the bytes that are to be sent for it. */
  add(key: Key): number {
    const name = nameOf(key)
    if (this.#seen.has(name)) return 0
    this.#seen.add(name)
    const before = this.#bytes
    const { source } = this.#encoder
    const ordinal = this.#keys.length
    this.#keys.push(key)
    const reported = this.#reportPlaces.map((place) => key[place] ?? null)
    this.#printed.push(source.print(this.table.reportKey, reported))
    this.#addKey(key, ordinal)
    const { sql, values } = this.#condition(key)
    for (const row of source.found(key, sql, values)) this.#addRow(row, ordinal)
    return this.#bytes - before + 64
  }

  #addKey(key: Key, ordinal: number): void {
    const writer = this.#keyWriter
    writer.rewind(0)
    writer.fieldCount(this.keyColumns.length)
    for (let i = 0; i < this.keyColumns.length; i++) if (!this.#encodeKey(i, key[i] ?? null)) return
    const bytes = writer.slice(0, writer.length)
    this.#keyRows.push({ row: key, ordinal, bytes })
    this.#bytes += bytes.length
  }

  /** False where the target cannot hold the value, so that no row of it can have that key. */
  #encodeKey(i: number, value: KeyValue): boolean {
    const cell = this.#encoder.source.exactKey(value)
    if (cell.value === null) return false
    const failure = this.#keyEncoders[i]!(this.#keyWriter, cell.value as SqliteValue, {
      exact: () => cell,
      replaced: () => undefined,
    })
    return failure === undefined
  }

  #addRow(row: Row, ordinal: number): void {
    const { writer } = this.#encoder
    writer.rewind(0)
    this.#encoder.encode(row, ordinal)
    if (writer.length === 0) return
    const bytes = writer.slice(0, writer.length)
    this.#rows.push({ row, ordinal, bytes })
    this.#bytes += bytes.length
  }

  /** What was collected. It is the caller's until {@link restart}. */
  get changes(): TableChanges {
    const encoder = this.#encoder
    return {
      table: this.table,
      keyColumns: this.keyColumns,
      keys: this.#keys,
      printed: this.#printed,
      keyRows: this.#keyRows,
      rows: this.#rows,
      copySql: encoder.copySql,
      leavings: encoder.leavings,
      refuse: ({ row, ordinal }, error) => encoder.refuse(row, ordinal, error),
      keyOf: ({ ordinal }) => this.#keys[ordinal]!,
    }
  }
}
