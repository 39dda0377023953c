import { authTablesStep } from './auth-tables.js'
import { realtimeStep } from './realtime-tables.js'
import { quoteIdentifier as id, quoteLiteral as literal } from './sql-errors.js'

/** One act of the preparation. All are safe to repeat. */
export interface BootstrapStep {
  readonly what: string
  readonly sql: string
  /** What follows when the role may not do it. */
  readonly consequence: string
}

/** Who owns what: role names, or the given role's own name where a role could not be made. */
export interface Owners {
  readonly migrator: string
  readonly authenticator: string
  readonly app: string
  readonly feed: string
  /** Undefined where the schema `auth` is another system's. */
  readonly auth: string | undefined
  /** The role of the session that prepares the database. */
  readonly admin: string
}

/** The roles that a Supabase client names; the key of a request decides which of them it acts as. */
export const apiRoles = ['anon', 'authenticated', 'service_role'] as const

const whenMissing = (condition: string, sql: string): string => `do $guard$ begin if ${condition} then ${sql} end if; end $guard$`

/** Creates a role unless it is there. Roles belong to the server, so another database's session may be doing the same. */
export const createRole = (name: string, attributes: string): string =>
  `do $guard$ begin
     if not exists (select from pg_roles where rolname = ${literal(name)}) then
       create role ${id(name)} ${attributes};
       comment on role ${id(name)} is 'tidemark';
     end if;
   exception when duplicate_object or unique_violation then null;
   end $guard$`

/** auth.jwt(), auth.uid(), auth.role() and auth.email() with the meaning they have on Supabase, each only where it is missing. */
const authStep: BootstrapStep = {
  what: 'the schema auth with auth.jwt(), auth.uid(), auth.role() and auth.email()',
  consequence: 'policies and migrations that call them fail',
  sql: [
    whenMissing("to_regnamespace('auth') is null", 'create schema auth;'),
    whenMissing(
      "to_regprocedure('auth.jwt()') is null",
      `create function auth.jwt() returns jsonb language sql stable as $f$
         select coalesce(
           nullif(current_setting('request.jwt.claim', true), ''),
           nullif(current_setting('request.jwt.claims', true), '')
         )::jsonb $f$;
       grant execute on function auth.jwt() to public;`,
    ),
    // Raises on a subject that is no uuid, as Supabase does: such systems compare auth.jwt() ->> 'sub' as text.
    whenMissing(
      "to_regprocedure('auth.uid()') is null",
      `create function auth.uid() returns uuid language sql stable as $f$
         select coalesce(
           nullif(current_setting('request.jwt.claim.sub', true), ''),
           nullif(auth.jwt() ->> 'sub', '')
         )::uuid $f$;
       grant execute on function auth.uid() to public;`,
    ),
    whenMissing(
      "to_regprocedure('auth.role()') is null",
      `create function auth.role() returns text language sql stable as $f$
         select coalesce(
           nullif(current_setting('request.jwt.claim.role', true), ''),
           nullif(auth.jwt() ->> 'role', '')
         ) $f$;
       grant execute on function auth.role() to public;`,
    ),
    whenMissing(
      "to_regprocedure('auth.email()') is null",
      `create function auth.email() returns text language sql stable as $f$
         select coalesce(
           nullif(current_setting('request.jwt.claim.email', true), ''),
           nullif(auth.jwt() ->> 'email', '')
         ) $f$;
       grant execute on function auth.email() to public;`,
    ),
    whenMissing(
      "not has_schema_privilege('authenticated', 'auth', 'USAGE') or not has_schema_privilege('anon', 'auth', 'USAGE')",
      'grant usage on schema auth to public;',
    ),
  ].join(';\n'),
}

/** The ledger of the Supabase CLI, as that CLI makes it. It stays the preparing role's own, so that the CLI can go on using it. */
export const ledgerSql = [
  whenMissing("to_regnamespace('supabase_migrations') is null", 'create schema supabase_migrations;'),
  whenMissing(
    "to_regclass('supabase_migrations.schema_migrations') is null",
    'create table supabase_migrations.schema_migrations (version text not null primary key, statements text[], name text);',
  ),
].join(';\n')

/** Our own ledger: checksums of everything we applied, and the record itself for sources that are not the project's. */
export const ownLedgerSql = `
  create table if not exists tidemark.migrations (
    source text not null,
    version text not null,
    name text not null,
    checksum text not null,
    elapsed_ms integer not null,
    applied_at timestamptz not null default now(),
    primary key (source, version)
  );
  alter table tidemark.migrations enable row level security;
  revoke all on tidemark.migrations from public`

/** Makes the schema `tidemark` the given role's own. */
export const platformSchemaSql = (owner: string): string =>
  whenMissing("to_regnamespace('tidemark') is null", `create schema tidemark authorization ${id(owner)};`)

