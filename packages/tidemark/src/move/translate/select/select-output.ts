import type { Conversion } from '../../move.js'
import { booleanToInteger, type Operand } from '../expression/operand.js'
import { refuse } from '../refusal.js'
import type { ExpressionColumn } from '../translation.js'

/** One result column of a SELECT: its SQL, the name it goes by, and what a query over it has to know. */
export interface OutputColumn {
  readonly sql: string
  readonly name: string
  /** False where SQLite would take the expression's text for its name. */
  readonly isNamed: boolean
  readonly operand: Operand
  readonly column: Omit<ExpressionColumn, 'target'>
}

const conversionOf = (o: Operand): Conversion => {
  if (o.kind === 'integer') return { kind: 'integer' }
  if (o.kind === 'blob') return { kind: 'bytes' }
  if (o.kind === 'real' || o.kind === 'number')
    return { kind: o.pg === 'numeric' && o.literal === undefined ? 'numeric' : 'real' }
  return { kind: 'text' }
}

const typeOf = (o: Operand): string =>
  o.pg === 'null' ? 'text' : o.kind === 'real' && o.literal !== undefined ? 'double precision' : o.pg

/** A result column as the view gives it: bare columns in the target's own type, conditions as SQLite's 1 and 0. */
export const outputOf = (native: Operand, name: string, isNamed = true): OutputColumn => {
  if (native.json) return refuse(`${name} is a value inside JSON, whose class in SQLite depends on the document`)
  if (native.column) {
    const { targetType, conversion, collation } = native.column
    return {
      sql: native.sql,
      name,
      isNamed,
      operand: native,
      column: { targetType, conversion, collation, affinity: native.column.affinity },
    }
  }
  const o = booleanToInteger(native)
  const targetType = typeOf(o)
  const sql = o.literal === undefined ? o.sql : `${o.atomic ? o.sql : `(${o.sql})`}::${targetType}`
  // A calculated column has no affinity; BLOB is the one that changes nothing.
  const column = { targetType, conversion: conversionOf(o), collation: 'BINARY', affinity: o.affinity ?? ('BLOB' as const) }
  return { sql, name, isNamed, operand: o, column }
}

/** Whether equal means the same in both systems, so that doubles may be dropped and groups made. */
export const mustBeComparable = ({ operand: o, column, name }: OutputColumn): void => {
  const { conversion, collation } = column
  const merges =
    conversion.kind === 'anyText' || conversion.kind === 'anyBytes' || conversion.kind === 'json' || conversion.kind === 'jsonb'
  const several =
    (conversion.kind === 'boolean' && conversion.truthy.length + conversion.falsy.length > 2) ||
    ((conversion.kind === 'timestamp' || conversion.kind === 'timestamptz') && conversion.format === null)
  const isText = conversion.kind === 'text'
  if (merges || several) refuse(`${name} is grouped, and values that differ in the file may be equal in Postgres`)
  if (isText && (collation !== 'BINARY' || (o.collation && o.collation.name !== 'BINARY')))
    refuse(`${name} is grouped by a collation`)
}
