import type { SchemaClient } from '../schema.js'

export type Privilege = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE' | 'REFERENCES' | 'TRIGGER' | 'USAGE'

/** What stands in an object's line: its name for SQL, and its plain name for lists of exceptions. */
export interface Named {
  readonly object: string
  readonly name: string
}

export interface RoleFact {
  readonly name: string
  /** A superuser, or BYPASSRLS: no policy holds it. */
  readonly aboveRowSecurity: boolean
  /** Such roles that it may become. */
  readonly mayBecome: readonly string[]
}

export interface SchemaFact {
  readonly name: string
  readonly object: string
  /** Roles of callers that may make objects in it. */
  readonly writableBy: readonly string[]
}

export interface RelationFact extends Named {
  readonly id: string
  /** As `pg_class.relkind`: r, p tables, v view, m materialized view, f foreign table, S sequence. */
  readonly kind: 'r' | 'p' | 'v' | 'm' | 'f' | 'S'
  readonly exposed: boolean
  readonly rowSecurity: boolean
  readonly forced: boolean
  /** Of a view: it reads with the rights of who asks. */
  readonly invoker: boolean
  readonly ownedBy: readonly string[]
  /** Its changes are told by realtime, and of a deleted row the log holds the key alone. */
  readonly tellsKeysOfDeleted: boolean
  /** By role, on the whole or on columns; only those of exposed schemas. */
  readonly privileges: Readonly<Record<string, readonly Privilege[]>>
  /** The table whose column a sequence feeds. */
  readonly belongsTo: string | null
}

/** A view or materialized view, and one relation that it reads. */
export interface EdgeFact {
  readonly view: string
  readonly uses: string
}

export interface PolicyFact {
  readonly table: string
  readonly name: string
  /** As SQL writes the name. */
  readonly quoted: string
  /** As `pg_policy.polcmd`: r select, a insert, w update, d delete, * all. */
  readonly command: 'r' | 'a' | 'w' | 'd' | '*'
  readonly permissive: boolean
  /** Roles of callers that it applies to. */
  readonly roles: readonly string[]
  readonly using: string | null
  readonly check: string | null
  /** It reads columns that the replica identity of its table does not hold. */
  readonly readsBeyondIdentity: boolean
  /** Ids of the functions it calls. */
  readonly functions: readonly string[]
}

export interface FunctionFact extends Named {
  readonly id: string
  readonly exposed: boolean
  readonly ours: boolean
  readonly definer: boolean
  readonly trigger: boolean
  readonly fixedSearchPath: boolean
  readonly executableBy: readonly string[]
  /** A trigger of an exposed table calls it. */
  readonly fires: boolean
  readonly readsUserMetadata: boolean
}

export interface DefaultFact {
  /** Null where it counts for every schema. */
  readonly schema: string | null
  readonly grantor: string
  readonly roles: readonly string[]
}

/** Everything that the check looks at. */
export interface ExposureFacts {
  readonly roles: readonly RoleFact[]
  readonly schemas: readonly SchemaFact[]
  readonly missingSchemas: readonly string[]
  readonly relations: readonly RelationFact[]
  readonly edges: readonly EdgeFact[]
  readonly policies: readonly PolicyFact[]
  readonly functions: readonly FunctionFact[]
  readonly defaults: readonly DefaultFact[]
  /** Names of every role of the server. */
  readonly roleNames: readonly string[]
}

/**
 * Those whose keys leave the house, and whatever else the login of the API may become for a token that names it. service_role is
 * above row security on purpose, and its key never leaves.
 */
const callerRoles = ['anon', 'authenticated']

/** Schemas that Supabase itself keeps in a project: what is in them is its own affair. */
const platformSchemas = [
  '_analytics',
  '_realtime',
  '_supavisor',
  'auth',
  'cron',
  'extensions',
  'graphql',
  'graphql_public',
  'net',
  'pgbouncer',
  'pgmq',
  'pgsodium',
  'pgsodium_masks',
  'realtime',
  'storage',
  'supabase_functions',
  'supabase_migrations',
  'vault',
]

const notOfExtension = (catalog: string, alias: string) => `
  not exists (select from pg_depend e where e.classid = '${catalog}'::regclass and e.objid = ${alias}.oid and e.deptype = 'e')`

