/** The types that `tidemark schema types` writes, as far as the client looks at them. */

// biome-ignore lint/suspicious/noExplicitAny: rows of a database whose types were not given
type Untyped = Record<string, any>

/** What a database is where its types were not given. */
export interface AnyDatabase {
  public: { Tables: Record<string, { Row: Untyped; Insert: Untyped; Update: Untyped; Relationships: [] }> }
}

type PublicTables<Db> = Db extends { public: { Tables: infer Tables } } ? Tables : never

/** Tables of the schema `public`. */
export type TableName<Db> = keyof PublicTables<Db> & string

type Table<Db, Name extends TableName<Db>> = PublicTables<Db>[Name]

export type RowOf<Db, Name extends TableName<Db>> = Table<Db, Name> extends { Row: infer Row extends object } ? Row : never
export type InsertOf<Db, Name extends TableName<Db>> =
  Table<Db, Name> extends { Insert: infer Insert extends object } ? Insert : never
export type UpdateOf<Db, Name extends TableName<Db>> =
  Table<Db, Name> extends { Update: infer Update extends object } ? Update : never

/** A row as the parts of the client hand it around: by the names of its columns. */
export type AnyRow = Readonly<Record<string, unknown>>
