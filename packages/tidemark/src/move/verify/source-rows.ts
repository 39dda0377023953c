/** Reads the file for verification, with readings of its own. */
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import { createRowCondition, type RowCondition } from '../../sqlite/capture/row-condition.js'
import type { RowKey, TablePlan } from '../move.js'
import type { Key } from '../row-keys.js'
import { largeColumns, quoteSqlite, type Row, RowSource } from '../row-source.js'
import { Checksum, hashRow, type RowHash, rowText } from './checksum.js'
import { type CellValue, createReader } from './source-canonical.js'
import { resolutionSql } from './target-canonical.js'

/** One row of the file, as it should be in Postgres. */
export interface ExpectedRow {
  readonly key: Key
  /** Canonical texts; undefined for a row that cannot be there. */
  texts: (string | null)[] | undefined
  readonly mapped: boolean
  readonly rejected: boolean
  /** The key as people read it; made when asked for. */
  readonly printedKey: () => string
}

/** A stretch of the file in sums. */
export interface SourceSummary {
  readonly sum: Checksum
  /** False where a row that was not rejected cannot be in Postgres. */
  readonly isPossible: boolean
  /** The key of its last row. */
  readonly last: Key | null
  /** True where the file ends with it. */
  readonly done: boolean
}

export class SourceRows {
  readonly #source: RowSource
  readonly #client: pg.Client
  readonly #table: TablePlan
  readonly #readers: readonly ReturnType<typeof createReader>[]
  readonly #resolutions: readonly { readonly index: number; readonly sql: string }[]
  readonly #rejected: ReadonlySet<string>
  readonly #copied: TablePlan['columns']
  readonly #database: Database
  readonly #walk: RowKey
  #condition: ((key: Key) => RowCondition) | undefined

  /** `walk` is the order in which rows are read; `rejected` the printed keys of the rows that the copy set aside. */
  constructor(database: Database, client: pg.Client, table: TablePlan, walk: RowKey, rejected: ReadonlySet<string>) {
    this.#database = database
    this.#walk = walk
    this.#client = client
    this.#table = table
    this.#rejected = rejected
    this.#copied = table.columns
    this.#readers = this.#copied.map(createReader)
    this.#resolutions = this.#copied.flatMap((column, index) => {
      const sql = resolutionSql(column)
      return sql === null ? [] : [{ index, sql }]
    })
    const names = [...this.#copied.map(({ source }) => source), ...table.reportKey].map(quoteSqlite)
    this.#source = new RowSource(database, { source: table.source, rowKey: walk }, names, largeColumns(this.#copied))
  }

  /**
   * The next rows after a key, at most `limit`, as sums: nothing of a row outlives it, unless Postgres has to be asked about it. `visit` gets
   * each row, with its hash where it should be in Postgres.
   */
  async summarize(
    after: Key | null,
    limit: number,
    visit: (row: ExpectedRow, hash: RowHash | null) => void,
  ): Promise<SourceSummary> {
    const sum = new Checksum()
    let [isPossible, done, last] = [true, true, after]
    const add = (row: ExpectedRow) => {
      const hash = row.texts && !row.rejected ? hashOf(row) : null
      visit(row, hash)
      last = row.key
      if (hash) sum.add(hash)
      else if (!row.rejected) isPossible = false
    }
    if (this.#resolutions.length > 0) {
      const read = await this.next(after, limit)
      for (const row of read.rows) add(row)
      return { sum, isPossible, last, done: read.done }
    }
    let rows = 0
    for (const row of this.#source.rows({ after, until: null })) {
      add(this.#expect(row, rows))
      if (++rows >= limit) {
        done = false
        break
      }
    }
    return { sum, isPossible, last, done }
  }

  /** The next rows after a key, at most `limit`. */
  async next(after: Key | null, limit: number): Promise<{ readonly rows: ExpectedRow[]; readonly done: boolean }> {
    const rows: ExpectedRow[] = []
    let done = true
    for (const row of this.#source.rows({ after, until: null })) {
      rows.push(this.#expect(row, rows.length))
      if (rows.length >= limit && this.#source.keyWidth > 0) {
        done = false
        break
      }
    }
    await this.#resolve(rows)
    return { rows, done }
  }

  /** The rows that have these keys (of the columns of the walk), in their order; undefined where there is none. */
  async at(keys: readonly Key[]): Promise<(ExpectedRow | undefined)[]> {
    if (this.#walk.kind !== 'columns') throw new RangeError('rows are looked up by columns')
    this.#condition ??= createRowCondition(this.#database, { name: this.#table.source, key: this.#walk })
    const rows: (ExpectedRow | undefined)[] = []
    for (const key of keys) {
      const { sql, values } = this.#condition(key)
      const [row] = this.#source.found(key, sql, values)
      rows.push(row && this.#expect(row, rows.length))
    }
    await this.#resolve(rows.filter((row) => row !== undefined))
    return rows
  }

  #expect(row: Row, ordinal: number): ExpectedRow {
    const { keyWidth } = this.#source
    const texts: (string | null)[] = []
    let mapped = false
    let isPossible = true
    for (let i = 0; i < this.#readers.length; i++) {
      const reading = this.#readers[i]!(row[keyWidth + i] as CellValue, () => this.#source.exact(row, i))
      if (reading.text === undefined) isPossible = false
      else texts.push(reading.text)
      mapped ||= reading.mapped
    }
    const names = this.#table.reportKey
    const print = () => this.#source.describe(row, names, ordinal)
    const rejected = this.#rejected.size > 0 && this.#rejected.has(print())
    return {
      key: keyWidth > 0 ? this.#source.keyOf(row) : [],
      texts: isPossible ? texts : undefined,
      mapped,
      rejected,
      printedKey: print,
    }
  }

  /** Lets Postgres read the texts that only it can bring into canonical form. */
  async #resolve(rows: readonly ExpectedRow[]): Promise<void> {
    for (const { index, sql } of this.#resolutions) {
      const present = rows.filter(({ texts, rejected }) => !rejected && typeof texts?.[index] === 'string')
      const { rows: resolved } = await this.#client.query<{ y: string }>(
        `SELECT ${sql} AS y FROM unnest($1::text[]) WITH ORDINALITY AS given(x, n) ORDER BY n`,
        [present.map(({ texts }) => texts![index])],
      )
      present.forEach(({ texts }, i) => {
        texts![index] = resolved[i]!.y
      })
    }
  }
}

/** The hash of a row that should be in Postgres. */
export const hashOf = ({ texts }: ExpectedRow): RowHash => hashRow(rowText(texts ?? []))
