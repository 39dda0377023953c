import { outputsOf } from './outputs.js'
import type { Output, ReadPlan } from './plan.js'
import { join, literal, own, type Sql, sql, textValue } from './sql.js'

/** Functions take a hundred arguments at most. */
const maxPairs = 50

const pairSql = ({ name, known }: Output, index: number): Sql =>
  sql`${known ? literal(name) : textValue(name)}, x.${own('c', index)}`

/** One object of neutral columns, whose keys are the caller's: as values, since no name of theirs may be written. */
export const objectSql = (read: Pick<ReadPlan, 'items' | 'row'>): Sql => {
  const pairs = outputsOf(read).map(pairSql)
  if (pairs.length === 0) return sql`'{}'::json`
  if (pairs.length <= maxPairs) return sql`json_build_object(${join(pairs)})`
  const parts = Array.from({ length: Math.ceil(pairs.length / maxPairs) }, (_, part) => {
    const some = pairs.slice(part * maxPairs, (part + 1) * maxPairs)
    return sql`json_build_object(${join(some)})::text`
  })
  const inner = parts.map((part) => sql`left(right(${part}, -1), -1)`)
  return sql`('{' || concat_ws(', ', ${join(inner)}) || '}')::json`
}
