import { type Change, type Follower, type Relation, type Row, type TransactionPiece, tableName } from '../feed.js'
import { decodeValue } from './decode-value.js'

/** `schema.table` of each table of the generated `Database`, or of a plain map of `schema.table` to records. */
export type TableName<Database> = {
  [Name in keyof Database & string]: Database[Name] extends { readonly Tables: infer Tables }
    ? `${Name}.${keyof Tables & string}`
    : Name
}[keyof Database & string]

/** A record of that table. */
export type TableRecord<Database, Name extends string> = Name extends keyof Database
  ? Database[Name]
  : Name extends `${infer Schema}.${infer Table}`
    ? Schema extends keyof Database
      ? Database[Schema] extends { readonly Tables: infer Tables }
        ? Table extends keyof Tables
          ? Tables[Table] extends { readonly Row: infer Record }
            ? Record
            : never
          : never
        : never
      : never
    : never

/**
 * One change with records for its rows. A column is missing in a record where its value is not known: outside of the replica identity in an old
 * one, a large value that an update did not touch in a new one.
 */
export type TypedChange<Record> =
  | { readonly kind: 'insert'; readonly old: null; readonly new: Record }
  | { readonly kind: 'update'; readonly old: Partial<Record> | null; readonly new: Partial<Record> }
  | { readonly kind: 'delete'; readonly old: Partial<Record>; readonly new: null }
  /** The table was emptied (`truncate`), or more changed in it than is told (`changed`). */
  | { readonly kind: 'truncate' | 'changed'; readonly old: null; readonly new: null }

/** `piece` tells the position, the transaction and its time. */
export type ChangeHandler<Record> = (change: TypedChange<Record>, piece: TransactionPiece) => void | Promise<void>

export type TableHandlers<Database> = {
  readonly [Name in TableName<Database>]?: ChangeHandler<TableRecord<Database, Name>>
}

const recordOf = ({ columns }: Relation, row: Row | null): Record<string, unknown> | null => {
  if (row === null) return null
  const record: Record<string, unknown> = {}
  columns.forEach(({ name, typeOid }, index) => {
    const value = row[index]
    if (value !== undefined) record[name] = value === null ? null : decodeValue(typeOid, value)
  })
  return record
}

/** The change with records in place of rows. Values are those of {@link decodeValue}. */
export const typedChange = (change: Change): TypedChange<unknown> =>
  ({
    kind: change.kind,
    old: recordOf(change.relation, change.old),
    new: recordOf(change.relation, change.new),
  }) as TypedChange<unknown>

/**
 * The tables and the `apply` of a follower, from one function for each table; they are called one after the other, in the order of the changes.
 * The types are those of `tidemark schema types`:
 *
 * ```ts
 * const greeter: Follower = {
 *   name: 'greeter',
 *   ...onTables<Database>()({
 *     'public.users': async (change) => {
 *       if (change.kind === 'insert') await greet(change.new.email)
 *     },
 *   }),
 * }
 * ```
 */
export const onTables =
  <Database>() =>
  (handlers: TableHandlers<Database>): Pick<Follower, 'tables' | 'apply'> => {
    const byName = new Map(Object.entries(handlers) as [string, ChangeHandler<unknown>][])
    return {
      tables: [...byName.keys()],
      apply: async (piece) => {
        for (const change of piece.changes) await byName.get(tableName(change.relation))?.(typedChange(change), piece)
      },
    }
  }
