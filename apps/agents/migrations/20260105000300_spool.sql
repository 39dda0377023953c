-- What the secondary database has still to get (C61). Rows are written down in the transaction that changes them, whoever changes them, in an
-- order that is that of each row's own changes, and of a task after its agent; and they go once the secondary has them.

create schema agents_spool;
revoke all on schema agents_spool from public;

create table agents_spool.entries (
  seq bigint generated always as identity primary key,
  table_name text not null,
  row_id uuid not null,
  -- Null where the row is gone.
  row_data jsonb,
  spooled_at timestamptz not null default clock_timestamp()
);
alter table agents_spool.entries enable row level security;

-- Where there is no secondary nothing is written down.
create table agents_spool.control (
  is_the_one boolean primary key default true check (is_the_one),
  enabled boolean not null default false
);
alter table agents_spool.control enable row level security;
insert into agents_spool.control default values;

create function agents_spool.spool() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if not (select c.enabled from agents_spool.control c) then
    return null;
  end if;
  if tg_op = 'DELETE' then
    insert into agents_spool.entries (table_name, row_id) values (tg_argv[0], old.id);
  else
    insert into agents_spool.entries (table_name, row_id, row_data) values (tg_argv[0], new.id, to_jsonb(new));
  end if;
  return null;
end $$;

create trigger agent_instances_9_spool after insert or update or delete on public.agent_instances
  for each row execute function agents_spool.spool('agent_instances');
create trigger agent_executions_9_spool after insert or update or delete on public.agent_executions
  for each row execute function agents_spool.spool('agent_executions');
create trigger agent_metrics_9_spool after insert or update or delete on public.agent_metrics
  for each row execute function agents_spool.spool('agent_metrics');
create trigger system_health_9_spool after insert or update or delete on public.system_health
  for each row execute function agents_spool.spool('system_health');

-- From the first time on that there is a secondary it gets everything, also what was there before. Without one nothing is kept.
create function agents_spool.switch_to(wanted boolean) returns void
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if (select c.enabled = wanted from agents_spool.control c) then
    return;
  end if;
  lock table public.agent_instances, public.agent_executions, public.agent_metrics, public.system_health in share row exclusive mode;
  -- Whoever asked at the same time was first.
  if (select c.enabled = wanted from agents_spool.control c) then
    return;
  end if;
  update agents_spool.control set enabled = wanted;
  delete from agents_spool.entries;
  if wanted then
    insert into agents_spool.entries (table_name, row_id, row_data)
      select 'agent_instances', i.id, to_jsonb(i) from public.agent_instances i order by i.created_at, i.id;
    insert into agents_spool.entries (table_name, row_id, row_data)
      select 'agent_executions', e.id, to_jsonb(e) from public.agent_executions e order by e.created_at, e.id;
    insert into agents_spool.entries (table_name, row_id, row_data)
      select 'agent_metrics', m.id, to_jsonb(m) from public.agent_metrics m order by m.period_start, m.id;
    insert into agents_spool.entries (table_name, row_id, row_data)
      select 'system_health', h.id, to_jsonb(h) from public.system_health h order by h.timestamp, h.id;
  end if;
end $$;
revoke all on function agents_spool.spool(), agents_spool.switch_to(boolean) from public;

do $$
begin
  if exists (select from pg_roles where rolname = 'tidemark_app') then
    grant usage on schema agents_spool to tidemark_app;
    grant select, delete on agents_spool.entries to tidemark_app;
    grant select on agents_spool.control to tidemark_app;
    grant execute on function agents_spool.switch_to(boolean) to tidemark_app;
    create policy server on agents_spool.entries to tidemark_app using (true) with check (true);
    create policy server on agents_spool.control to tidemark_app using (true) with check (true);
  end if;
end $$;
