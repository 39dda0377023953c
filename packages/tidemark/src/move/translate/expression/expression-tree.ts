/** SQLite's expressions and SELECTs as trees. Operators keep SQLite's names; words are lower-cased. */

export type LiteralValue = null | bigint | number | string | Uint8Array

export type BinaryOperator =
  | ComparisonOperator
  | 'and'
  | 'or'
  | '||'
  | '->'
  | '->>'
  | '*'
  | '/'
  | '%'
  | '+'
  | '-'
  | '&'
  | '|'
  | '<<'
  | '>>'

export type ComparisonOperator = '=' | '<>' | '<' | '<=' | '>' | '>=' | 'is' | 'is not'

export interface CallExpression {
  readonly kind: 'call'
  readonly name: string
  readonly args: readonly Expression[]
  /** `count(*)` */
  readonly star: boolean
  readonly distinct: boolean
}

export interface NameExpression {
  readonly kind: 'name'
  readonly table: string | null
  readonly name: string
  /** SQLite takes an unknown name in double quotes for a string, and bare TRUE and FALSE for numbers. */
  readonly quote: 'bare' | 'double' | 'other'
}

export type Expression =
  | { readonly kind: 'literal'; readonly value: LiteralValue }
  | NameExpression
  | { readonly kind: 'now'; readonly part: 'timestamp' | 'date' | 'time' }
  | { readonly kind: 'unary'; readonly operator: '-' | '+' | '~' | 'not'; readonly operand: Expression }
  | { readonly kind: 'binary'; readonly operator: BinaryOperator; readonly left: Expression; readonly right: Expression }
  | {
      readonly kind: 'match'
      readonly operator: 'like' | 'glob' | 'regexp' | 'match'
      readonly operand: Expression
      readonly pattern: Expression
      readonly escaping: Expression | null
    }
  | { readonly kind: 'between'; readonly operand: Expression; readonly low: Expression; readonly high: Expression }
  | { readonly kind: 'in'; readonly operand: Expression; readonly list: readonly Expression[] }
  | { readonly kind: 'inQuery'; readonly operand: Expression; readonly query: Query }
  | {
      readonly kind: 'case'
      readonly operand: Expression | null
      readonly branches: readonly { readonly when: Expression; readonly result: Expression }[]
      readonly otherwise: Expression | null
    }
  | { readonly kind: 'cast'; readonly operand: Expression; readonly type: string }
  | { readonly kind: 'collate'; readonly operand: Expression; readonly collation: string }
  | CallExpression
  | { readonly kind: 'query'; readonly query: Query }
  | { readonly kind: 'exists'; readonly query: Query }

export interface OrderTerm {
  readonly expression: Expression
  readonly descending: boolean
  readonly nulls: 'first' | 'last' | null
}

export type ResultColumn =
  | { readonly kind: 'star'; readonly table: string | null }
  | { readonly kind: 'expression'; readonly expression: Expression; readonly alias: string | null }

export interface FromItem {
  readonly table: string
  readonly alias: string | null
  /** How it is joined to what stands before it; null for the first. */
  readonly join: 'inner' | 'left' | 'cross' | null
  readonly on: Expression | null
}

export interface SelectCore {
  readonly distinct: boolean
  readonly columns: readonly ResultColumn[]
  readonly from: readonly FromItem[]
  readonly where: Expression | null
  readonly groupBy: readonly Expression[]
  readonly having: Expression | null
}

/** One SELECT, or several put together. */
export interface Query {
  readonly cores: readonly SelectCore[]
  /** Between the cores: one fewer than those. */
  readonly compounds: readonly ('union' | 'union all' | 'intersect' | 'except')[]
  readonly orderBy: readonly OrderTerm[]
  readonly limit: Expression | null
  readonly offset: Expression | null
}
