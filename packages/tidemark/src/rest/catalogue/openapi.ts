import type { Argument, Catalogue, Column, SqlFunction, Table } from '../catalogue.js'
import type { CatalogueClient } from './queries.js'

/** What a role may see of a schema. */
export interface Access {
  readonly tables: ReadonlySet<string>
  /** By {@link SqlFunction.oid}. */
  readonly functions: ReadonlySet<number>
}

export interface OpenApiOptions {
  readonly catalogue: Catalogue
  readonly schema: string
  readonly access: Access
  /** Of this server. */
  readonly version: string
  /** How the caller reached it: `localhost:54321`. */
  readonly host: string
  readonly scheme: 'http' | 'https'
  readonly basePath: string
}

type Json = string | number | boolean | null | undefined | readonly Json[] | { readonly [key: string]: Json }
type JsonObject = Readonly<Record<string, Json>>

const accessSql = `
  select json_build_object(
    'tables', (select coalesce(json_agg(c.relname), '[]') from pg_catalog.pg_class c
                where c.relkind in ('r', 'v', 'm', 'f', 'p') and not c.relispartition and c.relnamespace = n.oid
                  and (pg_has_role(c.relowner, 'usage')
                    or has_table_privilege(c.oid, 'select, insert, update, delete, truncate, references, trigger')
                    or has_any_column_privilege(c.oid, 'select, insert, update, references'))),
    'functions', (select coalesce(json_agg(p.oid::int8), '[]') from pg_catalog.pg_proc p
                   where p.pronamespace = n.oid and has_function_privilege(p.oid, 'execute'))) as access
    from pg_catalog.pg_namespace n where n.nspname = $1`

/** Asks what the session's present role may see of a schema. */
export const readAccess = async (client: CatalogueClient, schema: string): Promise<Access> => {
  interface Row {
    readonly access: { readonly tables: readonly string[]; readonly functions: readonly number[] }
  }
  const { rows } = await client.query<Row>(accessSql, [schema])
  return { tables: new Set(rows[0]?.access.tables), functions: new Set(rows[0]?.access.functions) }
}

const objectMedia = 'application/vnd.pgrst.object+json'
const rowMedia = ['application/json', `${objectMedia};nulls=stripped`, objectMedia]
const media = [...rowMedia, 'text/csv']

/** A type as people write it, where SQL needs another form of its name. */
const shown = (type: string): string => type.replace(/^bpchar\b/, 'character').replace(/^"bit"/, 'bit')

/** A domain over one of Postgres' own types is shown as that; a type of an extension with its modifiers. */
const columnType = ({ type, underlyingType }: Column): string => (underlyingType.includes('.') ? type : shown(underlyingType))

const swaggerTypes: ReadonlyMap<string, string | undefined> = new Map([
  ['boolean', 'boolean'],
  ['smallint', 'integer'],
  ['integer', 'integer'],
  ['bigint', 'integer'],
  ['numeric', 'number'],
  ['real', 'number'],
  ['double precision', 'number'],
  ['json', undefined],
  ['jsonb', undefined],
])

const swaggerType = (type: string): string | undefined => {
  if (swaggerTypes.has(type)) return swaggerTypes.get(type)
  return type.endsWith('[]') ? 'array' : 'string'
}

const formats: Readonly<Record<string, string>> = { smallint: 'int32', integer: 'int32', bigint: 'int64' }
const swaggerFormat = (type: string): string => formats[type] ?? type

const itemsOf = (type: string): Json => (swaggerType(type) === 'array' ? { type: swaggerType(type.slice(0, -2)) } : undefined)

const parsed = (text: string): Json => {
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}

/** A default that is a value; the outcome of an expression is not known beforehand. */
const defaultOf = (expression: string | undefined, type: string): Json => {
  if (expression === undefined) return undefined
  if (swaggerType(type) !== 'string') return parsed(expression)
  const suffix = `::${type}`
  return expression.endsWith(suffix) ? expression.slice(0, -suffix.length).replace(/^'+|'+$/g, '') : expression
}

