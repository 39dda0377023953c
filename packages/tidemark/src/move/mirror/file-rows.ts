/** The rows of one table of the file: found by what Postgres says of them, written, and named for the log. */

import type { LogKeyValue } from '../../sqlite/capture/capture.js'
import { appendLog } from '../../sqlite/capture/log.js'
import { bindLogValue, createRowCondition, type RowCondition } from '../../sqlite/capture/row-condition.js'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import { sqliteCodeOf } from '../../sqlite/sqlite-error.js'
import { quoteSqliteName } from '../../sqlite/tokenize.js'
import { isNarrowable } from '../invert/file-resolution.js'
import type { FileValue } from '../invert/invert.js'
import { exactKeySql, type Key, printKey, readKey } from '../row-keys.js'
import type { Texts } from './bind-relation.js'
import type { MirrorColumn, MirrorTable } from './mirror-table.js'
import type { Statements } from './statements.js'
import { hashValues, ValueIndex } from './value-index.js'

/** A row of the file under the hand. */
export interface FoundRow {
  readonly handle: Key
  /** Its key for the log; null where rows have none. */
  readonly logKey: Key | null
}

/** Why the file did not take a row or a value. */
export interface Refusal {
  /** `unique`: another row stands in the way, and may be gone by the end of the transaction. */
  readonly kind: 'unique' | 'other'
  readonly reason: string
}

/** Values to write, in the order of some columns; with what the file cannot hold quite as it is. */
export interface Values {
  readonly bound: readonly FileValue[]
  readonly notes: readonly ValueNote[]
}

export interface ValueNote {
  readonly column: MirrorColumn
  readonly target: string | null
  readonly reason: string
  /** True where the file's column has no finer form for it, so that it is as it should be. */
  readonly isNarrowed: boolean
}

