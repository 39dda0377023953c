import { reasonOf, TidemarkError } from '../../../errors.js'
import type { Change, Relation, RelationColumn, Row, TransactionPiece, Value } from '../../feed.js'
import type { Position } from '../../position.js'
import { ByteReader } from './byte-reader.js'
import { codecVersion, identities, kinds, nullTag, rowTag, textTag, unknownTag } from './piece-encoder.js'

/** Descriptions that a decoder remembers; beyond that it begins anew. */
const maxRelations = 4096

const readValue = (reader: ByteReader): Value => {
  const tag = reader.varint()
  if (tag === nullTag) return null
  return tag === unknownTag ? undefined : reader.text(tag - textTag)
}

const readRow = (reader: ByteReader): Row | null => {
  const tag = reader.varint()
  if (tag === 0) return null
  const row: Value[] = []
  for (let left = tag - rowTag; left > 0; left--) row.push(readValue(reader))
  return row
}

const named = <T>(names: readonly T[], index: number): T => {
  const name = names[index]
  if (name === undefined) throw new RangeError(`${index} names nothing`)
  return name
}

const readColumn = (reader: ByteReader): RelationColumn => ({
  name: reader.text(),
  typeOid: reader.varint(),
  typeModifier: reader.varint() - 2 ** 31,
  isKey: reader.byte() === 1,
})

const readRelation = (reader: ByteReader): Relation => {
  const head = {
    oid: reader.varint(),
    schema: reader.text(),
    table: reader.text(),
    identity: named(identities, reader.byte()),
  }
  const columns: RelationColumn[] = []
  for (let left = reader.varint(); left > 0; left--) columns.push(readColumn(reader))
  return { ...head, columns }
}

const readChange = (reader: ByteReader, relations: readonly Relation[]): Change => {
  const kind = named(kinds, reader.byte())
  const relation = named(relations, reader.varint())
  // The encoder wrote a change, so its rows are those that its kind has.
  return { kind, relation, old: readRow(reader), new: readRow(reader) } as Change
}

/** Reads pieces. One table, as long as it does not change, is one {@link Relation} for all of them. */
export class PieceDecoder {
  readonly #relations = new Map<string, Relation>()

  /** Raises TM_FEED_ENTRY for bytes that no encoder of this version wrote. */
  decode(bytes: Buffer, position: Position): TransactionPiece {
    try {
      return this.#read(new ByteReader(bytes), position)
    } catch (error) {
      throw new TidemarkError('TM_FEED_ENTRY', { number: String(position.number), reason: reasonOf(error) }, { cause: error })
    }
  }

  #read(reader: ByteReader, position: Position): TransactionPiece {
    const version = reader.byte()
    if (version !== codecVersion) throw new RangeError(`its form is ${version}, not ${codecVersion}`)
    const last = reader.byte() === 1
    const xid = reader.uint64()
    const committedAt = new Date(reader.float64())
    const firstOrdinal = reader.varint()
    const relations: Relation[] = []
    for (let left = reader.varint(); left > 0; left--) relations.push(this.#relation(reader.raw(reader.varint())))
    const changes: Change[] = []
    for (let left = reader.varint(); left > 0; left--) changes.push(readChange(reader, relations))
    if (!reader.atEnd) throw new RangeError('more bytes follow')
    return { type: 'transaction', position, xid, committedAt, firstOrdinal, changes, last }
  }

  #relation(bytes: Buffer): Relation {
    const key = bytes.toString('latin1')
    const known = this.#relations.get(key)
    if (known) return known
    const relation = readRelation(new ByteReader(bytes))
    if (this.#relations.size >= maxRelations) this.#relations.clear()
    this.#relations.set(key, relation)
    return relation
  }
}
