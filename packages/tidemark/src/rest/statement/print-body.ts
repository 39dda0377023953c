import type { Media } from '../query.js'
import { hasKnownNames, outputsOf } from './outputs.js'
import type { ReadPlan } from './plan.js'
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

const element = (options: BodyOptions): Sql => {
  if (isValue(options.shape)) return sql`x.v`
  return namingOf(options) === 'known' ? sql`x.*` : objectSql(options.read)
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

/** The body of an answer, aggregated over the rows of one page, which are called `x`. */
export const bodySql = (options: BodyOptions): Sql => {
  const { media, shape } = options
  const strip = (json: Sql): Sql => (nullsStripped(media) ? sql`json_strip_nulls(${json})` : json)
  const single = sql`coalesce(string_agg(${strip(sql`to_json(${element(options)})`)}::text, ''), 'null')`
  switch (formOf(media)) {
    case 'object':
      return single
    case 'json':
    case 'array':
      if (shape === 'row' || shape === 'value') return single
      return sql`coalesce(${strip(sql`json_agg(${element(options)})`)}, '[]')`
    case 'csv':
      return csvSql(options)
    case 'geojson':
      // Of the extension postgis, wherever it is installed.
      return sql`json_build_object('type', 'FeatureCollection', 'features', coalesce(json_agg(st_asgeojson(x.*)::json), '[]'))`
    case 'text':
      return sql`string_agg(x.v::text, '')`
    case 'octets':
      return sql`string_agg(x.v, ''::bytea)`
  }
}
