import { quoteIdentifier } from '../schema/sql-errors.js'

/** A table by its two names, unquoted. */
export interface TableId {
  readonly schema: string
  readonly table: string
}

/** `schema.table` in its two parts. */
export const tableIdOf = (name: string): TableId => {
  const dot = name.indexOf('.')
  return { schema: name.slice(0, dot), table: name.slice(dot + 1) }
}

/** `"schema"."table"`. */
export const quoteTable = ({ schema, table }: TableId): string => `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`
