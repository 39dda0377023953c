/** Walks the rows of one SQLite table in the order of its key, in short reads that can be broken off and taken up again. */
import type { Database, Statement } from 'better-sqlite3'
import { TidemarkError } from '../errors.js'
import type { StorageClass } from '../sqlite/sqlite.js'
import type { RowKey, TablePlan } from './move.js'
import { exactKeySql, type Key, type KeyValue, keyBinding, keyMark, printKey, RawText, readKey } from './row-keys.js'

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

/** A row as read: the key's values first, then the columns asked for; of a table without a key, the bytes of its texts last. */
export type Row = readonly KeyValue[]

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

/** A whole number that may have been rounded on its way through a double. */
const isUnsafe = (value: unknown): boolean => typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)

/** A text that may stand for bytes that are no UTF-8. */
const isDoubtful = (value: unknown): boolean => typeof value === 'string' && value.includes('\uFFFD')

/** Terms joined so that the tree they make stays shallow: SQLite allows a depth of 1000, and tables may have more columns. */
export const joinShallow = (terms: readonly string[], operator: string): string => {
  if (terms.length <= 2) return terms.join(` ${operator} `)
  const middle = terms.length >> 1
  return `(${joinShallow(terms.slice(0, middle), operator)}) ${operator} (${joinShallow(terms.slice(middle), operator)})`
}

