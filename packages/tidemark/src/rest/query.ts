/**
 * One request to `/rest/v1`, read and checked for form, before anything is looked up in the database. Texts in here are the
 * caller's: they reach SQL only as parameters, or as the key under which the catalogue holds a name of its own.
 */

/** A column, and the way into its JSON: `address->geo->>lat`. */
export interface Field {
  readonly column: string
  readonly path: readonly JsonStep[]
}

export interface JsonStep {
  /** `->` gives JSON, `->>` gives text. */
  readonly arrow: '->' | '->>'
  /** A number is an array's index. */
  readonly key: string | number
}

export const aggregates = ['avg', 'count', 'max', 'min', 'sum'] as const
export type Aggregate = (typeof aggregates)[number]

export type SelectItem =
  | { readonly kind: 'all' }
  | {
      readonly kind: 'column'
      readonly field: Field
      readonly alias: string | undefined
      readonly cast: string | undefined
      readonly aggregate: Aggregate | undefined
      /** Of the aggregate's result: `price.sum()::int`. */
      readonly aggregateCast: string | undefined
    }
  /** `count()`: of rows, not of a column's values. */
  | { readonly kind: 'count'; readonly alias: string | undefined; readonly cast: string | undefined }
  | Embed

/** Related rows inside a row: `alias:relation!hint!inner(…)`, or `...relation(…)` where `spread`. */
export interface Embed {
  readonly kind: 'embed'
  readonly relation: string
  readonly alias: string | undefined
  /** A constraint, a column or the junction table, where more than one way leads there. */
  readonly hint: string | undefined
  readonly join: 'inner' | 'left' | undefined
  readonly spread: boolean
  readonly read: Read
}

/** What to read of one relation. Parameters such as `author.name=eq.x` are in the tree of `author`, as `name=eq.x`. */
export interface Read {
  readonly select: readonly SelectItem[]
  /** All must hold. */
  readonly where: readonly Condition[]
  readonly order: readonly OrderTerm[]
  readonly limit: number | undefined
  readonly offset: number | undefined
}

export interface OrderTerm {
  /** A related row's column (`order=author(name)`), where given. */
  readonly relation: string | undefined
  readonly field: Field
  readonly direction: 'asc' | 'desc' | undefined
  readonly nulls: 'first' | 'last' | undefined
}

export type Condition = Logic | Filter

export interface Logic {
  readonly kind: 'and' | 'or'
  readonly negated: boolean
  readonly conditions: readonly Condition[]
}

/** `column=not.operator.value`. A filter whose column is the name of an embed (`author=is.null`) asks whether that is empty. */
export interface Filter {
  readonly kind: 'filter'
  readonly field: Field
  readonly negated: boolean
  readonly test: Test
}

