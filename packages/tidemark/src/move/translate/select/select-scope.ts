import { foldAscii } from '../../../sqlite/tokenize.js'
import type { Scope } from '../expression/expression-translator.js'
import type { Operand } from '../expression/operand.js'
import { columnOperand } from '../expression/source-form.js'
import { quoteIdentifier } from '../identifiers.js'
import { refuse } from '../refusal.js'
import type { ExpressionColumn, TargetName } from '../translation.js'

/** A table or an already translated view that a SELECT may read. */
export interface Relation {
  readonly target: TargetName
  /** All its columns in the file's order, under their names there. */
  readonly columns: readonly { readonly source: string; readonly column: ExpressionColumn }[]
}

/** A relation under the name by which a SELECT calls it. */
export interface NamedRelation {
  readonly name: string
  /** The name in the Postgres query. */
  readonly alias: string
  readonly relation: Relation
}

const same = (a: string, b: string): boolean => foldAscii(a) === foldAscii(b)

export const columnOf = ({ alias }: NamedRelation, column: ExpressionColumn): Operand =>
  columnOperand(column, `${quoteIdentifier(alias)}.${quoteIdentifier(column.target)}`)

/** The columns of one FROM, with those of the queries around it behind them. */
export const selectScope = (relations: readonly NamedRelation[], aliases: ReadonlySet<string>, outer: Scope | null): Scope => ({
  resolve: (table, name) => {
    const found = relations
      .filter((relation) => table === null || same(relation.name, table))
      .flatMap((named) =>
        named.relation.columns.filter(({ source }) => same(source, name)).map(({ column }) => columnOf(named, column)),
      )
    if (found.length > 1) return refuse(`${name} stands in several tables`)
    const [own] = found
    if (own) return own
    // Before SQLite looks further it takes the name of a result column, also in WHERE.
    if (table === null && aliases.has(foldAscii(name)))
      return refuse(`${name} names a result column where Postgres only takes a table's`)
    return outer?.resolve(table, name) ?? null
  },
})
