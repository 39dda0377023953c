/** Looks at the values of a column one by one, for what storage classes cannot tell: formats, words, identifiers, damage. */
import type { Database } from 'better-sqlite3'
import type { SqliteColumn, SqliteTable } from '../../sqlite/sqlite.js'
import { MomentDetector, type MomentShape } from '../moments.js'
import { quoteSqlite, type Row, RowSource } from '../row-source.js'
import { rowKeyOf } from './row-key.js'

/** What only a look at each value tells. Plain data: it crosses threads. */
export interface CloseFacts {
  readonly moments: {
    /** The one way of writing that explains every text; undefined where there is none. */
    readonly shape: MomentShape | undefined
    /** Texts that are no date, time or moment. */
    readonly others: number
    /** True where every text is a date or a moment, in whatever mixture of formats. */
    readonly allMoments: boolean
  }
  /** Distinct texts, up to nine; more than eight means many. */
  readonly words: readonly string[]
  readonly uuids: { readonly dashed: number; readonly dashless: number; readonly upperCase: number }
  readonly jsons: number
  readonly nulBytes: Sample
  readonly badUtf8: Sample
}

/** How many rows, and the keys of the first few. */
export interface Sample {
  readonly count: number
  readonly keys: readonly string[]
}

const rowsPerRead = 20_000

const dateLike = /DATE|TIME/i

export const isDateLike = (column: SqliteColumn): boolean => dateLike.test(column.declaredType)

class Sampler {
  #count = 0
  readonly #keys: string[] = []

  see(key: () => string): void {
    this.#count++
    if (this.#keys.length < 5) this.#keys.push(key())
  }

  get sample(): Sample {
    return { count: this.#count, keys: this.#keys }
  }
}

const uuidPattern = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i
const dashlessPattern = /^[0-9a-f]{32}$/i

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Watches one column value by value. */
class CloseLook {
  readonly #column: SqliteColumn
  readonly #moments = new MomentDetector()
  readonly #words = new Set<string>()
  readonly #uuids = { dashed: 0, dashless: 0, upperCase: 0 }
  readonly #nulBytes = new Sampler()
  readonly #badUtf8 = new Sampler()
  readonly #isDate: boolean
  readonly #isJson: boolean
  readonly #isUuid: boolean
  readonly #isWord: boolean
  #jsons = 0

  constructor(column: SqliteColumn) {
    this.#column = column
    this.#isDate = isDateLike(column)
    this.#isJson = /JSON/i.test(column.declaredType)
    this.#isUuid = /UUID|GUID/i.test(column.declaredType)
    this.#isWord = /BOOL/i.test(column.declaredType)
  }

  text(value: string, key: () => string, isDamaged: () => boolean): void {
    if (this.#isDate) this.#moments.see(value)
    if (this.#isWord && this.#words.size < 9) this.#words.add(value)
    if (this.#isJson && isJson(value)) this.#jsons++
    if (this.#isUuid) this.#seeUuid(value)
    if (value.includes('\0')) this.#nulBytes.see(key)
    if (value.includes('\uFFFD') && isDamaged()) this.#badUtf8.see(key)
  }

  #seeUuid(value: string): void {
    if (uuidPattern.test(value)) this.#uuids.dashed++
    else if (dashlessPattern.test(value)) this.#uuids.dashless++
    if (/[A-F]/.test(value)) this.#uuids.upperCase++
  }

  number(value: number | bigint): void {
    if (this.#isWord && this.#words.size < 9) this.#words.add(String(value))
  }

  get facts(): CloseFacts {
    return {
      moments: { shape: this.#moments.shape, others: this.#moments.others, allMoments: this.#moments.allMoments },
      words: [...this.#words],
      uuids: this.#uuids,
      jsons: this.#jsons,
      nulBytes: this.#nulBytes.sample,
      badUtf8: this.#badUtf8.sample,
    }
  }

  get name(): string {
    return this.#column.name
  }
}

const isUtf8 = (bytes: Buffer): boolean =>
  !bytes.toString('utf8').includes('\uFFFD') || Buffer.from(bytes.toString('utf8')).equals(bytes)

/** Reads the columns that need it value by value, in short reads. */
export const lookClosely = (
  database: Database,
  table: SqliteTable,
  columns: readonly SqliteColumn[],
  reportKey: readonly string[],
  signal?: AbortSignal,
): ReadonlyMap<string, CloseFacts> => {
  const looks = columns.map((column) => new CloseLook(column))
  if (columns.length > 0) {
    const source = new RowSource(
      database,
      { source: table.name, rowKey: rowKeyOf(table) },
      columns.map((column) => quoteSqlite(column.name)),
    )
    const width = source.keyWidth
    let after: ReturnType<RowSource['keyOf']> | null = null
    for (let done = false; !done; ) {
      signal?.throwIfAborted()
      let rows = 0
      let last: Row | undefined
      done = true
      for (const row of source.rows({ after, until: null })) {
        for (let i = 0; i < looks.length; i++) {
          const value = row[width + i]
          if (typeof value === 'string')
            looks[i]!.text(
              value,
              () => source.describe(row, reportKey, rows),
              () => !isUtf8(source.exact(row, i).raw),
            )
          else if (typeof value === 'number' || typeof value === 'bigint') looks[i]!.number(value)
        }
        last = row
        if (++rows >= rowsPerRead && width > 0) {
          done = false
          break
        }
      }
      if (last && !done) after = source.keyOf(last)
    }
  }
  return new Map(looks.map((look) => [look.name, look.facts]))
}
