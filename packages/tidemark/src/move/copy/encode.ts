/** What an encoder is: it writes one value into the COPY block, and answers nothing, or why it could not. */
import type { StorageClass } from '../../sqlite/sqlite.js'
import type { CopyWriter } from './copy-writer.js'

export type SqliteValue = number | bigint | string | Buffer

/** The value under the hand, read again with nothing lost: 64-bit integers as bigint, text also as the bytes in the file. */
export interface ExactCell {
  readonly storage: StorageClass
  readonly value: SqliteValue | null
  readonly raw: Buffer
}

export interface CellAccess {
  /** Reads the cell again, slowly and exactly. */
  exact(): ExactCell
  /** Tells that a value was not kept as it is, though its row is. */
  replaced(reason: string): void
}

/** Writes one non-null value; answers the reason where it cannot, and then has written nothing. */
export type Encode = (writer: CopyWriter, value: SqliteValue, cell: CellAccess) => string | undefined

/** What a value is, for the reason why it could not be written. */
export const describe = (value: SqliteValue): string =>
  typeof value === 'string' ? 'text' : Buffer.isBuffer(value) ? 'a blob' : 'a number'

export const isUtf8 = (bytes: Buffer): boolean => {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}
