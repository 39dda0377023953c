import { TidemarkError } from '../../../errors.js'
import type { Relation, RelationColumn, Row, RowChange, TableChange, Value } from '../../feed.js'
import { ByteCursor } from './byte-cursor.js'

/** Comes first in a transaction, and names the LSN of the commit that ends it. */
export interface Begin {
  readonly type: 'begin'
  readonly commitLsn: bigint
  readonly committedAt: Date
  /** As it is in the log: the low 32 bits. */
  readonly xid: number
}

export interface Commit {
  readonly type: 'commit'
  readonly commitLsn: bigint
  /** Where the next record begins. */
  readonly endLsn: bigint
  readonly committedAt: Date
}

/** What `pg_logical_emit_message` wrote. Outside of a transaction where it is not transactional. */
export interface LogicalMessage {
  readonly type: 'message'
  readonly transactional: boolean
  readonly lsn: bigint
  readonly prefix: string
  readonly content: Buffer
}

/** Says nothing to us: the relation of the changes to come, a type's name, where a change was first made. */
export interface Silent {
  readonly type: 'silent'
}

export type RowMessage = { readonly type: 'row'; readonly change: RowChange }
/** One statement may empty several tables. */
export type TruncateMessage = { readonly type: 'truncate'; readonly changes: readonly TableChange[] }
export type Message = Begin | Commit | LogicalMessage | Silent | RowMessage | TruncateMessage

const silent: Silent = { type: 'silent' }
const noValue = 'n'.charCodeAt(0)
const untouched = 'u'.charCodeAt(0)
const textValue = 't'.charCodeAt(0)
const [newTuple, keyTuple, oldTuple] = ['N'.charCodeAt(0), 'K'.charCodeAt(0), 'O'.charCodeAt(0)]

const identities: Readonly<Record<string, Relation['identity']>> = { d: 'default', n: 'nothing', f: 'full', i: 'index' }

/** Microseconds from 1970 to 2000, where Postgres' time begins. */
const postgresEpoch = 946_684_800_000_000n

/** Postgres' microseconds since 2000 as a date. */
export const dateOf = (micros: bigint): Date => new Date(Number((micros + postgresEpoch) / 1000n))

const protocol = (reason: string): TidemarkError<'TM_FEED_PROTOCOL'> => new TidemarkError('TM_FEED_PROTOCOL', { reason })

/**
 * Takes the messages of pgoutput (protocol 1, text values) apart, in the order in which they come: a relation is told before its first change
 * and again after DDL. Raises TM_FEED_PROTOCOL for whatever is not a whole, known message.
 */
export class PgoutputDecoder {
  readonly #cursor = new ByteCursor()
  readonly #relations = new Map<number, Relation>()

  /** The message that begins at `at` and fills the rest of `frame`. */
  decode(frame: Buffer, at = 0): Message {
    const cursor = this.#cursor
    cursor.reset(frame, at)
    const message = this.#message(cursor.uint8())
    cursor.finish()
    return message
  }