const foreignKeyNote = (catalogue: Catalogue, table: Table, column: string): string | undefined => {
  const keys = catalogue
    .relationships(table)
    .filter((way) => way.kind !== 'many-to-many' && way.kind !== 'computed')
    .filter(
      (way) =>
        way.kind !== 'one-to-many' &&
        way.parent &&
        way.to.schema === table.schema &&
        way.columns.length === 1 &&
        way.columns[0]?.[0] === column,
    )
  const isView = ({ schema, name }: { schema: string; name: string }) => /view$/.test(catalogue.table(schema, name)?.kind ?? '')
  const key = keys.find((way) => !isView(way.to)) ?? keys[0]
  if (!key) return undefined
  const [to, target] = [key.to.name, key.columns[0]![1]]
  return `This is a Foreign Key to \`${to}.${target}\`.<fk table='${to}' column='${target}'/>`
}

const columnDescription = (catalogue: Catalogue, table: Table, column: Column): string | undefined => {
  const notes = [
    table.primaryKey.includes(column.name) ? 'This is a Primary Key.<pk/>' : undefined,
    foreignKeyNote(catalogue, table, column.name),
  ].filter((note) => note !== undefined)
  if (notes.length === 0) return column.description
  const own = column.description === undefined ? '' : `${column.description}\n\n`
  return `${own}${['Note:', ...notes].join('\n')}`
}

const nonEmpty = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list)

const propertyOf = (catalogue: Catalogue, table: Table, column: Column): JsonObject => {
  const type = columnType(column)
  return {
    default: defaultOf(column.default, type),
    description: columnDescription(catalogue, table, column),
    enum: nonEmpty(column.enumValues),
    format: swaggerFormat(type),
    maxLength: column.maxLength,
    type: swaggerType(type),
    items: itemsOf(type),
  }
}

const definitionOf = (catalogue: Catalogue, table: Table): JsonObject => {
  const columns = [...table.columns.values()]
  return {
    description: table.description,
    required: nonEmpty(columns.filter(({ nullable }) => !nullable).map(({ name }) => name)),
    properties: Object.fromEntries(columns.map((column) => [column.name, propertyOf(catalogue, table, column)])),
    type: 'object',
  }
}

/** The first line is the summary, the rest the description. */
const texts = (comment: string | undefined): { readonly summary: Json; readonly description: Json } => {
  const [summary, ...rest] = comment?.split('\n') ?? []
  return { summary, description: rest.join('\n').replace(/^\n+/, '') || undefined }
}

const reference = (name: string): JsonObject => ({ $ref: `#/parameters/${name}` })
const answer = (status: number, description: string): JsonObject => ({ [status]: { description } })

const pathOfTable = (table: Table): JsonObject => {
  const { name } = table
  const operation = { tags: [name], ...texts(table.description) }
  const filters = [...table.columns.keys()].map((column) => `rowFilter.${name}.${column}`)
  const rows = { schema: { items: { $ref: `#/definitions/${name}` }, type: 'array' } }
  const get = {
    ...operation,
    parameters: [...filters, 'select', 'order', 'range', 'rangeUnit', 'offset', 'limit', 'preferCount'].map(reference),
    responses: { 200: { description: 'OK', ...rows }, ...answer(206, 'Partial Content') },
  }
  if (!table.insertable && !table.updatable && !table.deletable) return { get }
  const change = (parameters: readonly string[], responses: JsonObject) => ({
    ...operation,
    parameters: parameters.map(reference),
    responses,
  })
  return {
    get,
    post: change([`body.${name}`, 'select', 'preferPost'], answer(201, 'Created')),
    patch: change([...filters, `body.${name}`, 'preferReturn'], answer(204, 'No Content')),
    delete: change([...filters, 'preferReturn'], answer(204, 'No Content')),
  }
}

const queryParameter = ({ name, type: sqlType, required, variadic }: Argument): JsonObject => {
  const type = shown(sqlType)
  if (variadic) {
    const element = type.slice(0, -2)
    const items = { type: swaggerType(element), format: swaggerFormat(element) }
    return { name, required, in: 'query', type: 'array', items, collectionFormat: 'multi' }
  }
  // An array comes as one text, with braces.
  const written = swaggerType(type) === 'array' ? 'string' : (swaggerType(type) ?? 'string')
  return { name, required, in: 'query', format: swaggerFormat(type), type: written }
}

