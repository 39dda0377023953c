import type { Affinity } from '../../../sqlite/sqlite.js'
import type { Conversion } from '../../move.js'
import { refuse } from '../refusal.js'
import { jsonAsText } from './json-values.js'
import { asText, cast, describeKind, isNumeric, type Operand, operand } from './operand.js'
import { booleanDigits, inSourceForm } from './source-form.js'

/** A column that receives computed values. */
export interface ReceivingColumn {
  readonly targetType: string
  readonly conversion: Conversion
  /** Of the declared type in SQLite, which is applied to what is stored. */
  readonly affinity: Affinity
}

const unfit = (o: Operand, { targetType }: ReceivingColumn): never =>
  refuse(`${describeKind(o.kind)} is stored in a column that becomes ${targetType}`)

const toInteger = (o: Operand, column: ReceivingColumn): Operand => {
  if (o.kind !== 'integer' || column.affinity === 'TEXT' || column.affinity === 'REAL') return unfit(o, column)
  return cast(o.pg === 'boolean' ? cast(o, 'integer') : o, 'bigint')
}

const toReal = (o: Operand, column: ReceivingColumn): Operand => {
  if (!isNumeric(o) || column.affinity === 'TEXT' || column.targetType !== 'double precision') return unfit(o, column)
  const number = o.pg === 'boolean' ? cast(o, 'integer') : o
  return number.pg === 'double precision' ? number : cast(number, 'double precision')
}

const toNumeric = (o: Operand, column: ReceivingColumn): Operand => {
  if (!isNumeric(o) || column.affinity === 'TEXT') return unfit(o, column)
  if (o.kind !== 'integer' && column.targetType !== 'numeric')
    return refuse(`a real is stored in a column that becomes ${column.targetType}, which would round it`)
  if (o.pg === 'numeric' && o.literal === undefined) return o
  // Through its shortest digits: the direct cast keeps fifteen only.
  return o.pg === 'double precision'
    ? cast(cast(o, 'text'), 'numeric')
    : cast(o.pg === 'boolean' ? cast(o, 'integer') : o, 'numeric')
}

const toText = (o: Operand, column: ReceivingColumn): Operand => {
  if (o.kind === 'text') return o
  return column.affinity === 'TEXT' && o.kind === 'integer' ? asText(o, 'the column') : unfit(o, column)
}

const toBoolean = (o: Operand, column: ReceivingColumn): Operand => {
  const digits = column.conversion.kind === 'boolean' ? booleanDigits(column.conversion) : null
  const fits = digits?.[0] === '1' && digits[1] === '0' && column.affinity !== 'TEXT'
  return fits && o.pg === 'boolean' ? o : unfit(o, column)
}

const isSame = (a: Conversion, b: Conversion): boolean => JSON.stringify(a) === JSON.stringify(b)

/**
 * A computed value as the column holds it: SQLite applies the affinity of the declared type, the move its conversion. Refuses where the two
 * together have no counterpart.
 */
export const coerce = (native: Operand, column: ReceivingColumn, notes: Set<string>): Operand => {
  const { conversion, affinity } = column
  if (native.json) return conversion.kind === 'text' && affinity === 'TEXT' ? jsonAsText(native, notes) : unfit(native, column)
  if (native.column && native.affinity === affinity && isSame(native.column.conversion, conversion)) return native
  const o = inSourceForm(native)
  if (o.kind === 'null') return operand('NULL', 'null', 'null', { atomic: true })
  switch (conversion.kind) {
    case 'integer':
      return toInteger(o, column)
    case 'real':
      return toReal(o, column)
    case 'numeric':
      return toNumeric(o, column)
    case 'text':
      return toText(o, column)
    case 'bytes':
      return o.kind === 'blob' && affinity !== 'TEXT' ? o : unfit(o, column)
    case 'boolean':
      return toBoolean(o, column)
    default:
      return unfit(o, column)
  }
}
