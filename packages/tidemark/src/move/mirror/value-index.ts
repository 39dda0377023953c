/**
 * Finds rows of a table without a key by their values: Postgres names such a row by all of them, and to read the whole table for each would
 * never end. A temporary table has a hash of each row, made when the first is looked for and kept while the mirror writes.
 */
import { createHash } from 'node:crypto'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import { quoteSqliteName } from '../../sqlite/tokenize.js'
import { plainDecimal } from '../copy/numeric-binary.js'
import type { FileValue } from '../invert/invert.js'
import type { MirrorTable } from './mirror-table.js'
import type { Statements } from './statements.js'

/** One text for equal values, whatever their class says about a number. */
const valueText = (value: FileValue): string => {
  if (value === null) return '~'
  if (Buffer.isBuffer(value)) return `b${value.toString('hex')}`
  return typeof value === 'string' ? `t${value}` : `n${plainDecimal(value)}`
}

/** The hash of some values in their order. */
export const hashValues = (values: readonly FileValue[]): string =>
  createHash('sha1')
    .update(JSON.stringify(values.map(valueText)))
    .digest('base64')

const rowsPerRead = 500

export class ValueIndex {
  readonly #statements: Statements
  readonly #index: string
  readonly #table: string
  readonly #rowid: string
  readonly #exact: string
  #isBuilt = false

  constructor(db: SqliteDatabase, { capture, file, columns }: MirrorTable, rowidName: string, statements: Statements) {
    this.#statements = statements
    this.#index = `temp._tidemark_values_${capture.id}`
    this.#table = quoteSqliteName(file.name)
    this.#rowid = quoteSqliteName(rowidName)
    const exact = columns.filter(({ isExact }) => isExact).map(({ source }) => quoteSqliteName(source))
    this.#exact = [this.#rowid, ...exact].join(', ')
    db.exec(
      `CREATE TEMP TABLE IF NOT EXISTS _tidemark_values_${capture.id} (r INTEGER PRIMARY KEY, h TEXT);
       CREATE INDEX IF NOT EXISTS temp._tidemark_values_hash_${capture.id} ON _tidemark_values_${capture.id} (h)`,
    )
  }

  /** Rowids of the rows whose exact columns have this hash, at most `most`. */
  find(hash: string, most: number): readonly bigint[] {
    this.#build()
    return this.#statements
      .read(`SELECT r FROM ${this.#index} WHERE h = ? LIMIT ?`)
      .all(hash, most)
      .map(([r]) => r as bigint)
  }

  /** The row is there, with new values or as a new one. */
  put(rowid: bigint): void {
    if (!this.#isBuilt) return
    const row = this.#statements.read(`SELECT ${this.#exact} FROM ${this.#table} WHERE ${this.#rowid} = ?`).get(rowid)
    if (row) this.#note(row)
  }

  remove(rowid: bigint): void {
    if (this.#isBuilt) this.#statements.run(`DELETE FROM ${this.#index} WHERE r = ?`, [rowid])
  }

  /** The transaction was rolled back; what was noted in it is gone. */
  forget(): void {
    this.#isBuilt = false
  }

  #note([rowid, ...values]: readonly unknown[]): void {
    this.#statements.run(`INSERT OR REPLACE INTO ${this.#index} (r, h) VALUES (?, ?)`, [rowid, hashValues(values as FileValue[])])
  }

  #build(): void {
    if (this.#isBuilt) return
    this.#isBuilt = true
    this.#statements.run(`DELETE FROM ${this.#index}`, [])
    const read = this.#statements.read(
      `SELECT ${this.#exact} FROM ${this.#table} WHERE ${this.#rowid} > ? ORDER BY 1 LIMIT ${rowsPerRead}`,
    )
    // No rowid is smaller than this, and the smallest itself would need a condition of its own.
    for (const row of this.#statements
      .read(`SELECT ${this.#exact} FROM ${this.#table} WHERE ${this.#rowid} = ?`)
      .all(-(2n ** 63n)))
      this.#note(row)
    for (let last = -(2n ** 63n); ; ) {
      const rows = read.all(last)
      for (const row of rows) this.#note(row)
      if (rows.length < rowsPerRead) return
      last = rows.at(-1)![0] as bigint
    }
  }
}
