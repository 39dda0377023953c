import type { Media } from '../../query.js'
import { hasKnownNames, outputsOf } from '../outputs.js'
import type { Output, ReadPlan } from '../plan.js'
import { typeOf } from './print-field.js'
import { objectSql } from './print-object.js'
import type { Naming } from './print-read.js'
import { type Sql, sql, textValue } from './sql.js'

/** What a page of rows is. */
export type Shape =
  /** Of a relation. */
  | 'rows'
  /** The one row of a function that returns no set. */
  | 'row'
  | 'values'
  | 'value'

export interface BodyOptions {
  readonly media: Media
  readonly shape: Shape
  readonly read: ReadPlan
}

type Form = 'json' | 'object' | 'array' | 'csv' | 'geojson' | 'text' | 'octets'

const formOf = (media: Media): Form => {
  if (media.kind === 'plan') return media.of
  return media.kind === 'openapi' ? 'json' : media.kind
}

const isValue = (shape: Shape): boolean => shape === 'value' || shape === 'values'

/** CSV and GeoJSON need columns; their names only the latter. */
export const namingOf = ({ media, read }: BodyOptions): Naming =>
  formOf(media) !== 'csv' && hasKnownNames(read) ? 'known' : 'neutral'

const nullsStripped = (media: Media): boolean => 'nullsStripped' in media && media.nullsStripped

/** One row or value as JSON. A value may be null, a row may not. */
const elementSql = (options: BodyOptions): Sql => {
  const strip = (json: Sql): Sql => (nullsStripped(options.media) ? sql`json_strip_nulls(${json})` : json)
  if (isValue(options.shape)) return sql`coalesce(${strip(sql`to_json(x.v)`)}::text, 'null')`
  const row = namingOf(options) === 'known' ? sql`row_to_json(x.*)` : objectSql(options.read)
  return sql`${strip(row)}::text`
}

const csvSql = ({ read, shape }: BodyOptions): Sql => {
  const row = sql`(x.*)::text`
  const names = isValue(shape)
    ? 'pgrst_scalar'
    : outputsOf(read)
        .map(({ name }) => name)
        .join(',')
  const lines = sql`coalesce(string_agg(left(right(${row}, -1), -1), E'\\n'), '')`
  return sql`case when count(*) = 0 then '' else ${textValue(names)} end || E'\\n' || ${lines}`
}

const isGeometry = ({ value, aggregate }: Output): boolean => {
  if (aggregate || value.kind !== 'field' || value.cast !== undefined || value.field.path.length > 0) return false
  return /(^|\.)"?geo(metry|graphy)"?$/.test(typeOf(value.field.base) ?? '')
}

/** By the extension postgis, wherever it is installed. It reads the names of columns, where they are not the keys that are asked for. */
const featureSql = (options: BodyOptions): Sql => {
  const feature = sql`st_asgeojson(x.*)::json`
  if (isValue(options.shape) || namingOf(options) === 'known') return feature
  const properties = objectSql(options.read, (output) => !isGeometry(output))
  return sql`json_build_object('type', 'Feature', 'geometry', ${feature} -> 'geometry', 'properties', ${properties})`
}

/** The body of an answer, aggregated over the rows of one page, which are called `x`. */
export const bodySql = (options: BodyOptions): Sql => {
  const { media, shape } = options
  const form = formOf(media)
  switch (form) {
    case 'object':
    case 'json':
    case 'array':
      if (form === 'object' || shape === 'row' || shape === 'value')
        return sql`coalesce(string_agg(${elementSql(options)}, ''), 'null')`
      // Text by text: an array of JSON would be read once more than it is written.
      return sql`coalesce('[' || string_agg(${elementSql(options)}, ',') || ']', '[]')`
    case 'csv':
      return csvSql(options)
    case 'geojson':
      return sql`json_build_object('type', 'FeatureCollection', 'features', coalesce(json_agg(${featureSql(options)}), '[]'))`
    case 'text':
      return sql`string_agg(x.v::text, '')`
    case 'octets':
      return sql`string_agg(x.v, ''::bytea)`
  }
}