const rolesThat = (condition: string) =>
  `coalesce((select jsonb_agg(a.name order by a.name) from api a where ${condition}), '[]')`

/** The words in which tokens (user_metadata) and the tables of users (raw_user_meta_data) name what users write about themselves. */
export const userMetadataPattern = 'user_meta_?data'

// $1 the exposed schemas, $2 the roles of callers, $3 the schemas of Supabase itself.
const parts: Readonly<Record<keyof ExposureFacts, string>> = {
  roles: `
    select name, above as "aboveRowSecurity",
           coalesce((select jsonb_agg(r.rolname order by r.rolname) from pg_roles r
                      where (r.rolsuper or r.rolbypassrls) and r.oid <> api.oid and not api.above
                        and pg_has_role(api.oid, r.oid, 'MEMBER')), '[]') as "mayBecome"
      from api order by name`,
  roleNames: 'select rolname::text as name from pg_roles',
  schemas: `
    select n.nspname::text as name, quote_ident(n.nspname) as object,
           ${rolesThat("has_schema_privilege(a.oid, n.oid, 'CREATE')")} as "writableBy"
      from pg_namespace n where n.nspname = any($1::text[]) order by name`,
  missingSchemas: 'select name from unnest($1::text[]) name where to_regnamespace(quote_ident(name)) is null',
  relations: `
    select c.oid::int8::text as id, format('%I.%I', n.nspname, c.relname) as object, concat(n.nspname, '.', c.relname) as name,
           c.relkind as kind, n.nspname = any($1::text[]) as exposed, c.relrowsecurity as "rowSecurity",
           c.relforcerowsecurity as forced,
           c.relreplident <> 'f' and exists (
             select from pg_publication p where p.pubname = 'supabase_realtime' and p.pubdelete
                and (p.puballtables or exists (select from pg_publication_tables t
                      where t.pubname = p.pubname and t.schemaname = n.nspname and t.tablename = c.relname))) as "tellsKeysOfDeleted",
           coalesce((select o.option_value::boolean from pg_options_to_table(c.reloptions) o
                      where o.option_name = 'security_invoker'), false) as invoker,
           ${rolesThat("not a.above and pg_has_role(a.oid, c.relowner, 'USAGE')")} as "ownedBy",
           coalesce((
             select jsonb_object_agg(a.name, (
               select coalesce(jsonb_agg(p.name order by p.place), '[]')
                 from unnest(case c.relkind when 'S' then array['SELECT', 'UPDATE', 'USAGE']
                   else array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'] end)
                   with ordinality p(name, place)
                where has_schema_privilege(a.oid, n.oid, 'USAGE')
                  and case when c.relkind = 'S' then has_sequence_privilege(a.oid, c.oid, p.name)
                      else has_table_privilege(a.oid, c.oid, p.name) or (p.name in ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                        and has_any_column_privilege(a.oid, c.oid, p.name)) end))
               from api a where n.nspname = any($1::text[])), '{}') as privileges,
           (select d.refobjid::int8::text from pg_depend d
             where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass
               and d.deptype in ('a', 'i') limit 1) as "belongsTo"
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
       and ${notOfExtension('pg_class', 'c')}
     order by object`,
  edges: `
    select distinct r.ev_class::int8::text as view, d.refobjid::int8::text as uses
      from pg_rewrite r join pg_class c on c.oid = r.ev_class and c.relkind in ('v', 'm')
      join pg_namespace n on n.oid = c.relnamespace and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
                      and d.refobjid <> r.ev_class`,
  policies: `
    select p.polrelid::int8::text as table, p.polname::text as name, quote_ident(p.polname) as quoted, p.polcmd as command,
           p.polpermissive as permissive,
           ${rolesThat(
             "exists (select from unnest(p.polroles) r(oid) where r.oid = 0 or pg_has_role(a.oid, nullif(r.oid, 0::oid), 'USAGE'))",
           )} as roles,
           exists (select from pg_depend d
                    where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass
                      and d.refobjid = p.polrelid and d.refobjsubid > 0
                      and not exists (select from pg_index i
                                       where i.indrelid = p.polrelid and d.refobjsubid = any(i.indkey)
                                         and case c.relreplident when 'i' then i.indisreplident when 'd' then i.indisprimary else false end)
           ) as "readsBeyondIdentity",
           pg_get_expr(p.polqual, p.polrelid) as using, pg_get_expr(p.polwithcheck, p.polrelid) as check,
           coalesce((select jsonb_agg(distinct d.refobjid::int8::text) from pg_depend d
                      where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_proc'::regclass),
             '[]') as functions
      from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any($1::text[]) order by c.relname, p.polname`,
  functions: `
    select f.oid::int8::text as id, f.oid::regprocedure::text as object, concat(n.nspname, '.', f.proname) as name,
           n.nspname = any($1::text[]) as exposed,
           n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and n.nspname <> all($3::text[])
             and ${notOfExtension('pg_proc', 'f')} as ours,
           f.prosecdef as definer, f.prorettype in ('trigger'::regtype, 'event_trigger'::regtype) as trigger,
           exists (select from unnest(f.proconfig) s where s like 'search\\_path=%') as "fixedSearchPath",
           ${rolesThat(
             "has_schema_privilege(a.oid, n.oid, 'USAGE') and has_function_privilege(a.oid, f.oid, 'EXECUTE')",
           )} as "executableBy",
           exists (select from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace s on s.oid = c.relnamespace
                    where t.tgfoid = f.oid and not t.tgisinternal and s.nspname = any($1::text[])) as fires,
           regexp_replace(regexp_replace(concat(f.prosrc, ' ', pg_get_function_sqlbody(f.oid)), '/[*].*?[*]/', '', 'g'),
               '--[^\n]*', '', 'g')
             ~ '${userMetadataPattern}' as "readsUserMetadata"
      from pg_proc f join pg_namespace n on n.oid = f.pronamespace
     where f.prosecdef
        or exists (select from pg_depend d where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass
                                             and d.refobjid = f.oid)
     order by object`,
  defaults: `
    select n.nspname::text as schema, d.defaclrole::regrole::text as grantor,
           (select jsonb_agg(distinct a.name order by a.name) from aclexplode(d.defaclacl) x join api a
               on x.grantee = 0 or x.grantee = a.oid) as roles
      from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace
     where d.defaclobjtype = 'r' and (d.defaclnamespace = 0 or n.nspname = any($1::text[]))
       and exists (select from aclexplode(d.defaclacl) x join api a on x.grantee = 0 or x.grantee = a.oid)
     order by schema, grantor`,
}

