/** SQLite's SQL in Postgres' words: one function per kind of object, each answering with SQL or with the reason there is none. */

export type { DefaultColumn } from './default/translate-default.js'
export { translateDefault } from './default/translate-default.js'
export { describeTrigger } from './describe-trigger.js'
export { fitIdentifier, maxIdentifierBytes, qualifiedName, quoteIdentifier, quoteLiteral } from './identifiers.js'
export type { Relation } from './select/select-scope.js'
export type { Relations } from './select/select-translator.js'
export { tableContext, tableRelation } from './table-context.js'
export type { CarriedCheck, CheckTarget } from './translate-check.js'
export { translateCheck } from './translate-check.js'
export type { ExpressionOptions } from './translate-expression.js'
export { translateExpression } from './translate-expression.js'
export type { ForeignKeyTarget } from './translate-foreign-key.js'
export { translateForeignKey } from './translate-foreign-key.js'
export type { GeneratedTarget } from './translate-generated.js'
export { translateGenerated } from './translate-generated.js'
export type { IndexTarget } from './translate-index.js'
export { translateIndex } from './translate-index.js'
export type { CarriedView, ViewTarget } from './translate-view.js'
export { translateView } from './translate-view.js'
export type {
  Carried,
  ExpressionColumn,
  ExpressionContext,
  NotCarried,
  PlannedColumn,
  TargetName,
  Translation,
} from './translation.js'
export { isCarried } from './translation.js'
