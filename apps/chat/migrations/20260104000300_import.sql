-- What an import from Redis did, and what it could not take as it was: the bytes as they were found, until the chat is whole. Nobody but the
-- server reads or writes these.

create table public.chat_import_runs (
  id uuid primary key default gen_random_uuid(),
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  report jsonb not null default '{}'
);

create table public.chat_import_rejects (
  -- The Redis key, and within it: nothing for the whole chat, [n] for its message n, or a field.
  source_key text not null,
  item text not null,
  reason text not null,
  -- rejected: it is not in the tables. changed: it is, and this is how it was.
  outcome text not null check (outcome in ('rejected', 'changed')),
  bytes bytea,
  run_id uuid not null references public.chat_import_runs (id) on delete cascade,
  created_at timestamptz not null default clock_timestamp(),
  primary key (source_key, item, reason)
);

-- What is purged is purged everywhere.
create function public.chat_forget_rejects() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  delete from public.chat_import_rejects where source_key = old.legacy_key;
  return null;
end $$;
create trigger chat_sessions_forget after delete on public.chat_sessions
  for each row when (old.legacy_key is not null) execute function public.chat_forget_rejects();

do $$
declare
  name text;
begin
  foreach name in array array['chat_import_runs', 'chat_import_rejects'] loop
    execute format('alter table public.%I enable row level security', name);
    execute format('revoke all on public.%I from anon, authenticated, public', name);
    execute format('grant select, insert, update, delete on public.%I to service_role', name);
    if exists (select from pg_roles where rolname = 'tidemark_app') then
      execute format('grant select, insert, update, delete on public.%I to tidemark_app', name);
      execute format('create policy server on public.%I to tidemark_app using (true) with check (true)', name);
    end if;
  end loop;
end $$;
