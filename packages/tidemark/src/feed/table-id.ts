import { quoteIdentifier } from '../schema/sql-errors.js'

/** A table by its two names, unquoted. */
export interface TableId {
  readonly schema: string
  readonly table: string
}

/** `"schema"."table"`. */
export const quoteTable = ({ schema, table }: TableId): string => `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`
