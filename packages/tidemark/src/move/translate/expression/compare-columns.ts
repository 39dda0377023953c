import type { Conversion, MomentFormat } from '../../move.js'
import { quoteLiteral } from '../identifiers.js'
import { refuse } from '../refusal.js'
import { pair } from './comparison-words.js'
import type { ComparisonOperator } from './expression-tree.js'
import { isDate, keepsOrder, readMoment, zoneSql } from './moments.js'
import { parseNumericText } from './numeric-text.js'
import { type Operand, operand } from './operand.js'

type Of<K extends Conversion['kind']> = Extract<Conversion, { kind: K }>

const isEquality = (operator: ComparisonOperator): boolean => ['=', '<>', 'is', 'is not'].includes(operator)

const mirrored: Readonly<Partial<Record<ComparisonOperator, ComparisonOperator>>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' }

const against = (column: Operand, operator: ComparisonOperator, sql: string): Operand =>
  pair(operator, column, operand(sql, 'null', 'other', { atomic: true }))

/** The written form of a boolean's constant: numbers as their digits, and as the column's affinity would store it. */
const writtenForm = (column: Operand, constant: Operand): string | null => {
  if (typeof constant.literal === 'bigint') return constant.literal.toString()
  if (typeof constant.literal !== 'string') return null
  const number = column.affinity === 'TEXT' ? null : parseNumericText(constant.literal)
  return number === null ? constant.literal : String(number)
}

const compareBoolean = (
  { truthy, falsy }: Of<'boolean'>,
  operator: ComparisonOperator,
  column: Operand,
  constant: Operand,
  notes: Set<string>,
): Operand | null => {
  const form = writtenForm(column, constant)
  // Without an affinity of its own the column may hold 1 and '1' side by side; another collation takes several forms for one.
  const isExact = column.affinity !== 'BLOB' && (column.affinity !== 'TEXT' || column.collation?.name === 'BINARY')
  if (form === null || !isExact || !isEquality(operator)) return null
  const forms = truthy.includes(form) ? truthy : falsy.includes(form) ? falsy : null
  if (!forms) return null
  if (forms.length > 1) notes.add(`${forms.join(', ')} in ${column.sql} are one value in Postgres`)
  return against(column, operator, forms === truthy ? 'TRUE' : 'FALSE')
}

/**
 * A constant that begins with a whole day, beside texts of which one is the beginning of the other. The shorter text is the smaller, so the
 * comparison is moved to the day's edge. Only orders have an answer; equality never holds.
 */
const compareWithPrefix = (operator: ComparisonOperator, column: Operand, edge: string, columnIsLonger: boolean): Operand => {
  if (isEquality(operator))
    return refuse(`${column.sql} is compared with a constant that is written in another form than its values`)
  const upper = operator === '>' || operator === '>='
  const moved = columnIsLonger ? (upper ? '>=' : '<') : upper ? '>' : '<='
  return against(column, moved, edge)
}

const compareDate = (operator: ComparisonOperator, column: Operand, text: string): Operand | null => {
  if (isDate(text)) return against(column, operator, `DATE '${text}'`)
  const day = text.slice(0, 10)
  return isDate(day) ? compareWithPrefix(operator, column, `DATE '${day}'`, false) : null
}

const compareMoment = (
  operator: ComparisonOperator,
  column: Operand,
  text: string,
  format: MomentFormat,
  write: (moment: string) => string,
): Operand | null => {
  if (!isEquality(operator) && !keepsOrder(format))
    return refuse(`the order of the texts of ${column.sql} is not that of the moments`)
  const moment = readMoment(text, format)
  if (moment) return against(column, operator, write(`${moment.date} ${moment.time}`))
  return isDate(text) ? compareWithPrefix(operator, column, write(`${text} 00:00:00`), true) : null
}

