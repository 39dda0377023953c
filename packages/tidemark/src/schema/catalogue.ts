import type { ObjectKind, SchemaClient } from './schema.js'

/** One object of a database, in words that two databases can be compared by. */
export interface CatalogueObject {
  readonly kind: ObjectKind
  readonly schema: string
  readonly parent: string | null
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
}

/** Objects that people made: not the server's own, not those of an extension. */
const ours = (catalog: string, alias: string) => `
  n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists (select from pg_depend d
                   where d.classid = '${catalog}'::regclass and d.objid = ${alias}.oid and d.deptype = 'e')`

/** Grants to those who come from outside; what the server's own roles may do follows from the bootstrap. */
const grants = (acl: string) => `
  coalesce((select string_agg(line, '; ' order by line) from (
    select case a.grantee when 0 then 'public' else a.grantee::regrole::text end || ': '
           || string_agg(a.privilege_type, ', ' order by a.privilege_type) as line
      from aclexplode(${acl}) a
     where a.grantee = 0 or a.grantee::regrole::text in ('anon', 'authenticated')
     group by a.grantee) g), 'none')`

const kinds: Readonly<Record<ObjectKind, string>> = {
  table: `
    select n.nspname as schema, null as parent, c.relname as name, jsonb_build_object(
             'kind', case when c.relkind = 'p' then 'partitioned by ' || pg_get_partkeydef(c.oid)
                          when c.relispartition then 'partition ' || pg_get_expr(c.relpartbound, c.oid) else 'table' end,
             'row security', case when c.relforcerowsecurity then 'forced' when c.relrowsecurity then 'on' else 'off' end,
             'replica identity', c.relreplident,
             'grants', ${grants('c.relacl')}) as attributes
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and ${ours('pg_class', 'c')}`,
  column: `
    select n.nspname as schema, c.relname as parent, a.attname as name, jsonb_build_object(
             'type', format_type(a.atttypid, a.atttypmod)
                     || case when a.attcollation <> t.typcollation then ' collate ' || a.attcollation::regcollation::text else '' end,
             'nullable', case when a.attnotnull then 'no' else 'yes' end,
             'default', case when a.attgenerated = '' then coalesce(pg_get_expr(d.adbin, d.adrelid), 'none') else 'none' end,
             'generated', case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid) || ' (' || a.attgenerated::text || ')'
                               else case a.attidentity when 'a' then 'identity always' when 'd' then 'identity' else 'no' end end)
           as attributes
      from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
      join pg_type t on t.oid = a.atttypid
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped and ${ours('pg_class', 'c')}`,
  // NOT NULL is an attribute of the column; since Postgres 18 it is a constraint as well, under a name of its own.
  constraint: `
    select n.nspname as schema, c.relname as parent, k.conname as name,
           jsonb_build_object('definition', pg_get_constraintdef(k.oid)) as attributes
      from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
     where k.contype not in ('n', 't') and k.conparentid = 0 and ${ours('pg_class', 'c')}`,
  index: `
    select n.nspname as schema, t.relname as parent, c.relname as name, jsonb_build_object(
             'definition', pg_get_indexdef(i.indexrelid),
             'valid', case when i.indisvalid then 'yes' else 'no' end) as attributes
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
      join pg_namespace n on n.oid = c.relnamespace
     where not c.relispartition and ${ours('pg_class', 't')}
       and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))`,
  policy: `
    select n.nspname as schema, c.relname as parent, p.polname as name, jsonb_build_object(
             'command', p.polcmd, 'permissive', p.polpermissive::text,
             'roles', (select string_agg(case r when 0 then 'public' else r::regrole::text end, ', ' order by r::regrole::text)
                         from unnest(p.polroles) r),
             'using', coalesce(pg_get_expr(p.polqual, p.polrelid), 'none'),
             'check', coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'none')) as attributes
      from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
     where ${ours('pg_class', 'c')}`,
  trigger: `
    select n.nspname as schema, c.relname as parent, t.tgname as name, jsonb_build_object(
             'definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled) as attributes
      from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
     where not t.tgisinternal and t.tgparentid = 0 and ${ours('pg_class', 'c')}`,
  view: `
    select n.nspname as schema, null as parent, c.relname as name, jsonb_build_object(
             'definition', pg_get_viewdef(c.oid), 'kind', case c.relkind when 'm' then 'materialized' else 'view' end,
             'options', coalesce(array_to_string(c.reloptions, ', '), 'none'),
             'grants', ${grants('c.relacl')}) as attributes
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('v', 'm') and ${ours('pg_class', 'c')}`,
  function: `
    select n.nspname as schema, null as parent, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as name,
           jsonb_build_object(
             'definition', case when p.prokind in ('f', 'p', 'w') then pg_get_functiondef(p.oid) else p.prokind::text end,
             'grants', ${grants("coalesce(p.proacl, acldefault('f', p.proowner))")}) as attributes
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where ${ours('pg_proc', 'p')}
       -- The bootstrap makes those of its event triggers, of the schema realtime and of statistics, where its role may.
       and not (n.nspname = 'tidemark'
                and (p.prorettype = 'event_trigger'::regtype or p.proname in ('keep_realtime_messages', 'probe_channel', 'statement_statistics')))`,
  enum: `
    select n.nspname as schema, null as parent, t.typname as name, jsonb_build_object('values',
             (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid))
           as attributes
      from pg_type t join pg_namespace n on n.oid = t.typnamespace
     where t.typtype = 'e' and ${ours('pg_type', 't')}`,
  // Those of serial and identity columns follow their columns.
  sequence: `
    select n.nspname as schema, null as parent, c.relname as name, jsonb_build_object(
             'type', format_type(s.seqtypid, null), 'start', s.seqstart::text, 'increment', s.seqincrement::text,
             'bounds', s.seqmin || ' to ' || s.seqmax || case when s.seqcycle then ', cycles' else '' end) as attributes
      from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
     where not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i'))
       and ${ours('pg_class', 'c')}`,
}

/** Everything people made in this database, sorted by schema, parent and name. */
export const readCatalogue = async (client: SchemaClient): Promise<readonly CatalogueObject[]> => {
  const parts = Object.entries(kinds).map(([kind, sql]) => `(select '${kind}' as kind, o.* from (${sql}) o)`)
  // With no search_path every name in a definition is written in full, so that both sides write alike.
  await client.query("begin read only; set local search_path = ''")
  try {
    const { rows } = await client.query<CatalogueObject>(
      `select kind, schema::text, parent::text, name::text, attributes from (${parts.join(' union all ')}) o
        order by schema collate "C", coalesce(parent, name) collate "C", kind collate "C", name collate "C"`,
    )
    return rows
  } finally {
    await client.query('rollback')
  }
}
