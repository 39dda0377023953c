/** Where in a change of the feed the columns of a moved table stand. */
import { TidemarkError } from '../../errors.js'
import type { Relation, Row, Value } from '../../feed/feed.js'
import type { MirrorTable } from './mirror-table.js'

/** A change's values in the order of the mirror's columns; undefined is unknown. */
export type Texts = readonly Value[]

export interface BoundRelation {
  readonly table: MirrorTable
  /** Old rows are told whole. */
  readonly isFull: boolean
  texts(row: Row): Texts
  /** Places of the key's columns among {@link Texts}. */
  readonly key: readonly number[]
}

export const schemaError = (path: string, { plan }: MirrorTable, reason: string): TidemarkError =>
  new TidemarkError('TM_MOVE_MIRROR_SCHEMA', { path, table: `${plan.targetSchema}.${plan.target}`, reason })

/** Raises TM_MOVE_MIRROR_SCHEMA where a column that was moved is not there any more. */
export const bindRelation = (path: string, table: MirrorTable, relation: Relation): BoundRelation => {
  const places = table.columns.map(({ target }) => relation.columns.findIndex(({ name }) => name === target))
  const missing = places.indexOf(-1)
  if (missing >= 0) throw schemaError(path, table, `its column "${table.columns[missing]!.target}" was dropped or renamed`)
  const isFull = relation.identity === 'full'
  if (!isFull && table.key.length === 0)
    throw schemaError(path, table, 'it has no key, and its REPLICA IDENTITY is not FULL any more')
  return {
    table,
    isFull,
    texts: (row) => places.map((place) => row[place]),
    key: table.key.map((column) => table.columns.indexOf(column)),
  }
}