  #message(kind: number): Message {
    switch (kind) {
      case 0x49: // I
        return this.#insert()
      case 0x55: // U
        return this.#update()
      case 0x44: // D
        return this.#delete()
      case 0x42: // B
        return this.#begin()
      case 0x43: // C
        return this.#commit()
      case 0x52: // R
        return this.#relation()
      case 0x54: // T
        return this.#truncate()
      case 0x4d: // M
        return this.#logicalMessage()
      case 0x59: // Y: type
        this.#cursor.uint32()
        this.#cursor.cstring()
        this.#cursor.cstring()
        return silent
      case 0x4f: // O: origin
        this.#cursor.uint64()
        this.#cursor.cstring()
        return silent
      default:
        throw protocol(`there is no message of the kind 0x${kind.toString(16)}`)
    }
  }

  #begin(): Begin {
    const cursor = this.#cursor
    return { type: 'begin', commitLsn: cursor.uint64(), committedAt: dateOf(cursor.int64()), xid: cursor.uint32() }
  }

  #commit(): Commit {
    const cursor = this.#cursor
    cursor.uint8()
    return { type: 'commit', commitLsn: cursor.uint64(), endLsn: cursor.uint64(), committedAt: dateOf(cursor.int64()) }
  }

  #relation(): Silent {
    const cursor = this.#cursor
    const oid = cursor.uint32()
    // pgoutput leaves the name of pg_catalog out.
    const schema = cursor.cstring() || 'pg_catalog'
    const table = cursor.cstring()
    const identity = identities[String.fromCharCode(cursor.uint8())]
    if (identity === undefined) throw protocol(`the replica identity of ${schema}.${table} is of no known kind`)
    const columns: RelationColumn[] = []
    const count = this.#count()
    for (let index = 0; index < count; index++) {
      const isKey = (cursor.uint8() & 1) === 1
      columns.push({ name: cursor.cstring(), typeOid: cursor.uint32(), typeModifier: cursor.int32(), isKey })
    }
    this.#relations.set(oid, { oid, schema, table, identity, columns })
    return silent
  }

  #insert(): RowMessage {
    const relation = this.#known()
    this.#expect(newTuple)
    return { type: 'row', change: { kind: 'insert', relation, old: null, new: this.#tuple(relation) } }
  }

  #update(): RowMessage {
    const relation = this.#known()
    const kind = this.#cursor.uint8()
    if (kind === newTuple) {
      return { type: 'row', change: { kind: 'update', relation, old: null, new: this.#tuple(relation) } }
    }
    const old = this.#old(relation, kind)
    this.#expect(newTuple)
    return { type: 'row', change: { kind: 'update', relation, old, new: completed(this.#tuple(relation), old) } }
  }

  #delete(): RowMessage {
    const relation = this.#known()
    const old = this.#old(relation, this.#cursor.uint8())
    return { type: 'row', change: { kind: 'delete', relation, old, new: null } }
  }

  #truncate(): TruncateMessage {
    const count = this.#cursor.int32()
    this.#cursor.uint8()
    const changes: TableChange[] = []
    for (let index = 0; index < count; index++) changes.push({ kind: 'truncate', relation: this.#known(), old: null, new: null })
    return { type: 'truncate', changes }
  }

  #logicalMessage(): LogicalMessage {
    const cursor = this.#cursor
    const transactional = (cursor.uint8() & 1) === 1
    const lsn = cursor.uint64()
    const prefix = cursor.cstring()
    return { type: 'message', transactional, lsn, prefix, content: cursor.copy(cursor.int32()) }
  }

  #known(): Relation {
    const oid = this.#cursor.uint32()
    const relation = this.#relations.get(oid)
    if (relation === undefined) throw protocol(`a change is of the relation ${oid}, which was not told`)
    return relation
  }

  #expect(kind: number): void {
    const found = this.#cursor.uint8()
    if (found !== kind) throw protocol(`a row of the kind 0x${found.toString(16)} stands where 0x${kind.toString(16)} belongs`)
  }

  #old(relation: Relation, kind: number): Row {
    if (kind !== keyTuple && kind !== oldTuple) throw protocol(`0x${kind.toString(16)} is no kind of an old row`)
    const row = this.#tuple(relation)
    if (kind === oldTuple) return row
    const { columns } = relation
    // What is not part of the key comes as NULL, which would be a claim; it is unknown.
    for (let index = 0; index < row.length; index++) if (columns[index]?.isKey !== true) row[index] = undefined
    return row
  }

  #tuple({ columns, schema, table }: Relation): Value[] {
    const cursor = this.#cursor
    const count = this.#count()
    if (count !== columns.length) {
      throw protocol(`a row of ${schema}.${table} has ${count} values for ${columns.length} columns`)
    }
    const row = new Array<Value>(count)
    for (let index = 0; index < count; index++) {
      const kind = cursor.uint8()
      if (kind === textValue) row[index] = cursor.text(cursor.int32())
      else if (kind === noValue) row[index] = null
      else if (kind === untouched) row[index] = undefined
      else throw protocol(`0x${kind.toString(16)} is no kind of a value`)
    }
    return row
  }

  /** A relation without columns is possible; one with a negative number of them is not. */
  #count(): number {
    const count = this.#cursor.int16()
    if (count < 0) throw protocol(`a row has ${count} values`)
    return count
  }
}

/** A large value that an update leaves alone is not sent again; where the old row holds it, it is known all the same. */
const completed = (row: Value[], old: Row): Row => {
  for (let index = 0; index < row.length; index++) if (row[index] === undefined) row[index] = old[index]
  return row
}
