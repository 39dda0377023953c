/** Walks the rows of one SQLite table in the order of its key, in short reads that can be broken off and taken up again. */
import type { Database, Statement } from 'better-sqlite3'
import { TidemarkError } from '../errors.js'
import type { StorageClass } from '../sqlite/sqlite.js'
import type { RowKey, TablePlan } from './move.js'

/** A key's values as SQLite gives them. */
export type KeyValue = bigint | number | string | Buffer | null
export type Key = readonly KeyValue[]

/** Rows after a key up to and including another; null is the beginning or the end. */
export interface KeyRange {
  readonly after: Key | null
  readonly until: Key | null
}

/** One cell read again with nothing lost. */
export interface ExactValue {
  readonly storage: StorageClass
  /** 64-bit integers as bigint. */
  readonly value: bigint | number | string | Buffer | null
  /** Text as the bytes in the file, numbers as their text. */
  readonly raw: Buffer
}

/** A row as read: the key's values first, then the columns asked for. */
export type Row = readonly (bigint | number | string | Buffer | null)[]

/** A name in SQLite's quotes. */
export const quoteSqlite = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** The expressions that make up the row's key. */
export const keyExpressions = (key: RowKey): readonly string[] => {
  if (key.kind === 'rowid') return [quoteSqlite(key.name)]
  return key.kind === 'columns' ? key.columns.map(quoteSqlite) : []
}

/** Rows read at once at most; SQLite's binding gives rows faster in small arrays than one by one. */
const rowsPerBatch = 256
const bytesPerBatch = 4 * 1024 * 1024
/** Rows whose sizes are looked at before they are read. */
const rowsAhead = 4096

const isUnsafe = (value: unknown): boolean => typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)

export class RowSource {
  readonly keyWidth: number
  readonly #database: Database
  readonly #table: string
  readonly #keys: readonly string[]
  readonly #columns: readonly string[]
  readonly #large: readonly string[]
  readonly #statements = new Map<string, Statement>()
  #exactKeys: boolean

  /**
   * `columns` are expressions; those of real columns can be read again by {@link exact}. `large` are those whose values may take much
   * memory, all where none are named: the size of a number is not worth asking for.
   */
  constructor(
    database: Database,
    table: Pick<TablePlan, 'source' | 'rowKey'>,
    columns: readonly string[],
    large: readonly string[] = columns,
  ) {
    this.#database = database
    this.#table = quoteSqlite(table.source)
    this.#keys = keyExpressions(table.rowKey)
    this.#columns = columns
    this.#large = large
    this.keyWidth = this.#keys.length
    // A rowid beyond 2^53 must not be rounded on its way through a double: it is where the next read begins.
    this.#exactKeys = table.rowKey.kind === 'columns' || (table.rowKey.kind === 'rowid' && this.#hasLargeRowids())
  }

