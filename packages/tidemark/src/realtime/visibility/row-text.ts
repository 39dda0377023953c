import type { Relation, Row, Value } from '../../feed/feed.js'
import type { TableAccess } from './table-access.js'

/** Where each column of the table stands in a row of the feed; -1 where the row does not tell it, or it was of another type. */
export type ColumnPlaces = readonly number[]

export const placesOf = (relation: Relation, { columns }: TableAccess): ColumnPlaces =>
  columns.map(({ name, typeOid, generated }) =>
    generated === null ? relation.columns.findIndex((column) => column.name === name && column.typeOid === typeOid) : -1,
  )

const escaped = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

const field = (value: Value): string => (value === null || value === undefined ? '' : escaped(value))

/**
 * A row in the text form of its composite type, with the columns that are needed. Postgres reads each value with the type's own input
 * function, as it wrote it.
 */
export const rowText = (row: Row, places: ColumnPlaces, needs: readonly number[]): string => {
  const fields = places.map(() => '')
  for (const need of needs) fields[need] = field(row[places[need] as number])
  return `(${fields.join(',')})`
}

/** An array of rows, as text. */
export const rowsText = (rows: readonly string[]): string => `{${rows.map(escaped).join(',')}}`
