/** Sends encoded rows by COPY, and finds those that Postgres refuses. */
import { once } from 'node:events'
import type pg from 'pg'
import { type CopyStreamQuery, from as copyFrom } from 'pg-copy-streams'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import type { Row } from '../row-source.js'
import { copyHeader, copyTrailer } from './copy-writer.js'

/** SQLSTATE classes that speak of the row's own values: data, constraints, limits. Anything else ends the copy. */
const dataErrors = /^(?:22|23|44|54)/

/** True where it is a row that Postgres refuses, and not the copy as a whole that failed. */
export const isDataError = (error: unknown): boolean => dataErrors.test(sqlstateOf(error) ?? '')

/** A row on its way to Postgres. */
export interface EncodedRow {
  readonly row: Row
  readonly bytes: Buffer
  /** Counted from the beginning of the transaction. */
  readonly ordinal: number
}

export interface RefusedRow extends EncodedRow {
  readonly error: unknown
}

/** A promise that only ever rejects, when the stream does. */
export const rejection = (stream: CopyStreamQuery): { readonly promise: Promise<never>; hasFailed(): boolean } => {
  let hasFailed = false
  const promise = new Promise<never>((_resolve, reject) => {
    stream.on('error', (error) => {
      hasFailed = true
      reject(error)
    })
  })
  promise.catch(() => undefined)
  return { promise, hasFailed: () => hasFailed }
}

/** Bytes handed to the socket at a time, about. */
const blockBytes = 64 * 1024

const blocksOf = function* (rows: readonly Pick<EncodedRow, 'bytes'>[]): Generator<Buffer> {
  let [block, length]: [Buffer[], number] = [[], 0]
  for (const { bytes } of rows) {
    block.push(bytes)
    length += bytes.length
    if (length < blockBytes) continue
    yield Buffer.concat(block, length)
    ;[block, length] = [[], 0]
  }
  if (length > 0) yield Buffer.concat(block, length)
}

/** One COPY of rows that are at hand. */
export const copyRows = async (client: pg.Client, copySql: string, rows: readonly Pick<EncodedRow, 'bytes'>[]): Promise<void> => {
  const stream = client.query(copyFrom(copySql))
  const failed = rejection(stream)
  stream.write(copyHeader)
  for (const block of blocksOf(rows)) stream.write(block)
  stream.end(copyTrailer)
  await Promise.race([once(stream, 'finish'), failed.promise])
}

/** Within a transaction: copies the rows, and collects those that Postgres refuses, by halving. */
export const copyByHalves = async (
  client: pg.Client,
  copySql: string,
  rows: readonly EncodedRow[],
  refused: RefusedRow[],
): Promise<void> => {
  if (rows.length === 0) return
  await client.query('SAVEPOINT rows')
  try {
    await copyRows(client, copySql, rows)
    await client.query('RELEASE SAVEPOINT rows')
    return
  } catch (error) {
    if (!isDataError(error)) throw error
    await client.query('ROLLBACK TO SAVEPOINT rows; RELEASE SAVEPOINT rows')
    const [only] = rows
    if (rows.length === 1 && only) {
      refused.push({ ...only, error })
      return
    }
  }
  const middle = rows.length >> 1
  await copyByHalves(client, copySql, rows.slice(0, middle), refused)
  await copyByHalves(client, copySql, rows.slice(middle), refused)
}
