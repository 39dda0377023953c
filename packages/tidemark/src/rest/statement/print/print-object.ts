import { outputsOf } from '../outputs.js'
import type { Output, ReadPlan } from '../plan.js'
import { join, literal, own, type Sql, sql, textValue } from './sql.js'

/** Functions take a hundred arguments at most. */
const maxPairs = 50

type Placed = readonly [output: Output, index: number]

const pairSql = ([{ name, known }, index]: Placed): Sql => sql`${known ? literal(name) : textValue(name)}, x.${own('c', index)}`

const everything = (): boolean => true

/** One object of neutral columns, whose keys are the caller's: as values, since no name of theirs may be written. */
export const objectSql = (read: Pick<ReadPlan, 'items' | 'row'>, shows: (output: Output) => boolean = everything): Sql => {
  const placed = outputsOf(read).map((output, index): Placed => [output, index])
  const pairs = placed.filter(([output]) => shows(output)).map(pairSql)
  if (pairs.length === 0) return sql`'{}'::json`
  if (pairs.length <= maxPairs) return sql`json_build_object(${join(pairs)})`
  const parts = Array.from({ length: Math.ceil(pairs.length / maxPairs) }, (_, part) => {
    const some = pairs.slice(part * maxPairs, (part + 1) * maxPairs)
    return sql`json_build_object(${join(some)})::text`
  })
  const inner = parts.map((part) => sql`left(right(${part}, -1), -1)`)
  return sql`('{' || concat_ws(', ', ${join(inner)}) || '}')::json`
}
