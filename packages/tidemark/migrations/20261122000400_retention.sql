-- Rows that are only added to, and who lets go of the old ones.

-- Lets go of the oldest rows of the audit log, `most` at a time, and gives how many went. What it can never remove is the last thirty days:
-- nobody who may call it hides what he has just done.
create function tidemark.trim_audit_log(keep_days integer, most integer default 10000) returns bigint
language sql volatile security definer
set search_path = pg_catalog
as $$
  with gone as (
    delete from public.audit_log where id in (
      select id from public.audit_log where created_at < now() - make_interval(days => greatest(keep_days, 30))
       order by created_at limit least(greatest(most, 1), 100000))
    returning id
  )
  select count(*) from gone
$$;

-- The same of what breakers did. The last of each service stays: the next one counts from it.
create function tidemark.trim_circuit_breaker_events(keep_days integer, most integer default 10000) returns bigint
language sql volatile security definer
set search_path = pg_catalog
as $$
  with gone as (
    delete from public.circuit_breaker_events where id in (
      select id from public.circuit_breaker_events old where timestamp < now() - make_interval(days => greatest(keep_days, 1))
         and exists (select from public.circuit_breaker_events later where later.service_name = old.service_name and later.epoch > old.epoch)
       order by timestamp limit least(greatest(most, 1), 100000))
    returning id
  )
  select count(*) from gone
$$;

create index circuit_breaker_events_age on public.circuit_breaker_events (timestamp);

do $$
declare
  strangers text := concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role')));
begin
  execute format('revoke all on function tidemark.trim_audit_log(integer, integer), tidemark.trim_circuit_breaker_events(integer, integer) from %s', strangers);
  if exists (select from pg_roles where rolname = 'tidemark_app') then
    grant execute on function tidemark.trim_audit_log(integer, integer), tidemark.trim_circuit_breaker_events(integer, integer) to tidemark_app;
  end if;
end $$;
