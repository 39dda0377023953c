import type { ExpressionTranslator } from '../expression/expression-translator.js'
import type { CallExpression } from '../expression/expression-tree.js'
import { keepsOrder } from '../expression/moments.js'
import { asDouble, asText, booleanToInteger, isNumeric, type Operand, operand, wrap } from '../expression/operand.js'
import { inSourceForm } from '../expression/source-form.js'
import { refuse } from '../refusal.js'

type Aggregate = (value: Operand, expression: CallExpression, translator: ExpressionTranslator) => Operand

const roundingNote = 'sums and averages of reals may differ in their last digits'

const result = (sql: string, kind: Operand['kind'], pg: Operand['pg']): Operand =>
  operand(sql, kind, pg, { atomic: true, immutable: false })

const mustBeNumber = (o: Operand, name: string): Operand =>
  isNumeric(o)
    ? booleanToInteger(o)
    : refuse(`${name}() is applied to what is no number; SQLite reads the number at its beginning`)

const sum: Aggregate = (value, { distinct }, { context }) => {
  const o = mustBeNumber(inSourceForm(value), 'sum')
  const sql = `sum(${distinct ? 'DISTINCT ' : ''}${o.sql})`
  if (o.kind === 'integer') return result(`${sql}::bigint`, 'integer', 'bigint')
  context.notes.add(roundingNote)
  return result(sql, o.kind, o.pg === 'numeric' ? 'numeric' : 'double precision')
}

const average: Aggregate = (value, { distinct }, { context }) => {
  const o = asDouble(mustBeNumber(inSourceForm(value), 'avg'))
  context.notes.add(roundingNote)
  return result(`avg(${distinct ? 'DISTINCT ' : ''}${o.sql})`, 'real', 'double precision')
}

const total: Aggregate = (value, { distinct }, { context }) => {
  const o = asDouble(mustBeNumber(inSourceForm(value), 'total'))
  context.notes.add(roundingNote)
  return result(`COALESCE(sum(${distinct ? 'DISTINCT ' : ''}${o.sql}), 0)`, 'real', 'double precision')
}

/** Whether the order of the target's values is that of the file's. */
export const isOrderKept = ({ column }: Operand): boolean => {
  const conversion = column?.conversion
  if (!conversion) return false
  if (conversion.kind === 'timestamp' || conversion.kind === 'timestamptz')
    return (
      conversion.format !== null &&
      keepsOrder(conversion.format) &&
      (conversion.kind === 'timestamp' || conversion.format.zone !== 'none' || conversion.timeZone.toUpperCase() === 'UTC')
    )
  return conversion.kind === 'date' || conversion.kind === 'epoch'
}

const extreme =
  (pg: 'min' | 'max'): Aggregate =>
  (value, _, { context }) => {
    if (isOrderKept(value))
      return { ...value, sql: `${pg}(${value.sql})`, atomic: true, affinity: null, collation: null, immutable: false }
    const o = inSourceForm(value)
    if (isNumeric(o)) return result(`${pg}(${booleanToInteger(o).sql})`, o.kind, booleanToInteger(o).pg)
    if (o.kind !== 'text' || (o.collation && o.collation.name !== 'BINARY') || context.utf16)
      return refuse(`${pg}() follows an order that Postgres does not have`)
    return result(`${pg}(${wrap(o)} COLLATE "C")`, 'text', 'text')
  }

const count: Aggregate = (value, { distinct }) => {
  if (!distinct) return result(`count(${value.sql})`, 'integer', 'bigint')
  const o = inSourceForm(value)
  if (o.kind === 'text' && o.collation && o.collation.name !== 'BINARY') return refuse('count(DISTINCT …) follows a collation')
  return result(`count(DISTINCT ${o.sql})`, 'integer', 'bigint')
}

const concatenation: Aggregate = (value, expression, translator) => {
  const text = asText(inSourceForm(value), 'group_concat()')
  const [, separator] = expression.args
  const by = separator ? asText(translator.value(separator), 'group_concat()').sql : "','"
  if (expression.distinct) return refuse('group_concat(DISTINCT …) keeps an order of its own')
  translator.context.notes.add('group_concat() puts values together in no certain order, in SQLite as in Postgres')
  return result(`string_agg(${text.sql}, ${by})`, 'text', 'text')
}

const aggregates: Readonly<Record<string, Aggregate>> = {
  avg: average,
  count,
  group_concat: concatenation,
  max: extreme('max'),
  min: extreme('min'),
  string_agg: concatenation,
  sum,
  total,
}

/** True where the call is an aggregate; min and max of several arguments are scalar. */
export const isAggregate = ({ name, args, star }: CallExpression): boolean =>
  Object.hasOwn(aggregates, name) &&
  (star || args.length === 1 || (args.length === 2 && (name === 'group_concat' || name === 'string_agg')))

export const translateAggregate = (expression: CallExpression, translator: ExpressionTranslator): Operand | null => {
  if (!isAggregate(expression)) return null
  if (expression.star)
    return expression.name === 'count' ? result('count(*)', 'integer', 'bigint') : refuse(`${expression.name}(*) is no aggregate`)
  const [argument] = expression.args
  const aggregate = aggregates[expression.name]
  return argument && aggregate ? aggregate(translator.translate(argument), expression, translator) : null
}
