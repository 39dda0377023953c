/** Tables and their rows as a role of callers sees them. */
import { z } from 'zod'
import { TidemarkError } from '../../errors.js'
import { quoteIdentifier as id } from '../../schema/sql-errors.js'
import { callerRoles, type RoleReads, type Viewpoint } from './role-reads.js'

const isObject = (text: string): boolean => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

const json = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const words = z.string().min(1).max(200)

/** Whose eyes: of an address, so all of it is text. */
export const viewpointRequest = z.strictObject({
  role: z.enum(callerRoles).default('anon'),
  user: words.optional(),
  claims: z.string().max(4_000).refine(isObject, { error: 'it is not an object of JSON' }).optional(),
})

export type ViewpointRequest = z.output<typeof viewpointRequest>

export const viewpointOf = ({ role, user, claims }: ViewpointRequest): Viewpoint => ({
  role,
  user,
  claims: claims === undefined ? undefined : (JSON.parse(claims) as Record<string, unknown>),
})

/** What a column is compared by. */
const dataOperators = ['eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'like', 'ilike', 'is'] as const

const condition = z.tuple([words, z.enum(dataOperators), z.string().max(2_000)])

export type DataCondition = z.output<typeof condition>

const conditions = z.string().max(8_000).transform(json).pipe(z.array(condition).max(20))

const tableRequest = viewpointRequest.extend({
  schema: words,
  table: words,
  /** JSON: `[["state", "eq", "open"]]`; `is` takes `null` and `not null`. */
  where: conditions.optional(),
})

export const dataCountRequest = tableRequest

export const dataRowsRequest = tableRequest.extend({
  /** A column, or `column.desc`. */
  sort: words.optional(),
  offset: z.coerce.number().int().min(0).max(1_000_000).default(0),
  limit: z.coerce.number().int().min(1).max(500).default(200),
  /** Values as they are, not cut: for one row. */
  whole: z.enum(['true']).optional(),
})

export type DataCountRequest = z.output<typeof dataCountRequest>
export type DataRowsRequest = z.output<typeof dataRowsRequest>

export interface DataColumn {
  readonly name: string
  readonly type: string
  readonly isKey: boolean
}

export interface DataTableInfo {
  readonly schema: string
  readonly name: string
  readonly kind: 'table' | 'view'
  /** Of the statistics of Postgres; 0 where it has none yet. */
  readonly estimate: number
  readonly rowSecurity: boolean
  readonly policies: number
  /** Those that the role may read. */
  readonly columns: readonly DataColumn[]
}

export interface DataRows {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | null)[])[]
  readonly offset: number
}

export interface DataCount {
  readonly rows: number
  /** There are more than are counted. */
  readonly isMore: boolean
}

/** What Tidemark and the store of passwords keep is nobody's to browse. */
const hiddenSchemas = ['auth', 'tidemark', 'vault', 'supabase_migrations', 'information_schema']

const tablesSql = `
  select coalesce(json_agg(t order by t.schema, t.name), '[]')::text from (
    select n.nspname as schema, c.relname as name, case when c.relkind in ('v', 'm') then 'view' else 'table' end as kind,
           greatest(c.reltuples, 0)::float8 as estimate, c.relrowsecurity as "rowSecurity",
           (select count(*)::int from pg_policy p where p.polrelid = c.oid) as policies,
           (select coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
                'isKey', coalesce(a.attnum = any (k.indkey::int2[]), false)) order by a.attnum), '[]')
              from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and has_column_privilege(c.oid, a.attnum, 'select')) as columns
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      left join pg_index k on k.indrelid = c.oid and k.indisprimary
     where c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition and n.nspname !~ '^pg_' and n.nspname <> all ($1::text[])
       and ($2::text is null or (n.nspname = $2 and c.relname = $3))
       and has_schema_privilege(n.oid, 'usage') and has_any_column_privilege(c.oid, 'select')
  ) t`

const listOf = (names: readonly string[]): string => `{${names.map((name) => `"${name}"`).join(',')}}`

export const dataTables = async (
  reads: RoleReads,
  request: ViewpointRequest,
): Promise<{ readonly tables: readonly DataTableInfo[] }> => ({
  tables: await reads.json<DataTableInfo[]>(viewpointOf(request), tablesSql, [listOf(hiddenSchemas), null, null]),
})