/** A string's code points as UTF-8 is said to write them, surrogates without a partner too: what is no valid text stays none. */
const wideUtf8 = (text: string): Buffer => {
  if (!/\p{Surrogate}/u.test(text)) return Buffer.from(text)
  const bytesOf = (character: string): Buffer => {
    if (!/\p{Surrogate}/u.test(character)) return Buffer.from(character)
    const code = character.charCodeAt(0)
    return Buffer.of(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
  }
  return Buffer.concat(Array.from(text, bytesOf))
}

export class RowSource {
  readonly keyWidth: number
  readonly #database: Database
  readonly #table: string
  readonly #keys: readonly string[]
  readonly #columns: readonly string[]
  readonly #large: readonly string[]
  readonly #encoding: string
  readonly #statements = new Map<string, Statement>()
  /** True where whole numbers are read as bigint, so that none is rounded. */
  readonly #isExact: boolean
  readonly #hasTextKeys: boolean

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
    this.#encoding = String(database.pragma('encoding', { simple: true }))
    this.keyWidth = this.#keys.length
    this.#hasTextKeys = table.rowKey.kind === 'columns'
    // A rowid beyond 2^53 must not be rounded on its way through a double: it is where the next read begins.
    this.#isExact = table.rowKey.kind !== 'rowid' || this.#hasLargeRowids()
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

  #where({ after, until }: KeyRange): { readonly sql: string; readonly values: unknown[] } {
    const tuple = (parts: readonly string[]) => (parts.length === 1 ? parts[0]! : `(${parts.join(', ')})`)
    const bound = (operator: string, key: Key | null) =>
      key ? [`${tuple(this.#keys)} ${operator} ${tuple(key.map(keyMark))}`] : []
    const conditions = [...bound('>', after), ...bound('<=', until)]
    return {
      sql: conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '',
      values: [...(after ?? []), ...(until ?? [])].map(keyBinding),
    }
  }

  #select(columns: string, range: KeyRange): { readonly sql: string; readonly values: unknown[] } {
    const { sql, values } = this.#where(range)
    return { sql: `SELECT ${columns} FROM ${this.#table}${sql} ORDER BY ${this.#keys.join(', ')} LIMIT ?`, values }
  }

  /** How many of the next rows may be read at once, by the largest of them: `octet_length` looks at their heads only. */
  #batchRows(range: KeyRange): number {
    if (this.#large.length === 0) return rowsPerBatch
    const sizes = this.#large.map((column) => `coalesce(octet_length(${column}), 0)`)
    const { sql, values } = this.#select(`${joinShallow(sizes, '+')} AS bytes`, range)
    const [largest] = this.#prepare(`SELECT max(bytes) FROM (${sql})`, false).get(...values, rowsAhead) as [number | null]
    return Math.max(1, Math.min(rowsPerBatch, Math.floor(bytesPerBatch / Math.max(1, largest ?? 1))))
  }

  /**
   * The rows of a range in the order of the key, a few hundred at a time; each batch is a read of its own, so that no lock is held between
   * them. A table without any key gives its rows one by one, in one read.
   */
  *batches({ after, until }: KeyRange): Generator<readonly Row[]> {
    if (this.keyWidth === 0) return yield* this.#handleless()
    let from = after
    let [limit, sized] = [0, 0]
    for (;;) {
      if (sized < limit || limit === 0) {
        limit = this.#batchRows({ after: from, until })
        sized = rowsAhead
      }
      const rows = this.#read({ after: from, until }, limit)
      if (rows.length > 0) yield rows
      if (rows.length < limit) return
      sized -= rows.length
      from = this.keyOf(rows.at(-1)!)
    }
  }

  /** No index may be used: all who read such a table number its rows alike. */
  *#handleless(): Generator<readonly Row[]> {
    const bytes = this.#columns.map((column) => `CASE typeof(${column}) WHEN 'text' THEN CAST(${column} AS BLOB) END`)
    const sql = `SELECT ${[...this.#columns, ...bytes].join(', ') || 'NULL'} FROM ${this.#table} NOT INDEXED`
    for (const row of this.#prepare(sql, true).iterate()) yield [row as Row]
  }

  #read(range: KeyRange, limit: number): readonly Row[] {
    const { sql, values } = this.#select([...this.#keys, ...this.#columns].join(', '), range)
    const rows = this.#prepare(sql, this.#isExact).all(...values, limit) as KeyValue[][]
    return this.#hasTextKeys && rows.some((row) => this.#isKeyDoubtful(row)) ? this.#readRawKeys(range, limit) : rows
  }

  #isKeyDoubtful(row: Row): boolean {
    for (let i = 0; i < this.keyWidth; i++) {
      if (typeof row[i] === 'string' && (this.#encoding !== 'UTF-8' || isDoubtful(row[i]))) return true
    }
    return false
  }

  /** The same rows, with the bytes of their keys in place of texts that may not be what is in the file. */
  #readRawKeys(range: KeyRange, limit: number): readonly Row[] {
    const { sql, values } = this.#select([exactKeySql(this.#keys), ...this.#columns].join(', '), range)
    const rows = this.#prepare(sql, true).all(...values, limit) as KeyValue[][]
    const width = this.keyWidth * 2
    return rows.map((row) => [...readKey(row.slice(0, width)), ...row.slice(width)])
  }

  /** The rows of a range, one by one. */
  *rows(range: KeyRange): Generator<Row> {
    for (const batch of this.batches(range)) yield* batch
  }

  /** The rows for which a condition holds that only the row of a key meets; where the key holds a NULL, there may be several. */
  found(key: Key, where: string, values: readonly unknown[]): readonly Row[] {
    const sql = `SELECT ${this.#columns.join(', ') || 'NULL'} FROM ${this.#table} WHERE ${where}`
    const rows = this.#prepare(sql, true).all(...values) as KeyValue[][]
    return rows.map((row) => [...key, ...row])
  }

  /** A value of a key with nothing lost, as {@link exact} gives cells. */
  exactKey(value: KeyValue): ExactValue {
    return this.#exactly(value, null)
  }

  /** A key of which there is no row any more, as {@link describe} printed it. */
  print(names: readonly string[], key: Key): string {
    return printKey(
      names,
      key.map((value) => this.#plain(value)),
    )
  }

  /** The key of a row that {@link rows} gave. */
  keyOf(row: Row): Key {
    const key = row.slice(0, this.keyWidth)
    if (this.#isExact || !key.some(isUnsafe)) return key
    throw new TidemarkError('TM_MOVE_WORKER', { reason: 'a key beyond 2^53 appeared while the table was read' })
  }

  #again(row: Row, columns: string): readonly unknown[] | undefined {
    const key = this.keyOf(row)
    const marks = this.#keys.map((expression, i) => `${expression} IS ${keyMark(key[i]!)}`).join(' AND ')
    const sql = `SELECT ${columns} FROM ${this.#table} WHERE ${marks}`
    return this.#prepare(sql, true).get(...key.map(keyBinding)) as readonly unknown[] | undefined
  }

  /** Reads one cell of a row again, exactly. A row that is gone meanwhile, or has no key to find it by, is what it was when read. */
  exact(row: Row, column: number): ExactValue {
    const name = this.#columns[column]!
    const read = row[this.keyWidth + column] ?? null
    if (this.keyWidth === 0) return this.#exactly(read, row[this.#columns.length + column] as Buffer | null)
    const found = this.#again(row, `${name}, CASE typeof(${name}) WHEN 'text' THEN CAST(${name} AS BLOB) END`)
    return found ? this.#exactly(found[0] as KeyValue, found[1] as Buffer | null) : this.#exactly(read, null)
  }

  #exactly(value: KeyValue, bytes: Buffer | null): ExactValue {
    if (value instanceof RawText) return this.#exactly(this.#decode(value.bytes).toString(), value.bytes)
    if (value === null) return { storage: 'null', value, raw: Buffer.alloc(0) }
    if (Buffer.isBuffer(value)) return { storage: 'blob', value, raw: value }
    if (typeof value === 'string')
      return { storage: 'text', value, raw: bytes === null ? Buffer.from(value) : this.#decode(bytes) }
    return { storage: typeof value === 'bigint' ? 'integer' : 'real', value, raw: Buffer.from(String(value)) }
  }

  /** The bytes of a text as UTF-8, whatever the file's encoding. */
  #decode(bytes: Buffer): Buffer {
    if (this.#encoding === 'UTF-8') return bytes
    const little = this.#encoding === 'UTF-16be' ? Buffer.from(bytes).swap16() : bytes
    return wideUtf8(little.toString('utf16le'))
  }

  /** Other columns of a row, for reports: printed as `name=value, …`; no two rows of a table alike. `ordinal` counts from 0. */
  describe(row: Row, names: readonly string[], ordinal: number): string {
    const read = names.map((name) => this.#valueOf(row, quoteSqlite(name)))
    const isPlain = read.every((value) => value !== undefined && !isUnsafe(value) && !isDoubtful(value))
    if (isPlain && names.length > 0 && (this.keyWidth > 0 || !read.includes(null))) return printKey(names, read)
    if (this.keyWidth === 0) return `row ${ordinal + 1}`
    const found = this.#again(row, exactKeySql(names.length > 0 ? names.map(quoteSqlite) : this.#keys))
    return printKey(names, found ? readKey(found).map((value) => this.#plain(value)) : this.keyOf(row))
  }

  #valueOf(row: Row, expression: string): KeyValue | undefined {
    const column = this.#columns.indexOf(expression)
    if (column >= 0) return row[this.keyWidth + column]
    const key = this.#keys.indexOf(expression)
    return key >= 0 ? this.#plain(row[key]!) : undefined
  }

  /** A text as a string where its bytes make one. */
  #plain(value: KeyValue): KeyValue {
    if (!(value instanceof RawText)) return value
    const bytes = this.#decode(value.bytes)
    const text = bytes.toString()
    return Buffer.from(text).equals(bytes) ? text : value
  }
}

/** The columns whose values may be large, as {@link RowSource} takes them. */
export const largeColumns = (columns: TablePlan['columns']): readonly string[] =>
  columns.flatMap(({ source, conversion }) =>
    /^(?:text|anyText|bytes|anyBytes|json|jsonb)$/.test(conversion.kind) ? [quoteSqlite(source)] : [],
  )
