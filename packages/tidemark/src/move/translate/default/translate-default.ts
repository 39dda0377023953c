import { foldAscii } from '../../../sqlite/tokenize.js'
import { coerce, type ReceivingColumn } from '../expression/coerce.js'
import { isFractional, parseCurrentMoment } from '../expression/current-moment.js'
import type { Expression } from '../expression/expression-tree.js'
import { wrap } from '../expression/operand.js'
import { parseExpression } from '../expression/parse-expression.js'
import { attempt } from '../refusal.js'
import { translatorFor } from '../translate-expression.js'
import type { Translation } from '../translation.js'
import { constantSql } from './default-constants.js'
import { currentMomentSql } from './default-moments.js'
import { randomSql } from './default-random.js'

/** The column whose default it is. */
export type DefaultColumn = ReceivingColumn

/** A lone word is text, whatever its quotes; bare TRUE and FALSE are numbers. */
const readWord = (expression: Expression): Expression => {
  if (expression.kind !== 'name' || expression.table !== null) return expression
  const word = foldAscii(expression.name)
  const isTruth = expression.quote === 'bare' && (word === 'true' || word === 'false')
  return { kind: 'literal', value: isTruth ? (word === 'true' ? 1n : 0n) : expression.name }
}

/** JSON without the blanks between its tokens, as json() gives it back. */
const minified = (json: string): string => json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1')

/** json('…'), json_array() and json_object() of nothing are constants. */
const readJson = (expression: Expression): Expression => {
  if (expression.kind !== 'call') return expression
  const [document] = expression.args
  if (expression.args.length === 0 && expression.name === 'json_array') return { kind: 'literal', value: '[]' }
  if (expression.args.length === 0 && expression.name === 'json_object') return { kind: 'literal', value: '{}' }
  if (
    expression.name === 'json' &&
    expression.args.length === 1 &&
    document?.kind === 'literal' &&
    typeof document.value === 'string'
  )
    return { kind: 'literal', value: minified(document.value) }
  return expression
}

const defaultSqlOf = (sql: string, column: DefaultColumn, notes: Set<string>): string => {
  const tree = readJson(readWord(parseExpression(sql)))
  const moment = isFractional(tree) ? null : parseCurrentMoment(tree)
  if (moment) return currentMomentSql(moment, column, notes)
  const random = randomSql(sql, tree, column, notes)
  if (random !== null) return random
  const { translator, notes: found } = translatorFor({ columns: new Map() })
  const value = translator.translate(tree)
  for (const note of found) notes.add(note)
  return value.literal === undefined ? wrap(coerce(value, column, notes)) : constantSql(value.literal, column, notes)
}

/** A default as Postgres takes it after DEFAULT, giving what SQLite would have stored, in the column's own type. */
export const translateDefault = (defaultSql: string, column: DefaultColumn): Translation =>
  attempt(() => {
    const notes = new Set<string>()
    const sql = defaultSqlOf(defaultSql, column, notes)
    return { sql, notes: [...notes] }
  }, `Without a default, an INSERT that leaves the column out stores NULL; SQLite's was ${defaultSql}.`)
