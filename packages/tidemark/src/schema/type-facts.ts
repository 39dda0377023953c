import type { SchemaClient } from './schema.js'

/** A type by name, with what TypeScript must know of it. Domains stand as the type under them. */
export interface TypeReference {
  readonly schema: string
  readonly name: string
  readonly array: boolean
  /** Labels of an enum. */
  readonly labels: readonly string[] | null
  readonly relation: 'table' | 'view' | 'composite' | null
}

export interface FunctionRow {
  readonly schema: string
  readonly name: string
  readonly args: readonly { readonly name: string; readonly type: TypeReference; readonly defaulted: boolean }[]
  /** Columns of RETURNS TABLE and OUT parameters. */
  readonly columns: readonly { readonly name: string; readonly type: TypeReference }[]
  readonly returns: TypeReference
  readonly set: boolean
}

export interface TypeFacts {
  readonly schemas: readonly string[]
  readonly relations: readonly { readonly schema: string; readonly name: string; readonly kind: 'table' | 'view' | 'composite' }[]
  readonly columns: readonly {
    readonly schema: string
    readonly relation: string
    readonly name: string
    readonly type: TypeReference
    readonly nullable: boolean
    readonly defaulted: boolean
    /** Generated, or an identity that takes no value. */
    readonly readOnly: boolean
  }[]
  readonly foreignKeys: readonly {
    readonly schema: string
    readonly relation: string
    readonly name: string
    readonly columns: readonly string[]
    readonly parent: string
    readonly parentColumns: readonly string[]
    readonly oneToOne: boolean
  }[]
  readonly enums: readonly { readonly schema: string; readonly name: string; readonly labels: readonly string[] }[]
  readonly functions: readonly FunctionRow[]
}

const relationKind = `case when c.relkind in ('r', 'p', 'f') then 'table' when c.relkind in ('v', 'm') then 'view' else 'composite' end`

/** Every type, domains followed down to what they are made of. */
const typesSql = `
  with recursive base as (
    select t.oid as origin, t.oid, t.typtype, t.typbasetype from pg_type t
    union all
    select b.origin, t.oid, t.typtype, t.typbasetype from base b join pg_type t on t.oid = b.typbasetype where b.typtype = 'd'
  ), flat as (
    select b.origin, t.typcategory = 'A' and t.typelem <> 0 as is_array, case when t.typcategory = 'A' and t.typelem <> 0 then t.typelem else t.oid end as element
      from base b join pg_type t on t.oid = b.oid where b.typtype <> 'd'
  )
  select f.origin as oid, jsonb_build_object(
           'schema', n.nspname, 'name', e.typname, 'array', f.is_array,
           'labels', (select jsonb_agg(l.enumlabel order by l.enumsortorder) from pg_enum l where l.enumtypid = e.oid),
           'relation', case when c.oid is null then null else ${relationKind} end) as reference
    from flat f join pg_type e on e.oid = f.element join pg_namespace n on n.oid = e.typnamespace
    left join pg_class c on c.oid = e.typrelid`

const relationsSql = `
  select n.nspname as schema, c.relname as name, ${relationKind} as kind
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = any($1) and c.relkind in ('r', 'p', 'f', 'v', 'm', 'c') and not c.relispartition
   order by n.nspname collate "C", c.relname collate "C"`

const columnsSql = `
  select n.nspname as schema, c.relname as relation, a.attname as name, a.atttypid::int8::text as type,
         not a.attnotnull as nullable, a.atthasdef or a.attidentity <> '' as defaulted,
         a.attgenerated <> '' or a.attidentity = 'a' as "readOnly"
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = any($1) and c.relkind in ('r', 'p', 'f', 'v', 'm', 'c') and a.attnum > 0 and not a.attisdropped
   order by n.nspname collate "C", c.relname collate "C", a.attname collate "C"`

