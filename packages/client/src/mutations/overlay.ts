import type { Position } from '../position.js'
import type { AnyRow } from '../schema.js'

/** What a mutation is to change, shown before the server has said so. */
export interface Overlay {
  /** Given by the client. */
  readonly id: string
  readonly table: string
  readonly kind: 'insert' | 'update' | 'delete'
  /** The row; of an update the key and what changes, of a delete the key. */
  readonly row: AnyRow
  /** It is not to be seen before the server has answered. */
  isHidden: boolean
  /** What the server made of it. Undefined while it has not answered. */
  outcome: Outcome | undefined
}

export interface Outcome {
  /** As it is in the database; undefined where it is deleted. */
  readonly row: AnyRow | undefined
  /** The commit is here or before; undefined where the server does not say. */
  readonly position: Position | undefined
}