const zonedWriter = ({ format, timeZone }: Of<'timestamptz'>): ((moment: string) => string) | null => {
  const zone = format?.zone === 'none' ? (timeZone.toUpperCase() === 'UTC' ? "'UTC'" : null) : format && zoneSql(format.zone)
  return zone === null ? null : (moment) => `TIMESTAMP '${moment}' AT TIME ZONE ${zone}`
}

const epochUnits = {
  seconds: { divisor: '', perSecond: 1n },
  milliseconds: { divisor: ' / 1000.0', perSecond: 1000n },
  microseconds: { divisor: ' / 1000000.0', perSecond: 1_000_000n },
} as const

/** Postgres' times end in the year 294276. */
const maxEpochSeconds = 9_000_000_000_000n

const compareEpoch = (
  { unit }: Of<'epoch'>,
  operator: ComparisonOperator,
  column: Operand,
  constant: Operand,
): Operand | null => {
  const number = constant.literal
  if (column.affinity === 'TEXT' || typeof number !== 'bigint') return null
  const { divisor, perSecond } = epochUnits[unit]
  const isWithin = number < maxEpochSeconds * perSecond && number > -62_000_000_000n * perSecond
  return isWithin ? against(column, operator, `to_timestamp(${number}${divisor})`) : null
}

const compareWithConstant = (
  operator: ComparisonOperator,
  column: Operand,
  constant: Operand,
  notes: Set<string>,
): Operand | null => {
  const conversion = column.column?.conversion
  if (conversion?.kind === 'boolean') return compareBoolean(conversion, operator, column, constant, notes)
  if (conversion?.kind === 'epoch') return compareEpoch(conversion, operator, column, constant)
  const text = constant.literal
  if (typeof text !== 'string' || column.collation?.name !== 'BINARY') return null
  if (conversion?.kind === 'date') return compareDate(operator, column, text)
  if (conversion?.kind === 'timestamp' && conversion.format)
    return compareMoment(operator, column, text, conversion.format, (moment) => `TIMESTAMP ${quoteLiteral(moment)}`)
  if (conversion?.kind !== 'timestamptz' || !conversion.format) return null
  const write = zonedWriter(conversion)
  return write && compareMoment(operator, column, text, conversion.format, write)
}

/** Whether two columns of this conversion stand to each other as their values in the file do. */
const keepsComparison = (conversion: Conversion, operator: ComparisonOperator): boolean => {
  if (conversion.kind === 'timestamp')
    return conversion.format !== null && (isEquality(operator) || keepsOrder(conversion.format))
  if (conversion.kind === 'timestamptz')
    return (
      conversion.format !== null &&
      (isEquality(operator) || keepsOrder(conversion.format)) &&
      (conversion.format.zone !== 'none' || conversion.timeZone.toUpperCase() === 'UTC')
    )
  if (conversion.kind === 'uuid') return isEquality(operator)
  return conversion.kind === 'date' || conversion.kind === 'epoch'
}

const compareAlike = (operator: ComparisonOperator, a: Operand, b: Operand): Operand | null => {
  if (!a.column || !b.column || a.affinity !== b.affinity) return null
  if (JSON.stringify(a.column.conversion) !== JSON.stringify(b.column.conversion)) return null
  if (a.column.targetType !== b.column.targetType || !keepsComparison(a.column.conversion, operator)) return null
  if (a.collation?.name !== 'BINARY' || b.collation?.name !== 'BINARY') return null
  return pair(operator, a, b)
}

/**
 * Comparisons that hold in the target's own types, so that Postgres can use an index: booleans, days and moments with a constant of their
 * form, and two columns that are converted alike. Null where the general way has to be taken.
 */
export const compareInTargetTerms = (
  operator: ComparisonOperator,
  a: Operand,
  b: Operand,
  notes: Set<string>,
): Operand | null => {
  if (a.column && b.literal !== undefined) return compareWithConstant(operator, a, b, notes)
  if (b.column && a.literal !== undefined) return compareWithConstant(mirrored[operator] ?? operator, b, a, notes)
  return compareAlike(operator, a, b)
}
