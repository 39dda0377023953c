/** Keys of rows: as SQLite gives them, as people read them, and as they are kept between two runs. */
import { RawText } from '../sqlite/raw-text.js'

export { RawText }

/** A key's values as SQLite gives them. */
export type KeyValue = bigint | number | string | Buffer | RawText | null
export type Key = readonly KeyValue[]

/** Expressions that read a key with nothing lost; {@link readKey} understands their values. */
export const exactKeySql = (expressions: readonly string[]): string =>
  expressions.map((key) => `typeof(${key}), CASE typeof(${key}) WHEN 'text' THEN CAST(${key} AS BLOB) ELSE ${key} END`).join(', ')

/** RETURNING hands a whole number of a REAL column over as an integer. */
const ofClass = (storage: unknown, value: KeyValue): KeyValue => {
  if (storage === 'text') return new RawText(value as Buffer)
  return storage === 'real' ? Number(value) : value
}

/** The key that the values of {@link exactKeySql} are. */
export const readKey = (values: readonly unknown[]): Key =>
  Array.from({ length: values.length / 2 }, (_, i) => ofClass(values[i * 2], values[i * 2 + 1] as KeyValue))

/** The parameter that stands for a key's value in a statement. */
export const keyMark = (value: KeyValue): string => (value instanceof RawText ? 'CAST(? AS TEXT)' : '?')

/** A key's value as it is bound to {@link keyMark}. */
export const keyBinding = (value: KeyValue): Exclude<KeyValue, RawText> => (value instanceof RawText ? value.bytes : value)

const hex = (bytes: Buffer): string => `x'${bytes.toString('hex')}'`

/** A value as SQL would write it, so that no two keys look alike; text that no Postgres text can hold by its bytes. */
const printValue = (value: unknown): string => {
  if (value === null) return 'NULL'
  if (value instanceof RawText) return `text ${hex(value.bytes)}`
  if (Buffer.isBuffer(value)) return hex(value)
  if (typeof value !== 'string') return String(value)
  return value.includes('\0') ? `text ${hex(Buffer.from(value))}` : `'${value.replaceAll("'", "''")}'`
}

/** A key as people read it: `a=1, b='x'`. */
export const printKey = (names: readonly string[], values: readonly unknown[]): string =>
  values.map((value, i) => `${names[i] ?? 'rowid'}=${printValue(value)}`).join(', ')

/** A key's value as its kind and a text; plain data, for JSON and for threads. */
export type Packed = readonly ['i' | 'r' | 't' | 'b' | 'n', string]

const packValue = (value: KeyValue): Packed => {
  if (value === null) return ['n', '']
  if (typeof value === 'bigint') return ['i', String(value)]
  if (typeof value === 'number') return ['r', String(value)]
  if (typeof value === 'string') return ['t', Buffer.from(value).toString('base64')]
  return value instanceof RawText ? ['t', value.bytes.toString('base64')] : ['b', value.toString('base64')]
}

const unpackValue = ([kind, text]: Packed): KeyValue => {
  if (kind === 'n') return null
  if (kind === 'i') return BigInt(text)
  if (kind === 'r') return Number(text)
  const bytes = Buffer.from(text, 'base64')
  return kind === 't' ? new RawText(bytes) : bytes
}

/** A key as JSON that keeps the storage class of every value, for the table of progress. */
export const packKey = (key: Key | null): readonly Packed[] | null => (key === null ? null : key.map(packValue))

/** The key that {@link packKey} packed. Texts come back as their bytes, which every file understands. */
export const unpackKey = (packed: readonly Packed[] | null): Key | null => (packed === null ? null : packed.map(unpackValue))
