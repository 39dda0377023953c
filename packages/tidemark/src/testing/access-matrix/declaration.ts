/** What a caller may do: `all` rows; its `own`; `none`, though it may try; `denied`: the statement itself is refused. */
export type Access = 'all' | 'own' | 'none' | 'denied'

export type Operation = 'select' | 'insert' | 'update' | 'delete'

export const operations: readonly Operation[] = ['select', 'insert', 'update', 'delete']

/** Somebody who asks: a role of the database with the claims of a token. */
export interface Caller<Owner extends string = string> {
  readonly role: string
  /** Besides `role`, which is the one above. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Whose rows are its own. */
  readonly owner?: Owner
}

export type Values = Readonly<Record<string, unknown>>

/** For whom a row is made, and what that owner has already, table by table in the order of the declaration. */
export interface RowOf<Owner extends string = string> {
  readonly owner: Owner
  readonly rows: Readonly<Record<string, Values>>
}

/** One table or view, and who may do what with it. */
export interface TableAccess<Owner extends string = string, Name extends string = string> {
  /** The values of one row of that owner, as a caller could give them. Called for each row anew; a view has none. */
  row?(of: RowOf<Owner>): Values
  /** Adds to `row` what only the database gives, for the rows that are there before anybody calls. */
  seed?(of: RowOf<Owner>): Values
  /** Columns and values by which the owner's row is found. Default: the primary key; a view has to say. */
  find?(of: RowOf<Owner>): Values
  /** Columns that say whose row it is: updates that give a row to somebody else, or take one, are tried with them. */
  readonly owner?: string | readonly string[]
  /** What an update writes. Default: a column that the caller may write, with the value that it has. */
  readonly change?: Values
  /** For each caller, one word for everything or one for each operation. */
  readonly access: Readonly<Record<Name, Access | Readonly<Record<Operation, Access>>>>
}

export interface AccessDeclaration<Owner extends string = string, Name extends string = string> {
  /** Default `public`. */
  readonly schema?: string
  /** Each owns one row in each table that has `row`. Two at least, or nobody could be kept from another's rows. */
  readonly owners: readonly [Owner, Owner, ...Owner[]]
  readonly callers: Readonly<Record<Name, Caller<NoInfer<Owner>>>>
  /** Every table and view of the schema. Parents before their children. */
  readonly tables: Readonly<Record<string, TableAccess<NoInfer<Owner>, NoInfer<Name>>>>
  /** Every function that can be called, as `name(argument types)`, and who may. */
  readonly functions?: Readonly<Record<string, readonly NoInfer<Name>[]>>
  /** Objects that are open on purpose, as `schema.name`; see the option `schema.accepted`. */
  readonly accepted?: readonly string[]
}

export const accessOf = (declared: Access | Readonly<Record<Operation, Access>>, operation: Operation): Access =>
  typeof declared === 'string' ? declared : declared[operation]

export const ownerColumnsOf = ({ owner }: TableAccess): readonly string[] =>
  owner === undefined ? [] : typeof owner === 'string' ? [owner] : owner
