import type { Column, ComputedColumn, RelationName } from '../catalogue.js'
import type { Aggregate, JsonStep, Test } from '../query.js'

/**
 * A request with every name looked up: what is to be written as an identifier is the catalogue's own object from here on, and
 * what is left of the caller's texts are values and the keys of the answer's JSON.
 */

/** What the names of one relation's columns mean. */
export interface RowType {
  /** Whose computed columns there are; undefined for a function's own record. */
  readonly relation: RelationName | undefined
  readonly columns: ReadonlyMap<string, Column>
  /** How an error calls it, as Postgres would. */
  readonly label: string
}

export type Base =
  | { readonly kind: 'column'; readonly column: Column }
  | { readonly kind: 'computed'; readonly computed: ComputedColumn }
  /** The one value of a function that returns no rows. */
  | { readonly kind: 'scalar' }

export interface FieldPlan {
  readonly base: Base
  readonly path: readonly JsonStep[]
}

export type Value =
  | { readonly kind: 'field'; readonly field: FieldPlan; readonly cast: string | undefined }
  /** True for every row there is: what `count()` counts. */
  | { readonly kind: 'row' }
  | { readonly kind: 'embed'; readonly embed: EmbedPlan }
  /** One of the columns of a spread relation. */
  | { readonly kind: 'spread'; readonly embed: EmbedPlan; readonly index: number }

export interface AggregatePlan {
  readonly function: Aggregate
  readonly cast: string | undefined
}

/** One key of the answer's objects. */
export interface Output {
  readonly name: string
  /** The name is the catalogue's, and may be written as a column's name. */
  readonly known: boolean
  readonly value: Value
  readonly aggregate: AggregatePlan | undefined
}

/** `*` stays together, so that a column that was added a moment ago comes along. */
export type Item = { readonly kind: 'all' } | ({ readonly kind: 'output' } & Output)

export type Link =
  /** Pairs: the outer relation's column, the inner one's. */
  | { readonly kind: 'columns'; readonly pairs: readonly (readonly [string, string])[] }
  | {
      readonly kind: 'junction'
      readonly junction: RelationName
      /** Pairs: the outer relation's column, the junction's. */
      readonly outer: readonly (readonly [string, string])[]
      /** Pairs: the inner relation's column, the junction's. */
      readonly inner: readonly (readonly [string, string])[]
    }
  | { readonly kind: 'computed'; readonly function: RelationName }

export interface EmbedPlan {
  /** What orders and filters call it. */
  readonly name: string
  readonly link: Link
  readonly toOne: boolean
  readonly join: 'inner' | 'left'
  readonly spread: boolean
  /** Joined, and not shown: `relation()`. */
  readonly hidden: boolean
  readonly read: ReadPlan
  /** Fields of its row that the outer relation is ordered by, besides those that it shows. */
  readonly keys: readonly FieldPlan[]
  /** Some filter asks whether it is empty. */
  readonly asked: boolean
}

export type ConditionPlan =
  | {
      readonly kind: 'logic'
      readonly operator: 'and' | 'or'
      readonly negated: boolean
      readonly conditions: readonly ConditionPlan[]
    }
  | { readonly kind: 'filter'; readonly field: FieldPlan; readonly negated: boolean; readonly test: Test }
  | { readonly kind: 'empty'; readonly embed: EmbedPlan; readonly negated: boolean }

export type OrderTarget =
  | { readonly kind: 'field'; readonly field: FieldPlan }
  /** A column that a spread embed shows. */
  | { readonly kind: 'spread'; readonly embed: EmbedPlan; readonly index: number }
  /** One of an embed's keys; `shown`: what the embed shows tells it, so that groups may be told apart by it. */
  | { readonly kind: 'key'; readonly embed: EmbedPlan; readonly index: number; readonly shown: boolean }
  /** An output of the relation itself, by its alias. */
  | { readonly kind: 'output'; readonly output: Output }

export interface OrderPlan {
  readonly target: OrderTarget
  readonly direction: 'asc' | 'desc' | undefined
  readonly nulls: 'first' | 'last' | undefined
}

export interface ReadPlan {
  /** Tells its names from those of the other reads of the statement. */
  readonly id: number
  /** `source`: rows that another part of the statement gave (written, or returned by a function). */
  readonly from: RelationName | 'source'
  readonly row: RowType
  readonly items: readonly Item[]
  readonly embeds: readonly EmbedPlan[]
  readonly where: readonly ConditionPlan[]
  readonly order: readonly OrderPlan[]
  readonly limit: number | undefined
  readonly offset: number | undefined
  /** Some output is an aggregate, the others make the groups. */
  readonly grouped: boolean
}
