import type { Relation, Row, RowChange } from '../../feed.js'
import { parseRecordText } from './record-text.js'

/** What a table looked like when a row was written, as tidemark.feed_outbox_shape_of describes it. */
interface Description {
  readonly schema: string
  readonly table: string
  readonly identity: 'default' | 'full' | 'index'
  /** name, type, modifier, of the key, generated */
  readonly columns: readonly (readonly [string, number, number, boolean, boolean])[] | null
}

/** A row of tidemark.feed_outbox. */
export interface OutboxRow {
  readonly id: string
  readonly xid: string
  readonly statement: string
  readonly relation: string
  readonly shape: string
  readonly kind: 'i' | 'u' | 'd' | 't' | 'c'
  readonly oldRow: string | null
  readonly newRow: string | null
}

/** Reads rows of one version of a table. */
export interface Shape {
  readonly relation: Relation
  /** The change as the write-ahead log would tell it: of an old row, what the replica identity names. */
  change(row: OutboxRow & { readonly kind: 'i' | 'u' | 'd' }): RowChange
}

/** Makes a {@link Shape} of its description. */
export const parseShape = (oid: number, description: string): Shape => {
  const { schema, table, identity, columns } = JSON.parse(description) as Description
  // A generated column follows from the others, and the write-ahead log has none.
  const kept = (columns ?? []).flatMap((column, index) => (column[4] ? [] : [{ column, index }]))
  const relation: Relation = {
    oid,
    schema,
    table,
    identity,
    columns: kept.map(({ column: [name, typeOid, typeModifier, isKey] }) => ({ name, typeOid, typeModifier, isKey })),
  }
  const whole = (text: string): Row => {
    const values = parseRecordText(text)
    return kept.map(({ index }) => values[index] ?? null)
  }
  const keyOf = (row: Row): Row => row.map((value, index) => (relation.columns[index]?.isKey ? value : undefined))
  const sameKey = (a: Row, b: Row): boolean => a.every((value, index) => !relation.columns[index]?.isKey || value === b[index])
  const oldOf = (text: string): Row => (identity === 'full' ? whole(text) : keyOf(whole(text)))

  return {
    relation,
    change: ({ kind, oldRow, newRow }) => {
      if (kind === 'i') return { kind: 'insert', relation, old: null, new: whole(newRow ?? '()') }
      if (kind === 'd') return { kind: 'delete', relation, old: oldOf(oldRow ?? '()'), new: null }
      const [before, after] = [whole(oldRow ?? '()'), whole(newRow ?? '()')]
      if (identity === 'full') return { kind: 'update', relation, old: before, new: after }
      return { kind: 'update', relation, old: sameKey(before, after) ? null : keyOf(before), new: after }
    },
  }
}