export const comparisons = ['eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'like', 'ilike', 'match', 'imatch'] as const
export type Comparison = (typeof comparisons)[number]
export const containments = ['cs', 'cd', 'ov', 'sl', 'sr', 'nxl', 'nxr', 'adj'] as const
export type Containment = (typeof containments)[number]
export const textSearches = ['fts', 'plfts', 'phfts', 'wfts'] as const
export type TextSearch = (typeof textSearches)[number]

export type Test =
  /** `*` of like and ilike is `%` already. */
  | { readonly operator: Comparison; readonly value: string }
  /** `eq(any).{a,b}`: an array literal of Postgres, as it came. */
  | { readonly operator: Comparison; readonly quantifier: 'any' | 'all'; readonly value: string }
  | { readonly operator: 'isdistinct' | Containment; readonly value: string }
  | { readonly operator: 'in'; readonly values: readonly string[] }
  | { readonly operator: 'is'; readonly value: 'null' | 'not_null' | 'true' | 'false' | 'unknown' }
  | { readonly operator: TextSearch; readonly configuration: string | undefined; readonly value: string }

export interface Preferences {
  readonly return: 'minimal' | 'representation' | 'headers-only' | undefined
  readonly count: 'exact' | 'planned' | 'estimated' | undefined
  readonly resolution: 'merge-duplicates' | 'ignore-duplicates' | undefined
  readonly missing: 'default' | 'null' | undefined
  readonly transaction: 'commit' | 'rollback' | undefined
  readonly handling: 'strict' | 'lenient' | undefined
  readonly maxAffected: number | undefined
  readonly timezone: string | undefined
  /** Read, and not understood: refused under `handling=strict`. */
  readonly unknown: readonly string[]
}

/** The form of the answer, chosen by Accept. */
export type Media =
  | { readonly kind: 'json'; readonly nullsStripped: boolean }
  /** `application/vnd.pgrst.object+json`: exactly one row. */
  | { readonly kind: 'object'; readonly nullsStripped: boolean }
  | { readonly kind: 'array'; readonly nullsStripped: boolean }
  | { readonly kind: 'csv' }
  | { readonly kind: 'geojson' }
  | { readonly kind: 'openapi' }
  /** Of a function that returns one scalar: as it is. */
  | { readonly kind: 'text' }
  | { readonly kind: 'octets' }
  | {
      readonly kind: 'plan'
      readonly format: 'text' | 'json'
      readonly options: readonly ('analyze' | 'verbose' | 'settings' | 'buffers' | 'wal')[]
      /** The form whose plan is asked for. */
      readonly of: 'json' | 'object' | 'csv' | 'geojson'
    }

/** Rows that a body brings. JSON stays text: Postgres reads it, by the column's own type. */
export type Payload =
  /** `keys` are the columns: of the first object, or all where `columns` was given. `array` tells `[…]` from `{…}`. */
  | {
      readonly kind: 'json'
      readonly text: string
      readonly array: boolean
      readonly rows: number
      readonly keys: readonly string[]
    }
  /** Of a function with one unnamed argument, or of one that takes no JSON. */
  | { readonly kind: 'raw'; readonly type: 'text' | 'xml' | 'octets' | 'json'; readonly bytes: Buffer }

export interface Target {
  readonly schema: string
  readonly name: string
}

interface Common {
  readonly target: Target
  readonly read: Read
  readonly preferences: Preferences
  /** In the order in which the caller likes them. Never empty. */
  readonly accept: readonly Media[]
  /** All that the Accept header names, known or not, as a refusal (PGRST107) lists them. */
  readonly acceptNames: readonly string[]
  /** A header chose the schema, or there are several: the answer names it. */
  readonly profiled: boolean
  /** HEAD: the answer's headers without its body. */
  readonly headOnly: boolean
}

/** Rows of the answer from `from` (counted from 0) to `to`, both included. */
export interface RowRange {
  readonly from: number
  readonly to: number | undefined
}

export type RestRequest =
  | (Common & {
      readonly kind: 'read'
      readonly range: RowRange | undefined
      /** As they came: where the answer says that it is found. */
      readonly parameters: readonly (readonly [name: string, value: string])[]
    })
  | (Common & {
      readonly kind: 'insert'
      readonly payload: Payload & { readonly kind: 'json' }
      /** `columns=`: these and no others of the body. */
      readonly columns: readonly string[] | undefined
      readonly onConflict: readonly string[] | undefined
      /** PUT: one row, whose key the filters name. */
      readonly put: boolean
    })
  | (Common & {
      readonly kind: 'update'
      readonly payload: Payload & { readonly kind: 'json' }
      readonly columns: readonly string[] | undefined
    })
  | (Common & { readonly kind: 'delete' })
  | (Common & {
      readonly kind: 'call'
      readonly method: 'GET' | 'POST'
      /** Of GET and of a form: each with its texts, more than one for a variadic argument. */
      readonly named: ReadonlyMap<string, readonly string[]>
      readonly payload: Payload | undefined
      readonly columns: readonly string[] | undefined
      readonly range: RowRange | undefined
    })
  /** The root: what there is. */
  | { readonly kind: 'root'; readonly schema: string; readonly profiled: boolean; readonly headOnly: boolean }
  /** OPTIONS: what may be done with a relation, a function (`target`) or the root. */
  | { readonly kind: 'options'; readonly on: 'relation' | 'function' | 'root'; readonly target: Target }
