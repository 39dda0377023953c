import { foldAscii } from '../../sqlite/tokenize.js'
import { ExpressionTranslator, type Scope } from './expression/expression-translator.js'
import type { Operand } from './expression/operand.js'
import { parseExpression } from './expression/parse-expression.js'
import { columnOperand } from './expression/source-form.js'
import { quoteIdentifier } from './identifiers.js'
import { attempt, refuse } from './refusal.js'
import type { ExpressionContext, Translation } from './translation.js'

export interface ExpressionOptions {
  /** `boolean` makes a condition of it. Default: `value`. */
  readonly as?: 'value' | 'boolean'
  /** Refuse what Postgres takes in no index and no generated column. Default: false. */
  readonly immutable?: boolean
}

/** The columns of one table as a scope. */
const tableScope = ({ columns, table }: ExpressionContext): Scope => ({
  resolve: (qualifier, name) => {
    if (qualifier !== null && (table === undefined || foldAscii(qualifier) !== foldAscii(table))) return null
    const column = columns.get(foldAscii(name))
    if (!column) return null
    const generated = column.generatedSql
    return columnOperand(column, generated ? `(${generated})` : quoteIdentifier(column.target))
  },
})

/** A translator over the columns of one table, and the notes it collects. */
export const translatorFor = (
  context: ExpressionContext,
): { readonly translator: ExpressionTranslator; readonly notes: Set<string> } => {
  const notes = new Set<string>()
  const utf16 = context.encoding !== undefined && context.encoding !== 'UTF-8'
  return { translator: new ExpressionTranslator(tableScope(context), { notes, utf16 }), notes }
}

export const mustBeImmutable = (o: Operand): Operand =>
  o.immutable ? o : refuse('it depends on functions that Postgres does not allow here, because they may change with settings')

/**
 * One expression of SQLite in Postgres' SQL, or the reason why no SQL surely means the same. Comparisons give booleans, where SQLite gives
 * 1 and 0.
 */
export const translateExpression = (sql: string, context: ExpressionContext, options: ExpressionOptions = {}): Translation =>
  attempt(() => {
    const { translator, notes } = translatorFor(context)
    const tree = parseExpression(sql)
    const result = options.as === 'boolean' ? translator.truth(tree) : translator.translate(tree)
    if (result.json) return refuse('a value inside JSON has no one class in SQLite')
    return { sql: (options.immutable ? mustBeImmutable(result) : result).sql, notes: [...notes] }
  }, `Write it anew for Postgres: ${sql}`)
