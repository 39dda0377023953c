-- What a move keeps in the target: its run, how far each table got, what was rejected, and the ids it had to map.
-- Nobody but the migrator (their owner) and the server's own role reads or writes these.

create table tidemark.move_runs (
  id uuid primary key default gen_random_uuid(),
  source_path text not null,
  -- Device, inode and the id kept inside the SQLite file, so that a replaced file is told from the planned one.
  source_file_id text not null,
  target_schema text not null,
  -- Hash of everything that shapes the copied rows; an unfinished run goes on only under the same.
  fingerprint text not null,
  plan jsonb not null,
  state text not null default 'planned',
  holder_pid integer,
  holder_host text,
  report jsonb not null default '{}',
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  updated_at timestamptz not null default now()
);
create index move_runs_source on tidemark.move_runs (source_path, target_schema, started_at desc);

create table tidemark.move_progress (
  run_id uuid not null references tidemark.move_runs (id) on delete cascade,
  table_name text not null,
  -- Number of the table's part, where several workers share a table; 0 where it is copied in one.
  unit integer not null default 0,
  last_key jsonb,
  rows_copied bigint not null default 0 check (rows_copied >= 0),
  rows_rejected bigint not null default 0 check (rows_rejected >= 0),
  done boolean not null default false,
  updated_at timestamptz not null default now(),
  primary key (run_id, table_name, unit)
);

create table tidemark.move_rejects (
  id bigint generated always as identity primary key,
  run_id uuid not null references tidemark.move_runs (id) on delete cascade,
  table_name text not null,
  row_key text not null,
  column_name text,
  reason text not null,
  bytes bytea,
  outcome text not null check (outcome in ('rowRejected', 'valueReplaced')),
  -- True where a policy of the choices allows it; false ends the copy with the exit code of the safety gate.
  allowed boolean not null default false,
  created_at timestamptz not null default now()
);
create index move_rejects_run on tidemark.move_rejects (run_id, table_name, id);

create table tidemark.move_id_map (
  namespace text not null,
  legacy_id text not null,
  id uuid not null,
  primary key (namespace, legacy_id),
  unique (namespace, id)
);

-- Row security with a policy for the server's role alone: without BYPASSRLS (some managed services do not give it)
-- the server still works, and a grant given by mistake to anyone else still shows no row.
do $$
declare
  name text;
  -- The roles of an API are there only where the bootstrap or Supabase made them: a move also goes into a plain database.
  strangers text := (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role'));
begin
  foreach name in array array['move_runs', 'move_progress', 'move_rejects', 'move_id_map'] loop
    execute format('alter table tidemark.%I enable row level security', name);
    execute format('revoke all on tidemark.%I from %s', name, concat_ws(', ', 'public', strangers));
    if exists (select from pg_roles where rolname = 'tidemark_app') then
      execute format('grant select, insert, update, delete on tidemark.%I to tidemark_app', name);
      execute format('create policy server on tidemark.%I to tidemark_app using (true) with check (true)', name);
    end if;
  end loop;
  execute format('revoke all on sequence tidemark.move_rejects_id_seq from %s', concat_ws(', ', 'public', strangers));
end $$;

-- True only in a transaction of a move that applies rows: triggers that guard the states of a row stand aside then.
-- The setting alone proves nothing, for anyone may write it; so the login and the acting role must both belong to the
-- schema's owner (tidemark_migrator). Both, because inside a SECURITY DEFINER function the acting role is the function's owner.
create function tidemark.is_move_apply() returns boolean
language sql stable security invoker
set search_path = pg_catalog
as $$
  select coalesce(current_setting('tidemark.origin', true) = 'move', false)
     and pg_has_role(session_user, n.nspowner, 'USAGE')
     and pg_has_role(current_user, n.nspowner, 'USAGE')
    from pg_namespace n
   where n.nspname = 'tidemark'
$$;
grant execute on function tidemark.is_move_apply() to public;