const foreignKeysSql = `
  select n.nspname as schema, c.relname as relation, k.conname as name, p.relname as parent,
         (select jsonb_agg(a.attname order by o.i) from unnest(k.conkey) with ordinality o(n, i)
            join pg_attribute a on a.attrelid = k.conrelid and a.attnum = o.n) as columns,
         (select jsonb_agg(a.attname order by o.i) from unnest(k.confkey) with ordinality o(n, i)
            join pg_attribute a on a.attrelid = k.confrelid and a.attnum = o.n) as "parentColumns",
         exists (select from pg_constraint u where u.conrelid = k.conrelid and u.contype in ('p', 'u')
                    and u.conkey @> k.conkey and u.conkey <@ k.conkey) as "oneToOne"
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_class p on p.oid = k.confrelid
   where n.nspname = any($1) and k.contype = 'f' and k.conparentid = 0
   order by n.nspname collate "C", c.relname collate "C", k.conname collate "C"`

const enumsSql = `
  select n.nspname as schema, t.typname as name, jsonb_agg(e.enumlabel order by e.enumsortorder) as labels
    from pg_type t join pg_namespace n on n.oid = t.typnamespace join pg_enum e on e.enumtypid = t.oid
   where n.nspname = any($1) group by n.nspname, t.typname order by n.nspname collate "C", t.typname collate "C"`

const functionsSql = `
  select n.nspname as schema, p.proname as name, p.prorettype::int8::text as returns, p.proretset as set, p.pronargdefaults as defaults,
         coalesce(to_jsonb(p.proargnames), '[]') as names, coalesce(to_jsonb(p.proargmodes::text[]), '[]') as modes,
         to_jsonb(coalesce(p.proallargtypes, p.proargtypes::oid[])::int8[]::text[]) as types
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_type t on t.oid = p.prorettype
   where n.nspname = any($1) and p.prokind = 'f' and t.typname not in ('trigger', 'event_trigger')
     and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
   order by n.nspname collate "C", p.proname collate "C", pg_get_function_identity_arguments(p.oid) collate "C"`

interface RawFunction {
  readonly schema: string
  readonly name: string
  readonly returns: string
  readonly set: boolean
  readonly defaults: number
  readonly names: readonly string[]
  readonly modes: readonly string[]
  readonly types: readonly string[]
}

const functionOf = (raw: RawFunction, reference: (oid: string) => TypeReference): FunctionRow => {
  const parameters = raw.types.map((oid, index) => ({
    name: raw.names[index] ?? '',
    type: reference(oid),
    mode: raw.modes[index] ?? 'i',
  }))
  const inputs = parameters.filter(({ mode }) => mode === 'i' || mode === 'b' || mode === 'v')
  return {
    schema: raw.schema,
    name: raw.name,
    args: inputs.map(({ name, type }, index) => ({ name, type, defaulted: index >= inputs.length - raw.defaults })),
    columns: parameters.filter(({ mode }) => mode === 'o' || mode === 'b' || mode === 't'),
    returns: reference(raw.returns),
    set: raw.set,
  }
}

const unknownType: TypeReference = { schema: 'pg_catalog', name: 'unknown', array: false, labels: null, relation: null }

/** What the generated types are made from, in a fixed order. */
export const readTypeFacts = async (client: SchemaClient, schemas: readonly string[]): Promise<TypeFacts> => {
  const rows = async <Row extends object>(sql: string): Promise<readonly Row[]> => (await client.query<Row>(sql, [schemas])).rows
  const { rows: types } = await client.query<{ oid: number; reference: TypeReference }>(typesSql)
  const byOid = new Map(types.map(({ oid, reference }) => [String(oid), reference]))
  const reference = (oid: string) => byOid.get(oid) ?? unknownType
  const columns = await rows<Omit<TypeFacts['columns'][number], 'type'> & { readonly type: string }>(columnsSql)
  return {
    schemas,
    relations: await rows(relationsSql),
    columns: columns.map((column) => ({ ...column, type: reference(column.type) })),
    foreignKeys: await rows(foreignKeysSql),
    enums: await rows(enumsSql),
    functions: (await rows<RawFunction>(functionsSql)).map((raw) => functionOf(raw, reference)),
  }
}
