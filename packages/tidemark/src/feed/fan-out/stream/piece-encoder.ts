import type { Change, Relation, Row, TransactionPiece } from '../../feed.js'
import { ByteWriter } from './byte-writer.js'

/** First byte of every entry. A reader that does not know it treats the entry as missing. */
export const codecVersion = 1

export const kinds = ['insert', 'update', 'delete', 'truncate', 'changed'] as const
export const identities = ['default', 'nothing', 'full', 'index'] as const

/** Of a value: null, unknown, or text whose length in bytes is the tag less this. */
export const textTag = 2
export const nullTag = 0
export const unknownTag = 1

/** Of a row: absent, or as many values as the tag less this. */
export const rowTag = 1

const encodedRelations = new WeakMap<Relation, Buffer>()

const encodeRelation = (relation: Relation): Buffer => {
  const known = encodedRelations.get(relation)
  if (known) return known
  const writer = new ByteWriter()
  writer.varint(relation.oid)
  writer.text(relation.schema)
  writer.text(relation.table)
  writer.byte(identities.indexOf(relation.identity))
  writer.varint(relation.columns.length)
  for (const { name, typeOid, typeModifier, isKey } of relation.columns) {
    writer.text(name)
    writer.varint(typeOid)
    // A modifier is a signed 32-bit number, mostly -1.
    writer.varint(typeModifier + 2 ** 31)
    writer.byte(isKey ? 1 : 0)
  }
  const bytes = Buffer.from(writer.view())
  encodedRelations.set(relation, bytes)
  return bytes
}

const writeRow = (writer: ByteWriter, row: Row | null): void => {
  if (row === null) {
    writer.varint(0)
    return
  }
  writer.varint(row.length + rowTag)
  for (const value of row) {
    if (value === null) writer.byte(nullTag)
    else if (value === undefined) writer.byte(unknownTag)
    else writer.text(value, textTag)
  }
}

/** What stands before the changes of a piece. The position is the entry's id and the stream's name. */
export type PieceHead = Pick<TransactionPiece, 'xid' | 'committedAt' | 'firstOrdinal' | 'last'>

/** Collects changes, and knows what they weigh. Each table is described once in a piece, so that a piece can be read by itself. */
export class PieceEncoder {
  readonly #changes = new ByteWriter()
  readonly #relations = new Map<Relation, number>()
  #relationBytes = 0
  #count = 0

  get bytes(): number {
    return this.#changes.length + this.#relationBytes
  }

  get count(): number {
    return this.#count
  }

  add(change: Change): void {
    this.#count += 1
    this.#changes.byte(kinds.indexOf(change.kind))
    this.#changes.varint(this.#indexOf(change.relation))
    writeRow(this.#changes, change.old)
    writeRow(this.#changes, change.new)
  }

  finish({ xid, committedAt, firstOrdinal, last }: PieceHead): Buffer {
    const writer = new ByteWriter(this.bytes + 64)
    writer.byte(codecVersion)
    writer.byte(last ? 1 : 0)
    writer.uint64(xid)
    writer.float64(committedAt.getTime())
    writer.varint(firstOrdinal)
    writer.varint(this.#relations.size)
    for (const relation of this.#relations.keys()) {
      const bytes = encodeRelation(relation)
      writer.varint(bytes.length)
      writer.raw(bytes)
    }
    writer.varint(this.#count)
    writer.raw(this.#changes.view())
    return writer.view()
  }

  #indexOf(relation: Relation): number {
    const known = this.#relations.get(relation)
    if (known !== undefined) return known
    const index = this.#relations.size
    this.#relations.set(relation, index)
    this.#relationBytes += encodeRelation(relation).length
    return index
  }
}

/** One piece as bytes, without its position. */
export const encodePiece = (piece: TransactionPiece): Buffer => {
  const encoder = new PieceEncoder()
  for (const change of piece.changes) encoder.add(change)
  return encoder.finish(piece)
}
