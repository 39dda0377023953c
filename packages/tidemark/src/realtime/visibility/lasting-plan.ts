/** Functions that a body may call which is read by {@link plainBody}, its types, and its own words. */
const plainWords = [
  'select',
  'coalesce',
  'nullif',
  'current_setting',
  'true',
  'as',
  'auth',
  'jwt',
  'uuid',
  'text',
  'json',
  'jsonb',
]

/**
 * A body in SQL becomes part of the plan: it may only read settings, and auth.jwt(), which is looked at itself. One that Postgres keeps parsed
 * (BEGIN ATOMIC) has no text.
 */
const plainBody = `(f.prosrc <> '' and f.prosrc !~ '["\\\\$]|--' and regexp_replace(f.prosrc, '''[^'']*''', '', 'g') ~ '^[[:alnum:]_[:space:]().,:;>-]*$'
  and not exists (select from regexp_matches(regexp_replace(f.prosrc, '''[^'']*''', '', 'g'), '[[:alpha:]_][[:alnum:]_]*', 'g') as words(word)
                   where lower(word[1]) <> all ('{${plainWords.join(',')}}'::text[])))`

/** A text or a name in quotes, or who calls. Postgres prints expressions in this way. */
const whoCalls = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\bauth\.(?:uid|jwt|role|email)\(\)/g

/** The expression with who calls worked out once for all rows, and not for each; the same where {@link planLasts}. */
export const askedOnce = (expression: string): string =>
  expression.replace(whoCalls, (found) => (found.startsWith('auth.') ? `(select ${found})` : found))

/** Functions that tell who calls are asked for each row where they say VOLATILE. */
const tellOnce = `not exists (
  select from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid = f.pronamespace
   where n.nspname = 'auth' and f.proname in ('uid', 'jwt', 'role', 'email') and f.pronargs = 0 and f.provolatile = 'v')`

/**
 * Whether one plan of a question about the table holds for all callers of a role, as a condition in SQL. Postgres works out calls of functions that
 * say IMMUTABLE while it plans, so that a function which says so and reads the claims nevertheless would tell the first caller's to all: where
 * there is any such function among what the policies of the table, and of the tables that they look up, are made of, each caller has a plan of its
 * own. The same where that cannot be told: views, functions in SQL that become part of the plan, arguments left to their defaults. What is in
 * pg_catalog from the beginning, and what is written in C, says of itself what is true. Nor does it hold where who calls is another from row to row.
 */
export const planLasts = (tableOid: number): string => `(${tellOnce} and (
  with recursive part(kind, id) as (
    select 'pg_catalog.pg_class'::regclass::oid, ${tableOid}::oid
    union select 'pg_catalog.pg_proc'::regclass::oid, f.oid
            from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid = f.pronamespace where n.nspname = 'auth' and f.proname = 'jwt'
    union select d.refclassid, d.refobjid
            from part join pg_catalog.pg_policy p on part.kind = 'pg_catalog.pg_class'::regclass::oid and p.polrelid = part.id
            join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_policy'::regclass::oid and d.objid = p.oid)
  select not exists (
    select from part where case part.kind
      when 'pg_catalog.pg_type'::regclass::oid then false
      when 'pg_catalog.pg_collation'::regclass::oid then false
      when 'pg_catalog.pg_class'::regclass::oid then
        (select c.relkind not in ('r', 'p', 'm') from pg_catalog.pg_class c where c.oid = part.id)
      when 'pg_catalog.pg_operator'::regclass::oid then
        (select l.lanname not in ('c', 'internal') from pg_catalog.pg_operator o join pg_catalog.pg_proc f on f.oid = o.oprcode
           join pg_catalog.pg_language l on l.oid = f.prolang where o.oid = part.id)
      when 'pg_catalog.pg_proc'::regclass::oid then
        (select l.lanname not in ('c', 'internal') and (f.provolatile = 'i' or f.pronargdefaults > 0
                or (l.lanname = 'sql' and not f.prosecdef and f.proconfig is null and not ${plainBody}))
           from pg_catalog.pg_proc f join pg_catalog.pg_language l on l.oid = f.prolang where f.oid = part.id)
      else true end)))`
