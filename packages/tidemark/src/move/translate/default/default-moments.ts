import type { ReceivingColumn } from '../expression/coerce.js'
import type { CurrentMoment, Field, Piece, Shift } from '../expression/current-moment.js'
import { isDate, isTime, readMoment, splitMoment } from '../expression/moments.js'
import { quoteLiteral } from '../identifiers.js'
import { refuse } from '../refusal.js'

type TextMoment = Extract<CurrentMoment, { kind: 'text' }>
type EpochMoment = Extract<CurrentMoment, { kind: 'epoch' }>

const utcNow = "(now() AT TIME ZONE 'UTC')"

const templates: Readonly<Record<Field, string>> = {
  Y: 'YYYY',
  m: 'MM',
  d: 'DD',
  H: 'HH24',
  M: 'MI',
  S: 'SS',
  f: 'SS.MS',
  j: 'DDD',
}
const sampleFields: Readonly<Record<Field, string>> = {
  Y: '2024',
  m: '02',
  d: '28',
  H: '23',
  M: '59',
  S: '58',
  f: '58.987',
  j: '059',
}

const toCharTemplate = (pieces: readonly Piece[]): string =>
  pieces.map((piece) => ('field' in piece ? templates[piece.field] : literalPiece(piece.text))).join('')

/** Characters that to_char leaves alone, or in quotes. */
const literalPiece = (text: string): string =>
  /^[-:/., ]+$/.test(text) ? text : `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

/** What the default would write at one certain moment: shows which form it has. */
const sampleOf = (pieces: readonly Piece[]): string =>
  pieces.map((piece) => ('field' in piece ? sampleFields[piece.field] : piece.text)).join('')

const shifted = (base: string, { steps }: Shift): string => steps.reduce((sql, step) => `(${step.replace('$', sql)})`, base)

const precisionOf = (pieces: readonly Piece[]): string => {
  const has = (field: Field) => pieces.some((piece) => 'field' in piece && piece.field === field)
  return has('f') ? 'milliseconds' : has('S') ? 'second' : has('M') ? 'minute' : 'hour'
}

const unfit = (what: string, targetType: string): never =>
  refuse(
    `the default writes ${what}, which a column of ${targetType} does not take`,
    `Give the column a default of ${targetType}.`,
  )

const localZone = (): never =>
  refuse(
    'the default asks for the local time of the machine on which the application runs',
    "Name its zone: (now() AT TIME ZONE 'Europe/Paris'), or keep times in UTC.",
  )

const trunc = (precision: string, sql: string): string => `date_trunc('${precision}', ${sql})`

const zonedSql = (moment: TextMoment, sample: string, column: ReceivingColumn, notes: Set<string>): string => {
  const { conversion, targetType } = column
  if (conversion.kind !== 'timestamptz') return unfit(`times such as ${sample}`, targetType)
  const isZulu = /Z$/i.test(sample)
  if (!splitMoment(isZulu ? sample.slice(0, -1) : sample)) return unfit(`times such as ${sample}`, targetType)
  if (conversion.format && !readMoment(sample, conversion.format))
    notes.add(`the default writes times such as ${sample}, another form than the column's values`)
  const precision = precisionOf(moment.pieces)
  if (moment.shift.local) {
    if (isZulu || moment.shift.steps.length > 0) return localZone()
    notes.add(`the local time that the application writes is taken for that of ${conversion.timeZone}`)
    return conversion.format ? trunc(precision, 'now()') : 'now()'
  }
  const isUtc = isZulu || conversion.timeZone.toUpperCase() === 'UTC'
  if (isUtc && moment.shift.steps.length === 0) return conversion.format ? trunc(precision, 'now()') : 'now()'
  if (!isUtc)
    notes.add(`the default writes UTC, and the column's times without a zone are read as those of ${conversion.timeZone}`)
  // In parentheses: DEFAULT takes no AT TIME ZONE without.
  return `(${trunc(precision, shifted(utcNow, moment.shift))} AT TIME ZONE ${isUtc ? "'UTC'" : quoteLiteral(conversion.timeZone)})`
}

const textMomentSql = (moment: TextMoment, column: ReceivingColumn, notes: Set<string>): string => {
  const { conversion, targetType, affinity } = column
  const sample = sampleOf(moment.pieces)
  if (conversion.kind === 'timestamptz') return zonedSql(moment, sample, column, notes)
  if (moment.shift.local) return localZone()
  const base = shifted(utcNow, moment.shift)
  // A lone year or the like is a number to any other affinity.
  const staysText = affinity === 'TEXT' || affinity === 'BLOB' || !/^[\d.\s]+$/.test(sample)
  if ((conversion.kind === 'text' || conversion.kind === 'anyText') && staysText)
    return `to_char(${base}, ${quoteLiteral(toCharTemplate(moment.pieces))})`
  if (conversion.kind === 'date' && isDate(sample)) return `${base}::date`
  if (conversion.kind === 'time' && isTime(sample)) return `${trunc(precisionOf(moment.pieces), base)}::time`
  if (conversion.kind !== 'timestamp' || !splitMoment(sample)) return unfit(`times such as ${sample}`, targetType)
  if (conversion.format && !readMoment(sample, conversion.format))
    notes.add(`the default writes times such as ${sample}, another form than the column's values`)
  return trunc(precisionOf(moment.pieces), base)
}

const epochMomentSql = (moment: EpochMoment, column: ReceivingColumn): string => {
  const { conversion, targetType, affinity } = column
  const wholeSeconds = moment.unit === 'milliseconds' && moment.shift.steps.length > 0
  const instant =
    wholeSeconds || moment.shift.steps.length === 0 ? 'now()' : `${shifted(utcNow, moment.shift)} AT TIME ZONE 'UTC'`
  const seconds = `extract(epoch from ${instant})`
  const whole =
    moment.unit === 'seconds' ? `floor(${seconds})` : wholeSeconds ? `floor(${seconds}) * 1000` : `floor(${seconds} * 1000)`
  const integer = `${wholeSeconds ? `(${whole})` : whole}::bigint`
  // strftime('%s') gives text, which stays text in a column without an affinity for numbers.
  const isText = affinity === 'TEXT' || (affinity === 'BLOB' && moment.asText)
  if (conversion.kind === 'text' && isText) return `${integer}::text`
  if (conversion.kind === 'anyText') return `${integer}::text`
  if (isText) return unfit('seconds since 1970 as text', targetType)
  if (conversion.kind === 'integer' && targetType === 'bigint') return integer
  if (conversion.kind === 'real' || conversion.kind === 'numeric') return `${integer}::${targetType}`
  if (conversion.kind === 'epoch' && conversion.unit === moment.unit)
    return trunc(moment.unit === 'seconds' || wholeSeconds ? 'second' : 'milliseconds', instant)
  return unfit(`${moment.unit} since 1970`, targetType)
}

/** The present moment as a default, in the column's type and no finer than SQLite would write it. */
export const currentMomentSql = (moment: CurrentMoment, column: ReceivingColumn, notes: Set<string>): string => {
  if (moment.kind === 'text') return textMomentSql(moment, column, notes)
  if (moment.kind === 'epoch') return epochMomentSql(moment, column)
  if (column.conversion.kind !== 'real' || column.affinity === 'TEXT') return unfit('a Julian day', column.targetType)
  return 'extract(epoch from now())::double precision / 86400 + 2440587.5'
}
