import { foldAscii } from '../../sqlite/tokenize.js'
import { coerce, type ReceivingColumn } from './expression/coerce.js'
import { parseExpression } from './expression/parse-expression.js'
import { attempt } from './refusal.js'
import { mustBeImmutable, translatorFor } from './translate-expression.js'
import type { ExpressionContext, Translation } from './translation.js'

export interface GeneratedTarget extends ReceivingColumn {
  /** The source column's name, which the expression must not name. */
  readonly source: string
}

/**
 * The expression of a generated column for `GENERATED ALWAYS AS (…) STORED`; Postgres 15 to 17 have no other kind. Other generated columns that
 * it names are written out, so their `generatedSql` has to be in the context: translate them first.
 */
export const translateGenerated = (expression: string, context: ExpressionContext, target: GeneratedTarget): Translation =>
  attempt(() => {
    const columns = new Map(context.columns)
    columns.delete(foldAscii(target.source))
    const { translator, notes } = translatorFor({ ...context, columns })
    const value = coerce(translator.translate(parseExpression(expression)), target, notes)
    return { sql: mustBeImmutable(value).sql, notes: [...notes] }
  }, `Keep it as an ordinary column, or write it anew for Postgres: ${expression}`)