const refusalOf = (error: unknown): Refusal | undefined => {
  const code = sqliteCodeOf(error)
  const reason = error instanceof Error ? error.message : String(error)
  if (code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY' || code === 'SQLITE_CONSTRAINT_ROWID')
    return { kind: 'unique', reason }
  // Our own fence is no rule of the file's.
  if (code === 'SQLITE_CONSTRAINT_TRIGGER' && reason.startsWith('tidemark:')) return undefined
  return code?.startsWith('SQLITE_CONSTRAINT') || code === 'SQLITE_MISMATCH' || code === 'SQLITE_TOOBIG'
    ? { kind: 'other', reason }
    : undefined
}

/** Entries that are written into the log at once. */
const logBatch = 256
const rowsPerRead = 512
/** Rows that look alike of which one is as good as another. */
const mostEquals = 20

export class FileRows {
  readonly table: MirrorTable
  readonly name: string
  readonly #db: SqliteDatabase
  readonly #statements: Statements
  readonly #handleOf: (values: Key) => RowCondition
  readonly #keyOf: ((values: Key) => RowCondition) | null
  readonly #handleSql: string
  readonly #logSql: string | null
  readonly #handleWidth: number
  readonly #isUtf8: boolean
  readonly #index: ValueIndex | undefined
  #log: (Key | null)[] = []
  #last: FoundRow | undefined

  constructor(db: SqliteDatabase, table: MirrorTable, statements: Statements) {
    this.table = table
    this.name = quoteSqliteName(table.file.name)
    this.#db = db
    this.#statements = statements
    this.#handleOf = createRowCondition(db, { name: table.file.name, key: table.handle })
    const columns = table.key.map(({ source }) => source)
    this.#keyOf = columns.length > 0 ? createRowCondition(db, { name: table.file.name, key: { kind: 'columns', columns } }) : null
    const handle = this.#keySql(table.handle)
    const log = this.#keySql(table.capture.key)
    this.#handleWidth = handle.length * 2
    this.#handleSql = exactKeySql(handle)
    this.#logSql = log.length === 0 ? null : exactKeySql(log)
    // Rows without a key keep their rowid whatever becomes of them, so that one finds them again.
    const isIndexed = table.key.length === 0 && table.handle.kind === 'rowid' && table.file.rowidAlias === null
    this.#index =
      isIndexed && table.handle.kind === 'rowid' ? new ValueIndex(db, table, table.handle.name, statements) : undefined
    this.#isUtf8 = db.pragma('encoding', { simple: true }) === 'UTF-8'
  }

  /** The row that was written last, as it is now. */
  get last(): FoundRow {
    return this.#last!
  }

  #keySql(key: MirrorTable['handle']): readonly string[] {
    if (key.kind === 'none') return []
    return key.kind === 'rowid' ? [quoteSqliteName(key.name)] : key.columns.map(quoteSqliteName)
  }

  get #found(): string {
    return this.#logSql === null ? this.#handleSql : `${this.#handleSql}, ${this.#logSql}`
  }

  #foundRow(values: readonly unknown[]): FoundRow {
    const handle = readKey(values.slice(0, this.#handleWidth))
    return { handle, logKey: this.#logSql === null ? null : readKey(values.slice(this.#handleWidth)) }
  }

  /** How many values {@link #found} gives. */
  #width(): number {
    return this.#handleWidth + this.#keySql(this.table.capture.key).length * 2
  }

  /** Postgres' texts as values of the file. */
  values(columns: readonly MirrorColumn[], texts: readonly (string | null)[]): Values {
    const notes: ValueNote[] = []
    const bound = columns.map((column, i) => {
      const target = texts[i] ?? null
      return this.table.inverter.value(column.target, target, (reason, kind) =>
        notes.push({ column, target, reason, isNarrowed: kind === 'narrowed' && isNarrowable(this.table.plan, column) }),
      )
    })
    return { bound, notes }
  }

  /** The rows of the file that have a key of Postgres: one as a rule, none, or several that look alike to Postgres. */
  byKey(texts: readonly (string | null)[]): readonly FoundRow[] {
    const { key } = this.table
    const exact = this.#keyOf!(this.values(key, texts).bound as LogKeyValue[] as Key)
    const rows = this.#statements.read(`SELECT ${this.#found} FROM ${this.name} WHERE ${exact.sql}`).all(...exact.values)
    if (rows.length > 0) return rows.map((row) => this.#foundRow(row))
    return key.every(({ isExact }) => isExact) ? [] : this.#alike(key, texts)
  }

  /** The rows of the file that read like these values in Postgres; those with an exact way back are looked up, the others read. */
  byValues(texts: Texts): readonly FoundRow[] {
    const indexed = this.#indexed(texts)
    if (indexed.length > 0) return indexed
    const known = this.table.columns.flatMap((column, i) => (texts[i] === undefined ? [] : [{ column, text: texts[i]! }]))
    return this.#alike(
      known.map(({ column }) => column),
      known.map(({ text }) => text),
    )
  }

  #indexed(texts: Texts): readonly FoundRow[] {
    if (!this.#index || texts.includes(undefined)) return []
    const { columns } = this.table
    const whole = texts as readonly (string | null)[]
    const exact = columns.flatMap((column, i) => (column.isExact ? [{ column, text: whole[i]! }] : []))
    const { bound } = this.values(
      exact.map(({ column }) => column),
      exact.map(({ text }) => text),
    )
    const found = this.#index.find(hashValues(bound), mostEquals).map(
      (rowid): FoundRow => ({
        handle: [rowid],
        logKey: this.table.capture.key.kind === 'rowid' ? [rowid] : null,
      }),
    )
    return found.filter((row) => this.differing(row, columns, whole).length === 0)
  }

  #alike(columns: readonly MirrorColumn[], texts: readonly (string | null)[]): readonly FoundRow[] {
    const { bound } = this.values(columns, texts)
    const exact = columns.flatMap(({ isExact, source }, i) => (isExact ? [{ source, value: bound[i]! }] : []))
    const doubtful = columns.flatMap((column, i) => (column.isExact ? [] : [{ column, text: texts[i] ?? null }]))
    const names = doubtful.map(({ column }) => quoteSqliteName(column.source))
    const read = names.flatMap((name) => [name, `CASE typeof(${name}) WHEN 'text' THEN CAST(${name} AS BLOB) END`])
    const where = exact.map(({ source }) => `${quoteSqliteName(source)} IS ? COLLATE BINARY`).join(' AND ') || '1'
    const sql = `SELECT ${[this.#found, ...read].join(', ')} FROM ${this.name} WHERE ${where}`
    const width = this.#width()
    const rows: FoundRow[] = []
    for (const row of this.#statements.read(sql).iterate(...exact.map(({ value }) => value))) {
      const cells = row.slice(width) as FileValue[]
      const isAlike = doubtful.every(({ column, text }, i) =>
        column.isSame(cells[i * 2]!, () => this.#rawOf(cells[i * 2]!, cells[i * 2 + 1]!), text),
      )
      if (!isAlike) continue
      rows.push(this.#foundRow(row))
      // Equals of a table without a key are as good as each other, and there may be many.
      if (this.table.key.length === 0 && rows.length >= 2) break
    }
    return rows
  }

  /** The bytes of a text as UTF-8. */
  #rawOf(value: FileValue, bytes: FileValue): Buffer {
    if (Buffer.isBuffer(value)) return value
    return this.#isUtf8 && Buffer.isBuffer(bytes) ? bytes : Buffer.from(String(value))
  }

  /** Which of these columns of a row do not read like the texts. */
  differing(row: FoundRow, columns: readonly MirrorColumn[], texts: readonly (string | null)[]): readonly number[] {
    if (columns.length === 0) return []
    const names = columns.map(({ source }) => quoteSqliteName(source))
    const read = names.flatMap((name) => [name, `CASE typeof(${name}) WHEN 'text' THEN CAST(${name} AS BLOB) END`])
    const where = this.#handleOf(row.handle)
    const cells = this.#statements.read(`SELECT ${read.join(', ')} FROM ${this.name} WHERE ${where.sql}`).get(...where.values) as
      | FileValue[]
      | undefined
    if (!cells) return columns.map((_, i) => i)
    return columns.flatMap((column, i) =>
      column.isSame(cells[i * 2]!, () => this.#rawOf(cells[i * 2]!, cells[i * 2 + 1]!), texts[i] ?? null) ? [] : [i],
    )
  }

  /** The key of a row as reports print it. */
  print(row: FoundRow): string {
    const names = this.table.plan.reportKey
    if (names.length === 0) return printKey([], row.handle)
    const where = this.#handleOf(row.handle)
    const values = this.#statements
      .read(`SELECT ${names.map(quoteSqliteName).join(', ')} FROM ${this.name} WHERE ${where.sql}`)
      .get(...where.values)
    return printKey(names, values ?? row.handle)
  }

  /** Inserts a row; `undefined` where it went well. */
  insert(columns: readonly MirrorColumn[], bound: readonly FileValue[]): Refusal | undefined {
    const names = columns.map(({ source }) => quoteSqliteName(source)).join(', ')
    const marks = columns.map(() => '?').join(', ')
    const sql = `INSERT OR ABORT INTO ${this.name} (${names}) VALUES (${marks}) RETURNING ${this.#found}`
    return this.attempt(() => {
      this.written(this.#statements.read(sql).get(...bound))
    })
  }

  /** Takes note of a row that RETURNING named. */
  written(values: readonly unknown[] | undefined): void {
    if (!values) return
    this.#last = this.#foundRow(values)
    this.log(this.#last.logKey)
    this.#index?.put(this.#last.handle[0] as bigint)
  }

  /** Removes every row that the filter allows. */
  deleteAll(mayGo: (row: FoundRow) => boolean): void {
    for (let kept = 0; ; ) {
      const rows = this.#statements.read(`SELECT ${this.#found} FROM ${this.name} LIMIT ? OFFSET ?`).all(rowsPerRead, kept)
      for (const row of rows.map((values) => this.#foundRow(values))) {
        if (mayGo(row)) this.delete(row)
        else kept += 1
      }
      if (rows.length < rowsPerRead) return
    }
  }

  /** Changes columns of a row; on success its key before and after are in the log. */
  update(row: FoundRow, columns: readonly MirrorColumn[], bound: readonly FileValue[]): Refusal | undefined {
    if (columns.length === 0) return undefined
    const set = columns.map(({ source }) => `${quoteSqliteName(source)} = ?`).join(', ')
    return this.updateBy(row, set, bound)
  }

  /** As {@link update}, with the assignments as SQL. */
  updateBy(row: FoundRow, set: string, bound: readonly unknown[]): Refusal | undefined {
    const where = this.#handleOf(row.handle)
    const sql = `UPDATE OR ABORT ${this.name} SET ${set} WHERE ${where.sql} RETURNING ${this.#found}`
    let refusal: Refusal | undefined
    this.alone(row, () => {
      refusal = this.attempt(() => {
        const [changed] = this.#statements.read(sql).all(...bound, ...where.values)
        this.#last = changed ? this.#foundRow(changed) : row
        this.#index?.put(this.#last.handle[0] as bigint)
        const after = this.#last.logKey
        this.log(row.logKey)
        if (after && row.logKey && !isSameKey(after, row.logKey)) this.log(after)
      })
    })
    return refusal
  }

  delete(row: FoundRow): void {
    const where = this.#handleOf(row.handle)
    this.alone(row, () => this.#statements.run(`DELETE FROM ${this.name} WHERE ${where.sql}`, where.values))
    this.log(row.logKey)
    this.#index?.remove(row.handle[0] as bigint)
  }

  /** Does something to one row only, where others may be exactly like it: they are taken aside meanwhile. */
  alone(row: FoundRow, work: () => void): void {
    const { hasUniqueHandle, handle } = this.table
    if (hasUniqueHandle || handle.kind !== 'columns') {
      work()
      return
    }
    const where = this.#handleOf(row.handle)
    const [count] = this.#statements.read(`SELECT count(*) FROM ${this.name} WHERE ${where.sql}`).get(...where.values) ?? [0n]
    if (count === 1n) {
      work()
      return
    }
    const names = this.table.file.columns
      .filter(({ generated }) => generated === null)
      .map(({ name }) => quoteSqliteName(name))
      .join(', ')
    this.#db
      .prepare(`CREATE TEMP TABLE _tidemark_equals AS SELECT ${names} FROM ${this.name} WHERE ${where.sql}`)
      .run(...where.values)
    const insert = `INSERT INTO ${this.name} (${names}) SELECT ${names} FROM temp._tidemark_equals`
    this.#db.prepare(`DELETE FROM ${this.name} WHERE ${where.sql}`).run(...where.values)
    this.#db.prepare(`${insert} LIMIT 1`).run()
    work()
    this.#db.prepare(`${insert} LIMIT -1 OFFSET 1`).run()
    this.#db.exec('DROP TABLE temp._tidemark_equals')
  }

  /** Names a row in the log, so that it gets compared. */
  log(key: Key | null): void {
    // A table without keys is named once: the entry says that it changed.
    if (key === null && this.#log.length > 0) return
    this.#log.push(key)
    if (this.#log.length >= logBatch) this.writeLog()
  }

  /** To be called before the transaction of the file ends. */
  writeLog(): void {
    if (this.#log.length === 0) return
    appendLog(this.#db, this.table.capture, this.#log)
    this.#log = []
  }

  /** The transaction was rolled back. */
  forget(): void {
    this.#log = []
    this.#index?.forget()
  }

  condition(row: FoundRow): RowCondition {
    return this.#handleOf(row.handle)
  }

  foundSql(): string {
    return this.#found
  }

  /** Does something that the file may refuse. A statement that is refused leaves no trace. */
  attempt(work: () => void): Refusal | undefined {
    try {
      work()
      return undefined
    } catch (error) {
      const refusal = refusalOf(error)
      if (refusal) return refusal
      throw error
    }
  }
}

const partText = (part: Key[number]): string => {
  const bound = bindLogValue(part)
  return Buffer.isBuffer(bound) ? `${part === bound ? 'b' : 't'}${bound.toString('hex')}` : `${typeof bound} ${String(bound)}`
}

const isSameKey = (a: Key, b: Key): boolean => a.length === b.length && a.every((part, i) => partText(part) === partText(b[i]!))