  #hasLargeRowids(): boolean {
    const [key] = this.#keys
    // Apart: SQLite answers one of them from the end of the tree, but both together by reading every row.
    const bounds = ['min', 'max'].map((end) =>
      this.#database.prepare(`SELECT ${end}(${key}) FROM ${this.#table}`).safeIntegers(true).pluck().get(),
    )
    return bounds.some(
      (bound) => typeof bound === 'bigint' && (bound > Number.MAX_SAFE_INTEGER || bound < Number.MIN_SAFE_INTEGER),
    )
  }

  #prepare(sql: string, exact: boolean): Statement {
    const name = `${exact}${sql}`
    let statement = this.#statements.get(name)
    if (!statement) {
      statement = this.#database.prepare(sql).raw(true)
      if (exact) statement.safeIntegers(true)
      this.#statements.set(name, statement)
    }
    return statement
  }

  #where({ after, until }: KeyRange): { readonly sql: string; readonly values: KeyValue[] } {
    const row = this.keyWidth === 1 ? this.#keys[0]! : `(${this.#keys.join(', ')})`
    const marks = this.keyWidth === 1 ? '?' : `(${this.#keys.map(() => '?').join(', ')})`
    const conditions = [after && `${row} > ${marks}`, until && `${row} <= ${marks}`].filter(Boolean)
    return {
      sql: conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '',
      values: [...(after ?? []), ...(until ?? [])],
    }
  }

  #select(range: KeyRange, limited: boolean): { readonly sql: string; readonly values: KeyValue[] } {
    const { sql, values } = this.#where(range)
    const order = this.keyWidth > 0 ? ` ORDER BY ${this.#keys.join(', ')}` : ''
    const columns = [...this.#keys, ...this.#columns].join(', ') || 'NULL'
    return { sql: `SELECT ${columns} FROM ${this.#table}${sql}${order}${limited ? ' LIMIT ?' : ''}`, values }
  }

  /** How many of the next rows may be read at once, by the largest of them: `octet_length` looks at their heads only. */
  #batchRows(range: KeyRange): number {
    if (this.#large.length === 0) return rowsPerBatch
    const { sql, values } = this.#where(range)
    const bytes = this.#large.map((column) => `coalesce(octet_length(${column}), 0)`).join(' + ')
    const ahead = `SELECT ${bytes} AS bytes FROM ${this.#table}${sql} ORDER BY ${this.#keys.join(', ')} LIMIT ${rowsAhead}`
    const [largest] = this.#prepare(`SELECT max(bytes) FROM (${ahead})`, false).get(...values) as [number | null]
    return Math.max(1, Math.min(rowsPerBatch, Math.floor(bytesPerBatch / Math.max(1, largest ?? 1))))
  }

  /**
   * The rows of a range in the order of the key, a few hundred at a time; each batch is a read of its own, so that no lock is held between
   * them. A table without any key gives its rows one by one, in one read.
   */
  *batches({ after, until }: KeyRange): Generator<readonly Row[]> {
    if (this.keyWidth === 0) {
      for (const row of this.#prepare(this.#select({ after, until }, false).sql, this.#exactKeys).iterate()) yield [row as Row]
      return
    }
    let from = after
    let [limit, sized] = [0, 0]
    for (;;) {
      if (sized < limit || limit === 0) {
        limit = this.#batchRows({ after: from, until })
        sized = rowsAhead
      }
      const { sql, values } = this.#select({ after: from, until }, true)
      const rows = this.#prepare(sql, this.#exactKeys).all(...values, limit) as Row[]
      if (rows.length > 0) yield rows
      if (rows.length < limit) return
      sized -= rows.length
      from = this.keyOf(rows.at(-1)!)
    }
  }

  /** The rows of a range, one by one. */
  *rows(range: KeyRange): Generator<Row> {
    for (const batch of this.batches(range)) yield* batch
  }

  /** The key of a row that {@link rows} gave. */
  keyOf(row: Row): Key {
    const key = row.slice(0, this.keyWidth)
    if (key.some(isUnsafe)) {
      this.#exactKeys = true
      throw new TidemarkError('TM_MOVE_WORKER', { reason: 'a key beyond 2^53 appeared while the table was read' })
    }
    return key
  }

  /** Reads one cell of a row again, exactly. Where the table has no key, what was read is all there is. */
  exact(row: Row, column: number): ExactValue {
    const name = this.#columns[column]!
    if (this.keyWidth === 0) return this.#asRead(row[column] ?? null)
    const marks = this.#keys.map((key) => `${key} IS ?`).join(' AND ')
    const sql = `SELECT typeof(${name}), ${name}, CAST(${name} AS BLOB) FROM ${this.#table} WHERE ${marks}`
    const found = this.#prepare(sql, true).get(...this.keyOf(row)) as
      | [StorageClass, ExactValue['value'], Buffer | null]
      | undefined
    if (!found) throw new TidemarkError('TM_MOVE_WORKER', { reason: `a row of ${this.#table} vanished while it was read` })
    return { storage: found[0], value: found[1], raw: found[2] ?? Buffer.alloc(0) }
  }

  #asRead(value: Row[number]): ExactValue {
    const raw = Buffer.isBuffer(value) ? value : Buffer.from(String(value))
    if (typeof value === 'bigint') return { storage: 'integer', value, raw }
    if (typeof value === 'number') return { storage: Number.isInteger(value) ? 'integer' : 'real', value, raw }
    if (value === null) return { storage: 'null', value, raw: Buffer.alloc(0) }
    return { storage: typeof value === 'string' ? 'text' : 'blob', value, raw }
  }

  /** Other columns of a row, for reports: printed as `name=value, …`. */
  describe(row: Row, names: readonly string[], ordinal: number): string {
    if (this.keyWidth === 0) return `row ${ordinal}`
    const marks = this.#keys.map((key) => `${key} IS ?`).join(' AND ')
    const sql = `SELECT ${names.map(quoteSqlite).join(', ')} FROM ${this.#table} WHERE ${marks}`
    const found = this.#prepare(sql, true).get(...this.keyOf(row)) as Row | undefined
    return printKey(names, found ?? this.keyOf(row))
  }
}

/** The columns whose values may be large, as {@link RowSource} takes them. */
export const largeColumns = (columns: TablePlan['columns']): readonly string[] =>
  columns.flatMap(({ source, conversion }) =>
    /^(?:text|anyText|bytes|anyBytes|json|jsonb)$/.test(conversion.kind) ? [quoteSqlite(source)] : [],
  )

/** A key as people read it: `a=1, b=x`. Blobs as hex; the rowid under that name. */
export const printKey = (names: readonly string[], values: readonly unknown[]): string =>
  values
    .map((value, i) => `${names[i] ?? 'rowid'}=${Buffer.isBuffer(value) ? `x'${value.toString('hex')}'` : String(value)}`)
    .join(', ')

type Packed = readonly ['i' | 'r' | 't' | 'b' | 'n', string]

/** A key as JSON that keeps the storage class of every value, for the table of progress. */
export const packKey = (key: Key | null): readonly Packed[] | null =>
  key === null
    ? null
    : key.map((value): Packed => {
        if (value === null) return ['n', '']
        if (typeof value === 'bigint') return ['i', String(value)]
        if (typeof value === 'number') return [Number.isInteger(value) ? 'i' : 'r', String(value)]
        return typeof value === 'string' ? ['t', Buffer.from(value).toString('base64')] : ['b', value.toString('base64')]
      })

/** The key that {@link packKey} packed. */
export const unpackKey = (packed: readonly Packed[] | null): Key | null =>
  packed === null
    ? null
    : packed.map(([kind, text]): KeyValue => {
        if (kind === 'n') return null
        if (kind === 'i') return BigInt(text)
        if (kind === 'r') return Number(text)
        const bytes = Buffer.from(text, 'base64')
        return kind === 't' ? bytes.toString('utf8') : bytes
      })