const findTable = async (reads: RoleReads, { schema, table, ...request }: DataCountRequest): Promise<DataTableInfo> => {
  const values = [listOf(hiddenSchemas), schema, table]
  const [found] = await reads.json<DataTableInfo[]>(viewpointOf(request), tablesSql, values)
  if (found) return found
  throw new TidemarkError('TM_SERVER_BAD_REQUEST', { reason: `the role ${request.role} sees no table ${schema}.${table}` })
}

const columnOf = ({ schema, name, columns }: DataTableInfo, wanted: string): DataColumn => {
  const column = columns.find((each) => each.name === wanted)
  if (column) return column
  throw new TidemarkError('TM_SERVER_BAD_REQUEST', {
    reason: `${schema}.${name} has no column ${wanted} that this role may read`,
  })
}

const signs = { eq: '=', neq: '<>', gt: '>', gte: '>=', lt: '<', lte: '<=', like: 'like', ilike: 'ilike' } as const

/** Names are those of the catalogue, types too; what was typed is a parameter. */
const conditionSql = (table: DataTableInfo, [name, operator, value]: DataCondition, values: string[]): string => {
  const column = columnOf(table, name)
  if (operator === 'is') {
    if (value === 'null' || value === 'not null') return `${id(column.name)} is ${value}`
    throw new TidemarkError('TM_SERVER_BAD_REQUEST', { reason: 'is takes null or not null' })
  }
  values.push(value)
  if (operator === 'like' || operator === 'ilike') return `${id(column.name)}::text ${signs[operator]} $${values.length}`
  return `${id(column.name)} ${signs[operator]} $${values.length}::text::${column.type}`
}

const fromSql = (table: DataTableInfo, where: readonly DataCondition[] = [], values: string[]): string => {
  const clauses = where.map((each) => conditionSql(table, each, values))
  return `from ${id(table.schema)}.${id(table.name)}${clauses.length === 0 ? '' : ` where ${clauses.join(' and ')}`}`
}

const orderSql = (table: DataTableInfo, sort: string | undefined): string => {
  const [, wanted, isDown] = /^(.*?)(\.desc)?$/s.exec(sort ?? '') ?? []
  const chosen = sort === undefined ? undefined : columnOf(table, wanted ?? '')
  const keys = table.columns.filter(({ isKey, name }) => isKey && name !== chosen?.name)
  const first = chosen ? [`${id(chosen.name)}${isDown ? ' desc nulls last' : ''}`] : []
  const all = [...first, ...keys.map(({ name }) => id(name))]
  return all.length === 0 ? '' : ` order by ${all.join(', ')}`
}

const cutAt = 200
const wholeCutAt = 100_000

/** A page of rows, as text; what is long is cut. */
export const dataRows = async (reads: RoleReads, request: DataRowsRequest): Promise<DataRows> => {
  const { sort, offset, limit, whole, ...target } = request
  const table = await findTable(reads, target)
  const values: string[] = []
  const longest = whole ? wholeCutAt : cutAt
  const names = table.columns.map(({ name }) => id(name))
  // Only rows of the page are made text: what an offset skips would be, too, in one query.
  const page = `select ${names.join(', ')} ${fromSql(table, request.where, values)}${orderSql(table, sort)} limit ${limit} offset ${offset}`
  const text = `select ${names.map((name) => `left(${name}::text, ${longest + 1})`).join(', ')} from (${page}) as page`
  const [result] = await reads.read(viewpointOf(request), [{ text, values }])
  const cut = (value: string | null): string | null =>
    value !== null && value.length > longest ? `${value.slice(0, longest)}…` : value
  return { columns: table.columns.map(({ name }) => name), rows: result?.rows.map((row) => row.map(cut)) ?? [], offset }
}

/** A table of any size can be asked; it is counted as far as anybody scrolls. */
const mostCounted = 100_000

export const dataCount = async (reads: RoleReads, request: DataCountRequest): Promise<DataCount> => {
  const table = await findTable(reads, request)
  const values: string[] = []
  const text = `select count(*) from (select ${fromSql(table, request.where, values)} limit ${mostCounted + 1}) as counted`
  const [result] = await reads.read(viewpointOf(request), [{ text, values }])
  const rows = Number(result?.rows[0]?.[0] ?? 0)
  return { rows: Math.min(rows, mostCounted), isMore: rows > mostCounted }
}
