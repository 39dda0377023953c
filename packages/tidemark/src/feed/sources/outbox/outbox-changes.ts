import type { Change, Relation } from '../../feed.js'
import { tableName } from '../../feed.js'
import type { TableId } from '../../table-id.js'
import type { OutboxReader } from './outbox-reader.js'
import { type OutboxRow, parseShape, type Shape } from './outbox-shape.js'

/** Turns rows of the outbox into changes of the tables that are followed. */
export interface OutboxChanges {
  /** Rows of other tables are left out. */
  read(rows: readonly OutboxRow[]): Promise<readonly Change[]>
}

/** `oids` are the tables as they were found; one that was renamed since is still the same, as in a publication. */
export const createOutboxChanges = (
  reader: OutboxReader,
  tables: readonly TableId[] | 'installed',
  oids: ReadonlySet<number>,
): OutboxChanges => {
  const names = tables === 'installed' ? undefined : new Set(tables.map(tableName))
  const shapes = new Map<string, Shape>()
  const keyOf = ({ relation, shape }: OutboxRow): string => `${relation}:${shape}`

  const learn = async (rows: readonly OutboxRow[]): Promise<void> => {
    const unknown = new Map(rows.filter((row) => !shapes.has(keyOf(row))).map((row) => [keyOf(row), row]))
    if (unknown.size === 0) return
    const found = await reader.shapes([...unknown.values()])
    for (const [key, { relation }] of unknown) {
      const description = found.get(key)
      // A shape is written with its first row. One that is not there was forged by a writer's own session: only that something changed is
      // believed, and nobody else's rows wait for it.
      const fallback = { schema: '', table: '', identity: 'full', columns: [] }
      shapes.set(key, parseShape(Number(relation), description ?? JSON.stringify(fallback)))
    }
  }

  const isFollowed = ({ oid, schema, table }: Relation): boolean =>
    names === undefined || oids.has(oid) || names.has(tableName({ schema, table }))

  const changeOf = (row: OutboxRow, shape: Shape): Change => {
    const { relation } = shape
    if (row.kind === 't') return { kind: 'truncate', relation, old: null, new: null }
    if (row.kind === 'c' || relation.columns.length === 0) return { kind: 'changed', relation, old: null, new: null }
    return shape.change({ ...row, kind: row.kind })
  }

  return {
    read: async (rows) => {
      await learn(rows)
      return rows.flatMap((row) => {
        const shape = shapes.get(keyOf(row))
        return shape && isFollowed(shape.relation) ? [changeOf(row, shape)] : []
      })
    },
  }
}