/** Hands the schema `tidemark` over where another role made it: a move by itself prepares a plain database under whatever role it is given. */
const adoptPlatformSql = (owner: string): string => `do $adopt$
  declare
    statement text;
  begin
    if (select nspowner <> ${literal(id(owner))}::regrole from pg_namespace where nspname = 'tidemark') then
      for statement in
        select 'alter schema tidemark owner to ${id(owner)}'
        union all
        select format('alter %s %s owner to ${id(owner)}', case relkind when 'v' then 'view' else 'table' end, oid::regclass)
          from pg_class where relnamespace = 'tidemark'::regnamespace and relkind in ('r', 'p', 'v')
        union all
        select format('alter routine %s owner to ${id(owner)}', oid::regprocedure) from pg_proc where pronamespace = 'tidemark'::regnamespace
      loop
        execute statement;
      end loop;
    end if;
  end $adopt$;`

const quoted = (words: readonly string[]): string => words.map(literal).join(', ')

/** Commands after which another table, column, key, function or type may be there. */
const structureCommands = [
  ...[
    'DOMAIN',
    'EXTENSION',
    'FOREIGN TABLE',
    'FUNCTION',
    'MATERIALIZED VIEW',
    'RULE',
    'SCHEMA',
    'TABLE',
    'TRIGGER',
    'TYPE',
    'VIEW',
  ].flatMap((kind) => [`CREATE ${kind}`, `ALTER ${kind}`]),
  ...['ALTER ROUTINE', 'COMMENT', 'CREATE TABLE AS', 'IMPORT FOREIGN SCHEMA', 'SELECT INTO'],
]

const structureKinds = [
  ...['default value', 'domain constraint', 'foreign table', 'function', 'materialized view', 'rule', 'schema', 'table'],
  ...['table column', 'table constraint', 'trigger', 'type', 'view'],
]

/** Commands after which somebody else may see what is in a table. Roles announce nothing. */
const accessCommands = [
  ...['FUNCTION', 'POLICY', 'TABLE'].flatMap((kind) => [`CREATE ${kind}`, `ALTER ${kind}`, `DROP ${kind}`]),
  ...['ALTER ROUTINE', 'ALTER SCHEMA', 'GRANT', 'REVOKE'],
]

/** Whoever may not own an event trigger must not own its function either: a superuser's next command would run it. */
const watch = (
  name: string,
  admin: string,
  condition: string,
  event: string,
  channel = 'pgrst',
  payload = 'reload schema',
): string =>
  `create or replace function tidemark.${name}() returns event_trigger language plpgsql set search_path = '' as $f$
     begin
       if ${condition} then perform pg_catalog.pg_notify('${channel}', '${payload}'); end if;
     end $f$;
   alter function tidemark.${name}() owner to ${id(admin)};
   drop event trigger if exists tidemark_${name};
   create event trigger tidemark_${name} on ${event} execute function tidemark.${name}()`

/**
 * Has changes of structure announce themselves on the channel that PostgREST listens on, too. Temporary tables do not count.
 * Where Supabase's own triggers do it, they are left to it.
 */
const watchStep = (admin: string): BootstrapStep => ({
  what: 'the event triggers that announce changes of structure',
  consequence: "/rest/v1 sees a change of structure some seconds later, or at once after NOTIFY pgrst, 'reload schema'",
  sql: `do $watch$ begin
    if not exists (select from pg_event_trigger where evtname = 'pgrst_ddl_watch' and evtenabled in ('O', 'A')) then
      ${watch(
        'ddl_watch',
        admin,
        "exists (select from pg_catalog.pg_event_trigger_ddl_commands() where schema_name is distinct from 'pg_temp')",
        `ddl_command_end when tag in (${quoted(structureCommands)})`,
      )};
      ${watch(
        'drop_watch',
        admin,
        `exists (select from pg_catalog.pg_event_trigger_dropped_objects() where not is_temporary and object_type in (${quoted(structureKinds)}))`,
        'sql_drop',
      )};
    end if;
  end $watch$`,
})

/** Has changes of policies and grants announce themselves, to those who decide by them. */
const accessWatchStep = (admin: string): BootstrapStep => ({
  what: 'the event trigger that announces changes of policies and grants',
  consequence: 'a change of policies or grants takes effect in realtime some seconds later',
  sql: `do $watch$ begin
    ${watch('access_watch', admin, 'true', `ddl_command_end when tag in (${quoted(accessCommands)})`, 'tidemark_access', '')};
  end $watch$`,
})

/**
 * Lets the server see what statements of all roles cost, and nothing else of theirs. The places of their values are empty. Where the library
 * was not loaded when Postgres began, there is nothing to be seen.
 */
