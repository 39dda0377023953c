import type { Catalogue, Column, Table } from '../catalogue.js'
import { restErrors } from '../rest-errors.js'
import { fuzzyMatches } from './fuzzy-match.js'

/** Names are told to whoever asks, so only to one who nearly knows them. */
const minScore = 0.75

/** The table or view of that name. Raises PGRST205, with the name that was probably meant. */
export const findTable = (catalogue: Catalogue, schema: string, name: string): Table => {
  const table = catalogue.table(schema, name)
  if (table) return table
  const names = catalogue.tables(schema).map((known) => known.name)
  const [meant] = fuzzyMatches(name, names, minScore)
  throw restErrors.tableNotFound(schema, name, meant ? `Perhaps you meant the table '${schema}.${meant.name}'` : null)
}

/** A column that a body or `columns` names. Raises PGRST204. */
export const findColumn = (table: Table, name: string): Column => {
  const column = table.columns.get(name)
  if (column) return column
  throw restErrors.columnNotFound(table.name, name)
}
