/** What one role may see of one table, as Postgres' catalogues say: what stands between a change and whoever listens. */

export interface AccessColumn {
  readonly name: string
  readonly typeOid: number
  /** By a grant on the column or its table. */
  readonly readable: boolean
  /** The expression of a generated column, which the log does not tell; null for others. */
  readonly generated: string | null
  /** Whether two values are equal exactly where their texts are: uuid, and text under an ordinary collation. */
  readonly exactText: 'uuid' | 'text' | null
}

/** A policy that counts for the role and for SELECT. */
export interface AccessPolicy {
  readonly name: string
  readonly permissive: boolean
  /** As Postgres prints it for an empty search path. */
  readonly qual: string
  /** Columns of the table that it reads, by name. */
  readonly columns: readonly string[]
  /** It passes on the row as a whole. */
  readonly wholeRow: boolean
}

export interface TableAccess {
  readonly role: string
  readonly schema: string
  readonly table: string
  readonly oid: number
  /** False where the login may not become the role, or the role may not use the schema: nothing is seen then. */
  readonly reaches: boolean
  /** Row security does not count: off for the table, or not for the role. */
  readonly bypasses: boolean
  /** In the order of the table. */
  readonly columns: readonly AccessColumn[]
  readonly policies: readonly AccessPolicy[]
  /** Of everything above that belongs to the table. */
  readonly digest: string
}

/** Changes with whatever a policy, a grant, a column or an owner of the table changes. */
const tableDigest = `md5(concat_ws('|', c.xmin, c.relname, n.nspname,
  (select string_agg(concat_ws(':', d.attnum, d.xmin), ',' order by d.attnum) from pg_attribute d where d.attrelid = c.oid and d.attnum > 0),
  (select string_agg(concat_ws(':', d.oid, d.xmin), ',' order by d.oid) from pg_attrdef d where d.adrelid = c.oid),
  (select string_agg(concat_ws(':', d.oid, d.xmin), ',' order by d.oid) from pg_policy d where d.polrelid = c.oid)))`

/** Changes with roles, memberships, schemas, and what auth.uid() is. */
const commonDigest = `md5(concat_ws('|',
  (select string_agg(concat_ws(':', d.oid, d.rolname, d.rolsuper, d.rolbypassrls, d.rolinherit), ',' order by d.oid) from pg_roles d),
  (select string_agg(concat_ws(':', d.roleid, d.member, d.grantor, d.xmin), ',' order by d.roleid, d.member, d.grantor) from pg_auth_members d),
  (select string_agg(concat_ws(':', d.oid, d.xmin), ',' order by d.oid) from pg_namespace d where d.nspname !~ '^pg_(temp|toast_temp)_'),
  (select string_agg(concat_ws(':', d.oid, d.xmin), ',' order by d.oid) from pg_proc d
    where d.pronamespace = to_regnamespace('auth') and d.proname in ('uid', 'jwt'))))`

const columnsSql = `(select coalesce(jsonb_agg(jsonb_build_object(
    'name', a.attname, 'typeOid', a.atttypid::int8, 'readable', has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT'),
    'generated', case when a.attgenerated <> '' then (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d
                                                       where d.adrelid = c.oid and d.adnum = a.attnum) end,
    'exactText', case when a.atttypid = 'uuid'::regtype then 'uuid'
                      when a.atttypid in ('text'::regtype, 'varchar'::regtype)
                           and (select o.collisdeterministic from pg_collation o where o.oid = a.attcollation) then 'text' end)
    order by a.attnum), '[]') from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)`

const policiesSql = `(select coalesce(jsonb_agg(jsonb_build_object(
    'name', p.polname, 'permissive', p.polpermissive, 'qual', pg_get_expr(p.polqual, p.polrelid),
    'wholeRow', p.polqual::text ~ ':varattno 0 ',
    'columns', (select coalesce(jsonb_agg(distinct a.attname), '[]') from pg_depend d join pg_attribute a
                  on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                 where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass
                   and d.refobjid = c.oid and d.refobjsubid > 0)) order by p.polname), '[]')
   from pg_policy p
  where p.polrelid = c.oid and p.polcmd in ('*', 'r') and p.polqual is not null
    and (0 = any(p.polroles) or exists (select from unnest(p.polroles) m where m <> 0 and pg_has_role(r.oid, m, 'USAGE'))))`

/** Of `[{role, schema, table}]`: one JSON for each that exists, and what stands behind all of them. Read under an empty search path. */
export const accessSql = `
  select ${commonDigest} as common, (
    select jsonb_agg(jsonb_build_object(
      'role', r.rolname, 'schema', n.nspname, 'table', c.relname, 'oid', c.oid::int8,
      'reaches', has_schema_privilege(r.oid, n.oid, 'USAGE') and pg_has_role(current_user, r.oid,
        case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end),
      'bypasses', not c.relrowsecurity or r.rolsuper or r.rolbypassrls
        or (not c.relforcerowsecurity and pg_has_role(r.oid, c.relowner, 'USAGE')),
      'columns', ${columnsSql}, 'policies', ${policiesSql}, 'digest', ${tableDigest}))
      from jsonb_to_recordset($1::jsonb) as asked(role text, schema text, "table" text)
      join pg_roles r on r.rolname = asked.role
      join pg_namespace n on n.nspname = asked.schema
      join pg_class c on c.relnamespace = n.oid and c.relname = asked."table" and c.relkind in ('r', 'p'))`

/** Of `[{schema, table}]`: whether any of it has changed. */
export const checkSql = `
  select ${commonDigest}, (
    select jsonb_agg(jsonb_build_object('schema', n.nspname, 'table', c.relname, 'digest', ${tableDigest}))
      from jsonb_to_recordset($1::jsonb) as asked(schema text, "table" text)
      join pg_namespace n on n.nspname = asked.schema
      join pg_class c on c.relnamespace = n.oid and c.relname = asked."table" and c.relkind in ('r', 'p'))`