const statisticsStep = (admin: string, app: string): BootstrapStep => ({
  what: 'statistics of statements',
  consequence: `the dashboard shows statements of roles that ${app} is a member of; make pg_stat_statements and grant it pg_read_all_stats`,
  sql: `do $statistics$ begin
    if current_setting('shared_preload_libraries') ~ '\\mpg_stat_statements\\M' and (select rolsuper from pg_roles where rolname = current_user) then
      create extension if not exists pg_stat_statements schema tidemark;
      execute format($make$
        create or replace function tidemark.statement_statistics()
          returns table (userid oid, dbid oid, toplevel boolean, queryid bigint, query text, calls bigint, total_exec_time float8,
            mean_exec_time float8, max_exec_time float8, rows bigint, shared_blks_hit bigint, shared_blks_read bigint)
          language sql stable security definer set search_path = '' as $f$
            select userid, dbid, toplevel, queryid, query, calls, total_exec_time, mean_exec_time, max_exec_time, rows, shared_blks_hit, shared_blks_read
              from %I.pg_stat_statements where dbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
          $f$ $make$,
        (select extnamespace::regnamespace::text from pg_extension where extname = 'pg_stat_statements'));
      alter function tidemark.statement_statistics() owner to ${id(admin)};
      revoke all on function tidemark.statement_statistics() from public;
      grant execute on function tidemark.statement_statistics() to ${id(app)};
    end if;
  end $statistics$`,
})

/** What every database needs besides its roles, in order. */
export const databaseSteps = (owners: Owners, database: string): readonly BootstrapStep[] => {
  const { migrator, app, feed, authenticator, auth, admin } = owners
  const servers = [...new Set([app, 'service_role'])].filter((role) => role !== migrator).map(id)
  const migratorIsApart = migrator !== admin
  return [
    {
      what: 'the schema tidemark',
      consequence: 'nothing works without it',
      sql: `${platformSchemaSql(migrator)};
        ${adoptPlatformSql(migrator)}
        grant usage on schema tidemark to anon, authenticated, ${[...new Set([...servers, id(authenticator)])].join(', ')}`,
    },
    authStep,
    ...(auth === undefined ? [] : [authTablesStep(auth, migrator, admin)]),
    {
      what: 'the schema public closed to everybody but the migrator',
      consequence: 'any login may make objects in public; close it with REVOKE CREATE ON SCHEMA public FROM PUBLIC as its owner',
      sql: `revoke create on schema public from public;
        grant usage on schema public to anon, authenticated, ${servers.join(', ')};
        grant usage, create on schema public to ${id(migrator)}`,
    },
    {
      what: `the right of ${migrator} to make schemas and of the logins to connect`,
      consequence: 'a move into a schema of its own must find that schema made',
      sql: `grant connect, create, temporary on database ${id(database)} to ${id(migrator)};
        grant connect on database ${id(database)} to ${[...new Set([authenticator, app, feed, ...(auth === undefined ? [] : [auth])])].map(id).join(', ')}`,
    },
    {
      what: 'the default privileges of what the migrator makes',
      consequence: 'each migration must grant its tables to service_role and the server itself',
      // For functions everybody's EXECUTE is a global default that only a global revoke takes away. Tables, sequences and
      // schemas give nothing to anon and authenticated: a migration grants them, beside its policies.
      sql: `alter default privileges for role ${id(migrator)} revoke execute on functions from public;
        alter default privileges for role ${id(migrator)} grant usage on schemas to ${servers.join(', ')};
        alter default privileges for role ${id(migrator)} grant select, insert, update, delete on tables to ${servers.join(', ')};
        alter default privileges for role ${id(migrator)} grant usage, select on sequences to ${servers.join(', ')};
        alter default privileges for role ${id(migrator)} grant execute on functions to ${servers.join(', ')}`,
    },
    {
      what: 'the ledger of migrations that the Supabase CLI shares',
      consequence: 'migrations of the project cannot be recorded',
      sql: `${ledgerSql};
        grant usage on schema supabase_migrations to ${id(migrator)};
        grant select, insert, update, delete on supabase_migrations.schema_migrations to ${id(migrator)}`,
    },
    {
      what: 'the ledger of the other migrations',
      consequence: 'nothing works without it',
      sql: migratorIsApart ? `set local role ${id(migrator)}; ${ownLedgerSql}; reset role` : ownLedgerSql,
    },
    {
      what: 'the publication supabase_realtime',
      consequence: 'changes reach subscribers only after it is made: CREATE PUBLICATION supabase_realtime',
      sql: whenMissing(
        "not exists (select from pg_publication where pubname = 'supabase_realtime')",
        `create publication supabase_realtime; alter publication supabase_realtime owner to ${id(migrator)};`,
      ),
    },
    {
      what: 'access of the server to the tables that are there already',
      consequence: `grant them to ${app} yourself, as their owner`,
      sql: `grant select, insert, update, delete on all tables in schema public to ${id(app)};
        grant usage, select on all sequences in schema public to ${id(app)}`,
    },
    realtimeStep(owners),
    watchStep(admin),
    accessWatchStep(admin),
    statisticsStep(admin, app),
  ]
}