const plainLists: ReadonlySet<string> = new Set(['roleNames', 'missingSchemas'])

const factsSql = `
  with api as materialized (
    select r.oid, r.rolname::text as name, r.rolsuper or r.rolbypassrls as above from pg_roles r
     where r.rolname = any($2::text[])
        or r.rolname <> 'service_role' and r.rolname !~ '^(pg|supabase)_'
           and exists (select from pg_auth_members m join pg_roles door on door.oid = m.member
                        where m.roleid = r.oid and door.rolname in ('authenticator', 'tidemark_authenticator')))
  select ${Object.entries(parts)
    .map(([name, sql]) => {
      const value = plainLists.has(name) ? 'x.name' : 'to_jsonb(x)'
      return `coalesce((select jsonb_agg(${value}) from (${sql}) x), '[]') as "${name}"`
    })
    .join(',\n')}`

/** Reads the catalogues in one statement. `inTransaction`: one is under way, and goes on. */
export const readExposureFacts = async (
  client: Pick<SchemaClient, 'query'>,
  schemas: readonly string[],
  inTransaction: boolean,
): Promise<ExposureFacts> => {
  // With no search_path every name in an expression is written in full; a savepoint gives the old one back.
  await client.query(`${inTransaction ? 'savepoint exposure' : 'begin read only'}; set local search_path = ''`)
  try {
    const { rows } = await client.query<ExposureFacts>(factsSql, [schemas, callerRoles, platformSchemas])
    return rows[0] as ExposureFacts
  } finally {
    await client.query(inTransaction ? 'rollback to savepoint exposure; release savepoint exposure' : 'rollback')
  }
}
