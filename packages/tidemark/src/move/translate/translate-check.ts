import type { SqliteCheck } from '../../sqlite/sqlite.js'
import { parseExpression } from './expression/parse-expression.js'
import { qualifiedName, quoteIdentifier } from './identifiers.js'
import { attempt } from './refusal.js'
import { translatorFor } from './translate-expression.js'
import type { Carried, ExpressionContext, NotCarried, TargetName } from './translation.js'

export interface CheckTarget {
  readonly table: TargetName
  /** Of the constraint, fitted. */
  readonly name: string
  /** Leave rows that stand there unchecked. Default: false. */
  readonly notValid?: boolean
}

export interface CarriedCheck extends Carried {
  /** The condition alone, as it may stand in a CREATE TABLE. */
  readonly expression: string
}

/** A CHECK as `ALTER TABLE … ADD CONSTRAINT`. In both systems a condition that is NULL lets the row pass. */
export const translateCheck = (check: SqliteCheck, context: ExpressionContext, target: CheckTarget): CarriedCheck | NotCarried =>
  attempt(() => {
    const { translator, notes } = translatorFor(context)
    const expression = translator.truth(parseExpression(check.expression)).sql
    const valid = target.notValid ? ' NOT VALID' : ''
    const sql = `ALTER TABLE ${qualifiedName(target.table)} ADD CONSTRAINT ${quoteIdentifier(target.name)} CHECK (${expression})${valid}`
    return { sql, expression, notes: [...notes] }
  }, `Write it anew for Postgres: CHECK (${check.expression})`)
