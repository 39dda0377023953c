/**
 * What is asked of Postgres' own tables. Each answer is one row with one JSON value in the column `facts`: thousands of small rows
 * take the driver longer than Postgres takes to read them. All run with an empty search path, so that names are written with their schema.
 */

export interface CatalogueClient {
  query<Row extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: readonly Row[] }>
}

export interface HeadFact {
  readonly versionNumber: number
  readonly schemas: readonly { readonly oid: number; readonly name: string; readonly description: string | null }[]
  /** Of the server as a whole before those of this database, which go before. */
  readonly roleSettings: readonly { readonly role: string; readonly setting: string }[]
}

/**
 * $1 schemas, $2 the role whose sessions answer requests. Of a role's settings only those that such a session may change:
 * a request sets them all, and must not fail at one that a superuser gave for logins.
 */
export const headSql = `
  select json_build_object(
    'versionNumber', current_setting('server_version_num')::int,
    'schemas', (select coalesce(json_agg(json_build_object('oid', n.oid::int8, 'name', n.nspname, 'description', obj_description(n.oid, 'pg_namespace'))), '[]')
                  from pg_namespace n where n.nspname = any($1::text[])),
    'roleSettings', (
      select coalesce(json_agg(json_build_object('role', r.rolname, 'setting', c.setting) order by s.setdatabase), '[]')
        from pg_db_role_setting s
        join pg_roles r on r.oid = s.setrole
        cross join unnest(s.setconfig) as c (setting)
        join pg_settings p on lower(p.name) = lower(split_part(c.setting, '=', 1))
       where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
         and p.name not in ('role', 'session_authorization')
         and (p.context = 'user' or has_parameter_privilege((select oid from pg_roles where rolname = coalesce($2, current_user)), p.name, 'set')))
  ) as facts`

/**
 * A row as text, in an array: Postgres writes an array of one type many times faster than an object, whose every field it looks at anew.
 * The number, schema, name, as written in SQL, typtype, typcategory, array, base, typmod, relation, whether it takes modifiers,
 * whether it may be null, default.
 */
export type TypeFact = readonly (string | null)[]

export interface TypeFacts {
  readonly types: readonly TypeFact[]
  /** Of enums. */
  readonly labels: readonly { readonly type: number; readonly labels: readonly string[] }[]
}

// The modifier -1 makes format_type write what reads back as the same type: bpchar, where "character" would have a length of 1.
export const typesSql = `
  select json_build_object(
    'types', (
      select to_json(array_agg(array[t.oid::text, n.nspname, t.typname, format_type(t.oid, -1), t.typtype, t.typcategory, t.typarray::text,
               t.typbasetype::text, t.typtypmod::text, t.typrelid::text, (t.typmodin <> 0)::text, (not t.typnotnull)::text,
               case when t.typtype = 'd' then pg_get_expr(t.typdefaultbin, 0) end]::text[]))
        from pg_type t join pg_namespace n on n.oid = t.typnamespace
       where t.typisdefined and n.nspname !~ '^pg_(toast|temp)'),
    'labels', (
      select coalesce(json_agg(json_build_object('type', e.enumtypid::int8, 'labels', e.labels)), '[]')
        from (select enumtypid, array_agg(enumlabel order by enumsortorder) as labels from pg_enum group by enumtypid) as e)) as facts`

export interface FunctionFact {
  readonly oid: number
  readonly schema: number
  readonly name: string
  readonly description: string | null
  readonly argumentTypes: readonly number[]
  /** With those that only come out; null where all go in. */
  readonly allTypes: readonly number[] | null
  readonly modes: readonly string[] | null
  readonly names: readonly string[] | null
  readonly defaults: number
  readonly returns: number
  readonly set: boolean
  readonly rows: number
  readonly volatility: 'i' | 's' | 'v'
  readonly securityDefiner: boolean
  readonly settings: readonly string[] | null
}

/** $1 exposed schemas, $2 schemas of the extra search path: of those only functions of one row, which are read like columns. */
export const functionsSql = `
  select coalesce(json_agg(json_build_object('oid', p.oid::int8, 'schema', p.pronamespace::int8, 'name', p.proname, 'description', d.description,
           'argumentTypes', p.proargtypes::oid[]::int8[], 'allTypes', p.proallargtypes::int8[], 'modes', p.proargmodes, 'names', p.proargnames,
           'defaults', p.pronargdefaults, 'returns', p.prorettype::int8, 'set', p.proretset, 'rows', p.prorows,
           'volatility', p.provolatile, 'securityDefiner', p.prosecdef, 'settings', p.proconfig)
           order by p.pronargs, p.oid), '[]') as facts
    from pg_proc p left join pg_description d on d.objoid = p.oid and d.classoid = 'pg_proc'::regclass and d.objsubid = 0
   where p.prokind = 'f' and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
     and (p.pronamespace = any($1::oid[]) or (p.pronamespace = any($2::oid[]) and p.pronargs = 1
          and exists (select from pg_type t where t.oid = p.proargtypes[0] and t.typrelid <> 0)))`

/** As {@link TypeFact}: number, name, description, type where it has a modifier, type's number, modifier, not null, default, attgenerated, attidentity. */
export type ColumnFact = readonly (string | null)[]

export interface RelationFact {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly kind: 'r' | 'v' | 'm' | 'f' | 'p' | 'c'
  readonly partition: boolean
  readonly description: string | null
  readonly columns: readonly ColumnFact[]
}

