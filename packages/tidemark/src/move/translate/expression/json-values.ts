import { quoteLiteral } from '../identifiers.js'
import { refuse } from '../refusal.js'
import type { ComparisonOperator } from './expression-tree.js'
import { boolean, type Operand, operand, wrap } from './operand.js'

/** The steps of a path such as `$.a.b[0]."odd key"`. */
export const parseJsonPath = (path: string): string[] => {
  if (!path.startsWith('$')) return refuse(`the JSON path ${path} does not begin with $`)
  const steps: string[] = []
  const step = /\.([^."[\]]+)|\."([^"\\]+)"|\[(\d+)\]/y
  step.lastIndex = 1
  while (step.lastIndex < path.length) {
    const found = step.exec(path)
    if (!found) return refuse(`the JSON path ${path} has no counterpart in Postgres`)
    steps.push(found[1] ?? found[2] ?? found[3] ?? '')
  }
  return steps
}

/** The step on the right of `->` and `->>`: a path, a key or an index. */
export const parseJsonStep = (step: Operand): string[] => {
  if (typeof step.literal === 'bigint' && step.literal >= 0n) return [step.literal.toString()]
  if (typeof step.literal !== 'string') return refuse('a JSON path is computed')
  return step.literal.startsWith('$') ? parseJsonPath(step.literal) : [step.literal]
}

const pathArray = (path: readonly string[]): string =>
  quoteLiteral(`{${path.map((step) => `"${step.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join(',')}}`)

/** A value inside a json or jsonb column. Its class depends on the document, so only some uses of it have an answer. */
export const jsonValue = (column: Operand, path: readonly string[]): Operand => {
  const kind = column.column?.conversion.kind
  if (kind !== 'json' && kind !== 'jsonb') return refuse('a value is taken out of JSON that is kept as text')
  if (path.length === 0) return refuse('a whole JSON document is taken for a value')
  return operand(`${column.sql} #>> ${pathArray(path)}`, 'null', 'other', { json: { column, path }, immutable: column.immutable })
}

const asJsonb = ({ column }: NonNullable<Operand['json']>): string =>
  column.column?.conversion.kind === 'jsonb' ? column.sql : `${column.sql}::jsonb`

const constants = (constant: Operand): string[] | null => {
  const value = constant.literal
  if (typeof value === 'string') {
    // Objects and arrays are compared by their text in SQLite.
    return /^\s*[[{]/.test(value) ? null : [JSON.stringify(value)]
  }
  if (value === 1n) return ['1', 'true']
  if (value === 0n) return ['0', 'false']
  return typeof value === 'bigint' ? [String(value)] : null
}

/** A value inside JSON beside a constant: compared as JSON, where the class is part of the value. Null where neither side is one. */
export const compareJson = (operator: ComparisonOperator, a: Operand, b: Operand): Operand | null => {
  const [value, constant] = a.json ? [a, b] : [b, a]
  if (!value.json) return null
  const wanted = constant.affinity === null && !constant.json ? constants(constant) : null
  if (!wanted || (operator !== '=' && operator !== '<>'))
    return refuse('a value inside JSON is compared, and its class in SQLite depends on the document')
  const found = `NULLIF(${asJsonb(value.json)} #> ${pathArray(value.json.path)}, 'null'::jsonb)`
  const list = wanted.map((json) => `${quoteLiteral(json)}::jsonb`)
  const equal =
    list.length === 1 ? `${found} ${operator} ${list[0]}` : `${found} ${operator === '=' ? 'IN' : 'NOT IN'} (${list.join(', ')})`
  return boolean(equal, value.immutable)
}

/** The value inside JSON as a TEXT column of SQLite holds it. Fractions, objects and arrays keep their spelling in the document. */
export const jsonAsText = ({ json, sql, immutable }: Operand, notes: Set<string>): Operand => {
  if (!json) return refuse('there is no JSON')
  notes.add('numbers with a fraction, objects and arrays inside JSON keep the spelling of the document')
  const value = `${wrap(json.column)} #> ${pathArray(json.path)}`
  const typed = json.column.column?.conversion.kind === 'jsonb' ? 'jsonb_typeof' : 'json_typeof'
  const text = `CASE WHEN ${typed}(${value}) = 'boolean' THEN CASE WHEN ${sql} = 'true' THEN '1' ELSE '0' END ELSE ${sql} END`
  return operand(text, 'text', 'text', { immutable })
}
