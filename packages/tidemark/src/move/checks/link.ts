/** By what a row of the file and its row in Postgres find each other. */
import { keyColumnsOf } from '../log-key.js'
import type { ColumnPlan, RowKey, TablePlan } from '../move.js'
import type { Key, KeyValue } from '../row-keys.js'
import { RawText } from '../row-keys.js'
import { type CellValue, createReader } from '../verify/source-canonical.js'
import { resolutionSql } from '../verify/target-canonical.js'

export interface Link {
  /** In the order of the log's key, which is that of the target's. */
  readonly columns: readonly ColumnPlan[]
  /** How the file is asked for one row. */
  readonly rowKey: RowKey
  /** True for whole-number keys that both sides walk in the same order. */
  readonly isOrdered: boolean
}

const isWhole = ({ conversion, targetType }: ColumnPlan): boolean =>
  conversion.kind === 'integer' && /^(?:bigint|integer|smallint)/.test(targetType)

/**
 * True where the file walks by the same columns: SQLite keeps NULL out of those keys alone, and `key > ?` would step over a NULL in any
 * other.
 */
const isWalkable = ({ rowKey }: TablePlan, names: readonly string[]): boolean => {
  if (rowKey.kind === 'rowid') return names.length === 1 && names[0] === rowKey.name
  return rowKey.kind === 'columns' && rowKey.columns.length === names.length && names.every((n) => rowKey.columns.includes(n))
}

/** None where rows cannot be told apart on both sides, or only Postgres can read the key's texts. */
export const linkOf = (table: TablePlan): Link | null => {
  const columns = keyColumnsOf(table)
  if (columns.length === 0 || columns.some((column) => resolutionSql(column) !== null)) return null
  const names = columns.map(({ source }) => source)
  return {
    columns,
    // Not as a rowid: a RowSource reads a rowid as a double where none was beyond 2^53 when it was made, and this one is long-lived.
    rowKey: { kind: 'columns', columns: names },
    isOrdered: columns.every(isWhole) && isWalkable(table, names),
  }
}

/**
 * The order in which the rows of the file are read, by columns that hold the link's too: where those have no order that is safe to walk, the
 * rowid (or the key of a WITHOUT ROWID table) stands before them.
 */
export const walkOf = ({ rowKey }: TablePlan, link: Link): readonly string[] => {
  const names = link.columns.map(({ source }) => source)
  if (link.isOrdered || rowKey.kind === 'none') return names
  return [...new Set([...(rowKey.kind === 'rowid' ? [rowKey.name] : rowKey.columns), ...names])]
}

/** True where {@link LinkReader.keyOf} is sure to give the file's own value. */
const isExact = ({ conversion, targetType, policies }: ColumnPlan): boolean => {
  switch (conversion.kind) {
    case 'integer':
      return isWhole({ conversion, targetType } as ColumnPlan)
    case 'text':
      return policies.invalidUtf8 === 'reject' && policies.nulBytes === 'reject'
    case 'real':
    case 'bytes':
    case 'date':
    case 'time':
      return true
    default:
      return false
  }
}

const sqliteValue = ({ conversion, targetType }: ColumnPlan, text: string): KeyValue => {
  const isDouble = /^(?:double|real)/.test(targetType)
  switch (conversion.kind) {
    case 'integer':
    case 'real':
    case 'numeric':
      if (isDouble) return Buffer.from(text, 'hex').readDoubleBE()
      return conversion.kind === 'integer' ? BigInt(text) : text
    case 'bytes':
    case 'anyBytes':
      return Buffer.from(text, 'hex')
    case 'boolean': {
      const [form = text] = text === 'true' ? conversion.truthy : conversion.falsy
      return /^-?\d+$/.test(form) ? BigInt(form) : form
    }
    default:
      return text
  }
}

/** Translates between keys of the file and the canonical texts by which both sides know a row. */
export class LinkReader {
  readonly #columns: readonly ColumnPlan[]
  readonly #readers: readonly ReturnType<typeof createReader>[]
  readonly #encoding: 'utf8' | 'utf16le' | 'utf16be'
  /** True where {@link keyOf} gives the file's own values. */
  readonly isExact: boolean

  constructor(link: Link, encoding: string) {
    this.#columns = link.columns
    this.#readers = link.columns.map(createReader)
    this.isExact = link.columns.every(isExact)
    this.#encoding = /16le/i.test(encoding) ? 'utf16le' : /16be/i.test(encoding) ? 'utf16be' : 'utf8'
  }

  #decode(bytes: Buffer): Buffer {
    if (this.#encoding === 'utf8') return bytes
    const little = this.#encoding === 'utf16be' ? Buffer.from(bytes).swap16() : bytes
    return Buffer.from(little.toString('utf16le'))
  }

  /** Undefined for a key that no row of Postgres can have. */
  textsOf(key: Key): readonly string[] | undefined {
    const texts: string[] = []
    for (const [i, value] of key.entries()) {
      const raw =
        value instanceof RawText ? this.#decode(value.bytes) : Buffer.from(Buffer.isBuffer(value) ? value : String(value))
      const cell = (value instanceof RawText ? raw.toString() : value) as CellValue
      const { text } = this.#readers[i]!(cell, () => ({ storage: '', value: cell, raw }))
      if (typeof text !== 'string') return undefined
      texts.push(text)
    }
    return texts
  }

  /** The key of the file that reads like that; a guess unless {@link isExact}. */
  keyOf(texts: readonly string[]): Key {
    return texts.map((text, i) => sqliteValue(this.#columns[i]!, text))
  }

  /** The canonical texts of the key within those of a row; undefined where a part of it is NULL, which no key of Postgres holds. */
  within(table: TablePlan, texts: readonly (string | null)[]): readonly string[] | undefined {
    const key = this.#columns.map((column) => texts[table.columns.indexOf(column)] ?? null)
    return key.every((text) => text !== null) ? key : undefined
  }

  /** A key as people read it, the same from either side. */
  print(texts: readonly string[]): string {
    return this.#columns.map(({ source }, i) => `${source}=${texts[i]}`).join(', ')
  }
}

/** One string for a row's canonical key; a canonical text holds no NUL. */
export const idOf = (texts: readonly string[]): string => texts.join('\0')
