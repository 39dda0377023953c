import type { Conversion } from '../../move.js'
import { quoteLiteral } from '../identifiers.js'
import { refuse } from '../refusal.js'
import type { ExpressionColumn } from '../translation.js'
import { momentTemplate, zoneSql } from './moments.js'
import { type Operand, operand, type PgType, type SqliteKind } from './operand.js'

const plainTypes: Readonly<Record<string, PgType>> = {
  smallint: 'smallint',
  integer: 'integer',
  int: 'integer',
  bigint: 'bigint',
  'double precision': 'double precision',
  text: 'text',
  bytea: 'bytea',
  boolean: 'boolean',
}

const plainType = (targetType: string): PgType | null =>
  plainTypes[targetType] ??
  (/^numeric\b/.test(targetType) ? 'numeric' : /^(?:character varying|varchar)\b/.test(targetType) ? 'text' : null)

const known = (column: ExpressionColumn): string => `"${column.target}" (${column.targetType})`

/** The digits that stand for true and false, where each has one form and it is a whole number. */
const booleanDigits = ({ truthy, falsy }: Extract<Conversion, { kind: 'boolean' }>): readonly [string, string] | null => {
  const [yes, no] = [truthy[0], falsy[0]]
  if (truthy.length !== 1 || falsy.length !== 1 || yes === undefined || no === undefined) return null
  return /^-?\d{1,9}$/.test(yes) && /^-?\d{1,9}$/.test(no) ? [yes, no] : null
}

/** How a column of one conversion looks when SQLite's value is made of it again. */
const forms: {
  readonly [K in Conversion['kind']]: (
    conversion: Extract<Conversion, { kind: K }>,
    column: ExpressionColumn,
    o: Operand,
  ) => Operand
} = {
  integer: (_, column, o) => {
    if (column.affinity === 'TEXT') return refuse(`the column ${known(column)} is text in the file`)
    const pg = plainType(column.targetType)
    if (column.affinity === 'REAL') return derive(o, `${o.sql}::double precision`, 'real', 'double precision')
    if (pg === 'numeric') return derive(o, o.sql, 'number', 'numeric')
    return pg ? derive(o, o.sql, 'integer', pg) : derive(o, `${o.sql}::bigint`, 'integer', 'bigint')
  },
  real: (_, column, o) => {
    if (column.affinity === 'TEXT') return refuse(`the column ${known(column)} is text in the file`)
    const sql = column.targetType === 'double precision' ? o.sql : `${o.sql}::double precision`
    return derive(o, sql, column.affinity === 'REAL' ? 'real' : 'number', 'double precision')
  },
  numeric: (_, column, o) =>
    column.affinity === 'TEXT'
      ? refuse(`the column ${known(column)} is text in the file`)
      : derive(o, plainType(column.targetType) === 'numeric' ? o.sql : `${o.sql}::numeric`, 'number', 'numeric'),
  text: (_, column, o) => derive(o, plainType(column.targetType) === 'text' ? o.sql : `${o.sql}::text`, 'text', 'text'),
  bytes: (_, __, o) => derive(o, o.sql, 'blob', 'bytea'),
  anyText: (_, column) => refuse(`the column ${known(column)} holds values of several classes in the file`),
  anyBytes: (_, column) => refuse(`the column ${known(column)} holds values of several classes in the file`),
  boolean: (conversion, column, o) => {
    const digits = booleanDigits(conversion)
    if (!digits || column.affinity === 'TEXT' || column.affinity === 'BLOB')
      return refuse(`the values of ${known(column)} have several spellings in the file`)
    if (digits[0] === '1' && digits[1] === '0') return derive(o, o.sql, 'integer', 'boolean')
    return derive(o, `CASE WHEN ${o.sql} THEN ${digits[0]} WHEN NOT ${o.sql} THEN ${digits[1]} END`, 'integer', 'integer', false)
  },
  date: (_, __, o) => stable(o, `to_char(${o.sql}, 'YYYY-MM-DD')`),
  time: ({ fraction }, column, o) =>
    fraction === 0 || fraction === 'trim'
      ? stable(o, `${o.sql}::text`)
      : refuse(`the digits of ${known(column)} differ from those in the file`),
  timestamp: ({ format }, column, o) => {
    const template = format && momentTemplate(format)
    return template
      ? stable(o, `to_char(${o.sql}, '${template}')`)
      : refuse(`the digits of ${known(column)} differ from those in the file`)
  },
  timestamptz: ({ format, timeZone }, column, o) => {
    const template = format && momentTemplate(format)
    if (!template) return refuse(`the digits of ${known(column)} differ from those in the file`)
    const zone = format.zone === 'none' ? quoteLiteral(timeZone) : zoneSql(format.zone)
    return stable(o, `to_char(${o.sql} AT TIME ZONE ${zone}, '${template}')`)
  },
  epoch: ({ unit }, column, o) => {
    if (column.affinity === 'TEXT') return refuse(`the column ${known(column)} is text in the file`)
    const factor = { seconds: '', milliseconds: ' * 1000', microseconds: ' * 1000000' }[unit]
    return { ...derive(o, `(extract(epoch from ${o.sql})${factor})::bigint`, 'integer', 'bigint'), immutable: false }
  },
  uuid: ({ form }, column, o) => {
    if (form === 'mapped') return refuse(`the ids of ${known(column)} are mapped to others`)
    return derive(o, form === 'dashed' ? `${o.sql}::text` : `replace(${o.sql}::text, '-', '')`, 'text', 'text')
  },
  // Postgres counts the cast from json to text as stable in no version, but its text is that of the file.
  json: (_, __, o) => derive(o, `${o.sql}::text`, 'text', 'text'),
  jsonb: (_, column) => refuse(`the text of ${known(column)} is not kept by jsonb`),
}

const derive = (o: Operand, sql: string, kind: SqliteKind, pg: PgType, atomic = true): Operand =>
  operand(sql, kind, pg, { atomic, affinity: o.affinity, collation: o.collation, immutable: o.immutable })

/** What depends on no setting, but is not declared so by Postgres. */
const stable = (o: Operand, sql: string): Operand => ({ ...derive(o, sql, 'text', 'text'), immutable: false })

/** The operand as SQLite sees its value. Only bare columns change; refuses where the value cannot be made again exactly. */
export const inSourceForm = (o: Operand): Operand => {
  const { column } = o
  if (o.json) return refuse('a value inside JSON is used, and its class in SQLite depends on the document')
  if (!column) return o
  const form = forms[column.conversion.kind] as (conversion: Conversion, column: ExpressionColumn, o: Operand) => Operand
  return form(column.conversion, column, o)
}

/** A bare column, in its target's terms. */
export const columnOperand = (column: ExpressionColumn, sql: string): Operand =>
  operand(sql, 'null', 'other', {
    atomic: true,
    affinity: column.affinity,
    collation: { name: column.collation, explicit: false },
    column,
  })

export { booleanDigits }
