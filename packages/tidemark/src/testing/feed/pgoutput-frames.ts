import type { Value } from '../../feed/feed.js'

/** Frames of the replication stream as Postgres would send them, for tests of what takes them apart. */
const uint = (bytes: 1 | 2 | 4, value: number): Buffer => {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}
const int64 = (value: bigint): Buffer => {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64BE(value)
  return buffer
}
const letter = (text: string): Buffer => Buffer.from(text, 'latin1')
const cstring = (text: string): Buffer => Buffer.from(`${text}\0`)

export interface ColumnFrame {
  readonly name: string
  readonly key?: boolean
  readonly typeOid?: number
}

const value = (each: Value): Buffer => {
  if (each === null) return letter('n')
  if (each === undefined) return letter('u')
  const bytes = Buffer.from(each)
  return Buffer.concat([letter('t'), uint(4, bytes.length), bytes])
}

const tuple = (kind: 'N' | 'K' | 'O', row: readonly Value[]): Buffer =>
  Buffer.concat([letter(kind), uint(2, row.length), ...row.map(value)])

export const begin = (commitLsn: bigint, xid: number, micros = 0n): Buffer =>
  Buffer.concat([letter('B'), int64(commitLsn), int64(micros), uint(4, xid)])

export const commit = (commitLsn: bigint, endLsn: bigint, micros = 0n): Buffer =>
  Buffer.concat([letter('C'), uint(1, 0), int64(commitLsn), int64(endLsn), int64(micros)])

export const relation = (oid: number, schema: string, table: string, identity: string, columns: readonly ColumnFrame[]): Buffer =>
  Buffer.concat([
    letter('R'),
    uint(4, oid),
    cstring(schema),
    cstring(table),
    letter(identity),
    uint(2, columns.length),
    ...columns.flatMap(({ name, key = false, typeOid = 25 }) => [
      uint(1, key ? 1 : 0),
      cstring(name),
      uint(4, typeOid),
      Buffer.from([255, 255, 255, 255]),
    ]),
  ])

export const insert = (oid: number, row: readonly Value[]): Buffer => Buffer.concat([letter('I'), uint(4, oid), tuple('N', row)])

export const update = (
  oid: number,
  row: readonly Value[],
  old?: { readonly kind: 'K' | 'O'; readonly row: readonly Value[] },
): Buffer => Buffer.concat([letter('U'), uint(4, oid), old ? tuple(old.kind, old.row) : Buffer.alloc(0), tuple('N', row)])

export const remove = (oid: number, kind: 'K' | 'O', row: readonly Value[]): Buffer =>
  Buffer.concat([letter('D'), uint(4, oid), tuple(kind, row)])

export const truncate = (oids: readonly number[]): Buffer =>
  Buffer.concat([letter('T'), uint(4, oids.length), uint(1, 0), ...oids.map((oid) => uint(4, oid))])

export const logicalMessage = (lsn: bigint, prefix: string, content: Buffer, transactional = true): Buffer =>
  Buffer.concat([letter('M'), uint(1, transactional ? 1 : 0), int64(lsn), cstring(prefix), uint(4, content.length), content])

export const typeName = (oid: number, schema: string, name: string): Buffer =>
  Buffer.concat([letter('Y'), uint(4, oid), cstring(schema), cstring(name)])

export const origin = (lsn: bigint, name: string): Buffer => Buffer.concat([letter('O'), int64(lsn), cstring(name)])

/** A message within its frame of the stream. */
export const walData = (message: Buffer, lsn = 0n): Buffer =>
  Buffer.concat([letter('w'), int64(lsn), int64(lsn), int64(0n), message])

export const keepalive = (walEnd: bigint, replyRequested = false): Buffer =>
  Buffer.concat([letter('k'), int64(walEnd), int64(0n), uint(1, replyRequested ? 1 : 0)])

/** A message of the server as it crosses the wire. */
export const wireMessage = (kind: string, body: Buffer): Buffer => Buffer.concat([letter(kind), uint(4, body.length + 4), body])
