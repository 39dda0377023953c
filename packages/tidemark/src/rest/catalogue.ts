/**
 * What the exposed schemas hold, read once and again after each change of structure. Every identifier that ends up in a statement
 * comes from here and never from a request.
 */

export interface RelationName {
  readonly schema: string
  readonly name: string
}

export interface Column {
  readonly name: string
  readonly description: string | undefined
  /** As `format_type` writes it, schema included where it is not on the path: `character varying(20)`, `public.mood`. Safe in SQL. */
  readonly type: string
  /** The same without length and precision. Safe in SQL: `bpchar` and `"bit"` for those that would have a length of 1 under their usual names. */
  readonly baseType: string
  /** What a domain is made of, in the end, without length and precision; {@link baseType} for any other. Safe in SQL. */
  readonly underlyingType: string
  /** pg_type.typcategory: A array, B boolean, C composite, D date/time, E enum, N numeric, R range, S string, … */
  readonly category: string
  readonly nullable: boolean
  /** The default's expression; undefined without one. Identity columns and serials have one. */
  readonly default: string | undefined
  /** Written by Postgres alone: a generated column, or an identity that is always generated. */
  readonly generated: boolean
  readonly enumValues: readonly string[]
  readonly maxLength: number | undefined
}

export interface Table extends RelationName {
  readonly kind: 'table' | 'view' | 'materialized view' | 'foreign table' | 'partitioned table'
  readonly description: string | undefined
  /** In the order of the table. */
  readonly columns: ReadonlyMap<string, Column>
  readonly primaryKey: readonly string[]
  readonly insertable: boolean
  readonly updatable: boolean
  readonly deletable: boolean
}

export type Cardinality = 'many-to-one' | 'one-to-many' | 'one-to-one' | 'many-to-many'

/** A way from one relation to another. `columns` are pairs: ours, theirs. */
export type Relationship =
  | {
      readonly kind: Exclude<Cardinality, 'many-to-many'>
      readonly from: RelationName
      readonly to: RelationName
      readonly constraint: string
      readonly columns: readonly (readonly [string, string])[]
      /** One-to-one: whether the foreign key is ours. */
      readonly parent: boolean
    }
  | {
      readonly kind: 'many-to-many'
      readonly from: RelationName
      readonly to: RelationName
      readonly junction: RelationName
      /** Of the junction to us, and to them. */
      readonly constraints: readonly [string, string]
      /** Ours and the junction's. */
      readonly fromColumns: readonly (readonly [string, string])[]
      /** Theirs and the junction's. */
      readonly toColumns: readonly (readonly [string, string])[]
    }
  /** A function of one row of `from`: `create function author(books) returns setof authors rows 1`. */
  | {
      readonly kind: 'computed'
      readonly from: RelationName
      readonly to: RelationName
      readonly function: RelationName
      /** True where it gives one row at most (`rows 1`). */
      readonly toOne: boolean
    }

export interface Argument {
  /** Empty for an argument without a name. */
  readonly name: string
  readonly type: string
  readonly category: string
  readonly required: boolean
  readonly variadic: boolean
}

export interface SqlFunction extends RelationName {
  /** Postgres' own number of it, which tells overloads apart. */
  readonly oid: number
  readonly description: string | undefined
  readonly arguments: readonly Argument[]
  readonly volatility: 'immutable' | 'stable' | 'volatile'
  readonly returns: {
    readonly kind: 'void' | 'scalar' | 'row'
    readonly set: boolean
    readonly type: string
    /** The relation whose rows it gives, where it is one that can be embedded into. */
    readonly relation: RelationName | undefined
    /** Of a row: the names of its columns. What only the call tells (`record`) counts as a scalar. */
    readonly columns: ReadonlyMap<string, Column>
    /** `rows 1`, or no set at all. */
    readonly single: boolean
  }
  /** Of its own `SET` clauses those that have to hold for the whole transaction: statement_timeout, default_transaction_isolation. */
  readonly settings: ReadonlyMap<string, string>
  readonly securityDefiner: boolean
}

/** A function whose argument is a row and whose result a value: read like a column. */
export interface ComputedColumn {
  readonly relation: RelationName
  readonly function: RelationName
  readonly name: string
  readonly type: string
  readonly category: string
}

export interface Catalogue {
  /** The exposed schemas, the default one first. */
  readonly schemas: readonly string[]
  /** Raised with each reading. */
  readonly generation: number
  readonly timezones: ReadonlySet<string>
  /** Major version of the server. */
  readonly postgresMajor: number
  table(schema: string, name: string): Table | undefined
  tables(schema: string): readonly Table[]
  relationships(from: RelationName): readonly Relationship[]
  computedColumn(relation: RelationName, name: string): ComputedColumn | undefined
  /** All overloads. */
  functions(schema: string, name: string): readonly SqlFunction[]
  allFunctions(schema: string): readonly SqlFunction[]
  /** The type that a caller names (`int`, `numeric(10,2)`, `public.mood[]`) as it is written in SQL; undefined where there is none. */
  typeName(text: string): string | undefined
  /** Settings of a role that hold for its requests (`alter role … set`), such as statement_timeout. */
  roleSettings(role: string): ReadonlyMap<string, string>
  description(schema: string): string | undefined
}
