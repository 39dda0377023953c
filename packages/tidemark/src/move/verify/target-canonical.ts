/** The same canonical texts, said by Postgres itself about what it holds. */
import type { ColumnPlan, Conversion } from '../move.js'
import { quoteIdentifier } from '../translate/identifiers.js'

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

const zoneName = ({ format, timeZone }: Extract<Conversion, { kind: 'timestamptz' }>): string => {
  const zone = format?.zone ?? 'Z'
  if (zone === 'none') return literal(timeZone)
  if (zone === 'Z') return "'UTC'"
  return `interval ${literal(`${zone.slice(0, 3)}:${zone.replace(':', '').slice(3) || '00'}`)}`
}

/** Microseconds since 1970 as digits, day and time apart: `extract(epoch …)` itself rounds in the last years of the calendar. */
const microsecondsSql = (column: string): string => {
  const utc = `(${column} AT TIME ZONE 'UTC')`
  return `trim_scale((${utc}::date - date '1970-01-01')::numeric * 86400000000 + extract(epoch FROM ${utc}::time) * 1000000)::text`
}

/** The way back through the map of ids; an id that was not mapped is its own. */
const legacyId = (column: string, namespace: string): string =>
  `coalesce((SELECT map.legacy_id FROM tidemark.move_id_map AS map WHERE map.namespace = ${literal(namespace)} AND map.id = ${column}), ${column}::text)`

/** The value of a moment's column as the clock of the file shows it. */
export const wallClockSql = ({ target, conversion }: ColumnPlan): string => {
  const column = `t.${quoteIdentifier(target)}`
  return conversion.kind === 'timestamptz' ? `(${column} AT TIME ZONE ${zoneName(conversion)})` : column
}

/** SQL text of one column's canonical reading; the session writes dates and times in ISO form. */
export const canonicalSql = (plan: ColumnPlan): string => {
  const { target, targetType, conversion } = plan
  const column = `t.${quoteIdentifier(target)}`
  switch (conversion.kind) {
    case 'integer':
    case 'real':
    case 'numeric':
      if (/^(?:double|real)/.test(targetType)) return `encode(float8send(${column}::float8), 'hex')`
      return targetType.startsWith('numeric') ? `trim_scale(${column})::text` : `${column}::text`
    case 'text':
    case 'anyText':
    case 'json':
    case 'jsonb':
      return `${column}::text`
    case 'bytes':
    case 'anyBytes':
      return `encode(${column}, 'hex')`
    case 'boolean':
      return `${column}::text`
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return `${wallClockSql(plan)}::text`
    case 'epoch':
      return microsecondsSql(column)
    case 'uuid':
      if (conversion.form === 'mapped') return legacyId(column, conversion.namespace)
      return conversion.form === 'dashless' ? `replace(${column}::text, '-', '')` : `${column}::text`
  }
}

const doubleOf = (hex: string): string => String(Buffer.from(hex, 'hex').readDoubleBE())

/** A canonical text as the parameter that {@link fromCanonicalSql} takes. */
export const canonicalParameter = ({ conversion, targetType }: ColumnPlan, text: string): string => {
  if (conversion.kind === 'bytes' || conversion.kind === 'anyBytes') return `\\x${text}`
  const isDouble = /^(?:integer|real|numeric)$/.test(conversion.kind) && /^(?:double|real)/.test(targetType)
  return isDouble ? doubleOf(text) : text
}

/** SQL of the column's value whose canonical reading is `x`: the way back of {@link canonicalSql}, so that an index can find it. */
export const fromCanonicalSql = ({ conversion, targetType }: ColumnPlan, x: string): string => {
  switch (conversion.kind) {
    case 'timestamptz':
      return `(${x}::timestamp AT TIME ZONE ${zoneName(conversion)})::${targetType}`
    case 'epoch': {
      // Days and the rest apart: a product with an interval is computed in doubles.
      const days = `div(${x}::numeric, 86400000000)::integer * interval '1 day'`
      const rest = `mod(${x}::numeric, 86400000000)::bigint * interval '1 microsecond'`
      const utc = `(timestamp 'epoch' + ${days} + ${rest})`
      return targetType.startsWith('timestamp') && targetType.endsWith('with time zone')
        ? `(${utc} AT TIME ZONE 'UTC')::${targetType}`
        : `${utc}::${targetType}`
    }
    case 'uuid':
      if (conversion.form !== 'mapped') return `${x}::uuid`
      return `CASE WHEN ${x} ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN ${x}::uuid
        ELSE (SELECT map.id FROM tidemark.move_id_map AS map WHERE map.namespace = ${literal(conversion.namespace)} AND map.legacy_id = ${x}) END`
    default:
      return `${x}::${targetType}`
  }
}

/**
 * For conversions with no exact way back, SQL that reads the file's text `x` with Postgres' own parser into the canonical text;
 * null where the file's side knows the canonical text by itself.
 */
export const resolutionSql = ({ conversion }: ColumnPlan): string | null => {
  if (conversion.kind === 'jsonb') return 'x::jsonb::text'
  if (conversion.kind === 'timestamp' && conversion.format === null) return 'x::timestamp::text'
  if (conversion.kind === 'timestamptz' && conversion.format === null) {
    // Postgres reads a text without a zone in the session's; two casts put the plan's zone in its place.
    const isZoned = "x ~ '(Z|[+-][0-9:]+)$' AND length(x) > 16"
    return `((CASE WHEN ${isZoned} THEN x::timestamptz ELSE x::timestamp AT TIME ZONE ${literal(conversion.timeZone)} END) AT TIME ZONE 'UTC')::text`
  }
  return null
}

/** The checksum text of a row, over the canonical texts `c0, c1, …`: each with its length before it, NULL as a tilde, so that no two rows look alike. */
export const rowTextSql = (columns: readonly ColumnPlan[]): string =>
  columns.map((_column, i) => `coalesce(octet_length(c${i})::text || ':' || c${i}, '~')`).join(' || ') || "''"