/** $1 exposed schemas, $2 numbers of further relations: what functions return rows of. */
export const relationsSql = `
  select coalesce(json_agg(json_build_object('oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
           'partition', c.relispartition, 'description', d.description,
           'columns', coalesce(a.columns, '[]')) order by c.relname collate "C"), '[]') as facts
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_description d on d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
    cross join lateral (
      select to_json(array_agg(array[a.attnum::text, a.attname, cd.description,
               case when a.atttypmod <> -1 then format_type(a.atttypid, a.atttypmod) end, a.atttypid::text, a.atttypmod::text, a.attnotnull::text,
               case when a.attidentity <> '' then (
                      select format('nextval(%L::regclass)', s.objid::regclass) from pg_depend s
                       where s.refclassid = 'pg_class'::regclass and s.refobjid = a.attrelid and s.refobjsubid = a.attnum
                         and s.classid = 'pg_class'::regclass and s.deptype = 'i')
                    when a.atthasdef and a.attgenerated = '' then pg_get_expr(ad.adbin, ad.adrelid) end,
               a.attgenerated, a.attidentity]::text[] order by a.attnum)) as columns
        from pg_attribute a
        left join pg_attrdef ad on ad.adrelid = a.attrelid and ad.adnum = a.attnum
        left join pg_description cd on cd.objoid = a.attrelid and cd.classoid = 'pg_class'::regclass and cd.objsubid = a.attnum
       where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) a
   where (c.relkind in ('r', 'v', 'm', 'f', 'p') and not c.relispartition and c.relnamespace = any($1::oid[])) or c.oid = any($2::oid[])`

export interface UpdatableFact {
  readonly oid: number
  /** 4 update, 8 insert, 16 delete. */
  readonly bits: number
}

/** $1 numbers of views and foreign tables. INSTEAD OF triggers count. Asks the wrapper of a foreign table, which may be broken. */
export const updatableSql = `
  select coalesce(json_agg(json_build_object('oid', oid::int8, 'bits', pg_relation_is_updatable(oid, true))), '[]') as facts
    from unnest($1::oid[]) as relation (oid)`

export interface ConstraintFact {
  readonly name: string
  readonly kind: 'p' | 'u' | 'f'
  readonly table: number
  readonly columns: readonly number[]
  readonly foreignTable: number
  readonly foreignColumns: readonly number[] | null
}

/** Of every schema: a view may show what stands elsewhere. A key over a period is no equality of its columns. */
export const constraintsSql = (major: number): string => `
  select coalesce(json_agg(json_build_object('name', k.conname, 'kind', k.contype, 'table', k.conrelid::int8, 'columns', k.conkey,
           'foreignTable', k.confrelid::int8, 'foreignColumns', k.confkey) order by k.conrelid, k.conname collate "C"), '[]') as facts
    from pg_constraint k
   where k.contype in ('p', 'u', 'f') and k.conrelid <> 0 and (k.contype <> 'f' or k.conparentid = 0)
     and k.connamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
     ${major >= 18 ? 'and not k.conperiod' : ''}`

export interface ViewRow {
  readonly oid: string
  readonly rule: string
}

/** $1 schemas whose views may show columns of tables, or of each other. */
export const viewsSql = `
  select c.oid::int8 as oid, r.ev_action::text as rule
    from pg_class c join pg_rewrite r on r.ev_class = c.oid
   where c.relkind in ('v', 'm') and r.ev_type = '1' and r.is_instead and c.relnamespace = any($1::oid[])`

/** Opens hundreds of files on the server's disk: asked once, not with each reading. */
export const timezonesSql = `select coalesce(json_agg(name), '[]') as facts from pg_timezone_names`

/**
 * One short text that differs after any change of structure: the writing transactions of all rows that describe it. Schemas of
 * Postgres itself and of temporary tables do not count.
 */
export const digestSql = `
  with spaces as materialized (select oid, xmin from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
  relations as materialized (select c.oid, c.xmin from pg_class c join spaces n on n.oid = c.relnamespace where c.relkind in ('r', 'v', 'm', 'f', 'p', 'c')),
  marks as (
    select 1 as part, oid, xmin from spaces
    union all select 2, oid, xmin from relations
    union all select 3, a.attrelid, a.xmin from pg_attribute a join relations r on r.oid = a.attrelid where a.attnum > 0
    union all select 4, k.oid, k.xmin from pg_constraint k join spaces n on n.oid = k.connamespace
    union all select 5, w.oid, w.xmin from pg_rewrite w join relations r on r.oid = w.ev_class
    union all select 6, d.oid, d.xmin from pg_attrdef d join relations r on r.oid = d.adrelid
    union all select 7, p.oid, p.xmin from pg_proc p join spaces n on n.oid = p.pronamespace
    union all select 8, t.oid, t.xmin from pg_type t join spaces n on n.oid = t.typnamespace
    union all select 9, oid, xmin from pg_enum
    union all select 10, d.objoid, d.xmin from pg_description d where d.objoid >= 16384
    union all select 11, g.oid, g.xmin from pg_trigger g join relations r on r.oid = g.tgrelid where not g.tgisinternal
    union all select 12, setrole, xmin from pg_db_role_setting)
  select coalesce(string_agg(format('%s:%s:%s:%s', part, n, oids, writers), ' ' order by part), '') as digest
    from (select part, count(*) as n, sum(oid::int8) as oids, sum(xmin::text::int8) as writers from marks group by part) as parts`