const bodyParameter = (known: SqlFunction): JsonObject => ({
  name: 'args',
  required: true,
  in: 'body',
  schema: {
    description: known.description,
    type: 'object',
    properties: Object.fromEntries(
      known.arguments.map(({ name, type }) => {
        const written = shown(type)
        return [name, { format: swaggerFormat(written), type: swaggerType(written), items: itemsOf(written) }]
      }),
    ),
    required: nonEmpty(known.arguments.filter(({ required }) => required).map(({ name }) => name)),
  },
})

const pathOfFunction = (known: SqlFunction): JsonObject => {
  const operation = {
    tags: [`(rpc) ${known.name}`],
    ...texts(known.description),
    produces: rowMedia,
    responses: answer(200, 'OK'),
  }
  const post = { ...operation, parameters: [bodyParameter(known), reference('preferParams')] }
  if (known.volatility === 'volatile') return { post }
  return { get: { ...operation, parameters: known.arguments.map(queryParameter) }, post }
}

const prefer = (...values: readonly string[]): JsonObject => ({
  name: 'Prefer',
  description: 'Preference',
  required: false,
  in: 'header',
  type: 'string',
  enum: nonEmpty(values),
})

const returns = ['return=representation', 'return=minimal', 'return=none']

const plain = (name: string, place: 'query' | 'header', description: string | undefined, more: JsonObject = {}): JsonObject => ({
  name,
  description,
  required: false,
  in: place,
  type: 'string',
  ...more,
})

const commonParameters: JsonObject = {
  preferParams: prefer(),
  preferReturn: prefer(...returns),
  preferCount: prefer('count=none'),
  preferPost: prefer(...returns, 'resolution=ignore-duplicates', 'resolution=merge-duplicates'),
  select: plain('select', 'query', 'Filtering Columns'),
  on_conflict: plain('on_conflict', 'query', 'On Conflict'),
  order: plain('order', 'query', 'Ordering'),
  range: plain('Range', 'header', 'Limiting and Pagination'),
  rangeUnit: plain('Range-Unit', 'header', 'Limiting and Pagination', { default: 'items' }),
  offset: plain('offset', 'query', 'Limiting and Pagination'),
  limit: plain('limit', 'query', 'Limiting and Pagination'),
}

const parametersOfTable = ({ name, columns }: Table): readonly (readonly [string, Json])[] => {
  const body = { name, description: name, required: false, in: 'body', schema: { $ref: `#/definitions/${name}` } }
  const filters = [...columns.values()].map(
    (column) => [`rowFilter.${name}.${column.name}`, plain(column.name, 'query', column.description)] as const,
  )
  return [[`body.${name}`, body], ...filters]
}

const rootPath: JsonObject = {
  get: {
    tags: ['Introspection'],
    summary: 'OpenAPI description (this document)',
    produces: ['application/openapi+json', 'application/json'],
    responses: answer(200, 'OK'),
  },
}

/** What the root answers: a schema as Swagger 2.0, in PostgREST's form, with what the caller's role may see. */
export const openApi = ({ catalogue, schema, access, version, host, scheme, basePath }: OpenApiOptions): JsonObject => {
  const tables = catalogue.tables(schema).filter(({ name }) => access.tables.has(name))
  const functions = catalogue.allFunctions(schema).filter(({ oid }) => access.functions.has(oid))
  const { summary, description } = texts(catalogue.description(schema))
  return {
    swagger: '2.0',
    info: {
      title: summary ?? 'PostgREST API',
      description: description ?? 'An API in the manner of PostgREST, made from the schema of the database',
      version,
    },
    host,
    basePath,
    schemes: [scheme],
    consumes: media,
    produces: media,
    paths: Object.fromEntries([
      ['/', rootPath],
      ...tables.map((table) => [`/${table.name}`, pathOfTable(table)]),
      ...functions.map((known) => [`/rpc/${known.name}`, pathOfFunction(known)]),
    ]) as JsonObject,
    definitions: Object.fromEntries(tables.map((table) => [table.name, definitionOf(catalogue, table)])),
    parameters: { ...commonParameters, ...Object.fromEntries(tables.flatMap(parametersOfTable)) },
    externalDocs: { description: 'PostgREST Documentation', url: 'https://docs.postgrest.org/en/stable/references/api.html' },
  }
}
