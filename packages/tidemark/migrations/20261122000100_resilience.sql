-- What breakers did, and how requests went. Columns are those of the documents; what is added says why.

create table public.circuit_breaker_events (
  id uuid primary key default gen_random_uuid(),
  service_name text not null,
  previous_state text not null check (previous_state in ('CLOSED', 'OPEN', 'HALF_OPEN')),
  new_state text not null check (new_state in ('CLOSED', 'OPEN', 'HALF_OPEN')),
  failure_count integer,
  timestamp timestamptz not null default now(),
  reason text,
  -- Grows with each change of a service, so that whoever tells of one, and however often, makes one row of it.
  epoch bigint not null,
  -- The process that decided for itself, while others could not be asked; empty where it held for all.
  instance text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint circuit_breaker_events_once unique (service_name, epoch, instance)
);
create index idx_circuit_breaker_service on public.circuit_breaker_events (service_name);

create trigger circuit_breaker_events_updated before update on public.circuit_breaker_events
  for each row execute function tidemark.set_updated_at();

-- A row for each request, by day: a day goes as a whole. The key of a partitioned table holds what it is parted by.
create table public.api_metrics (
  id uuid not null default gen_random_uuid(),
  -- The route's template, such as /tours/:id; never what stood in its place.
  endpoint text not null,
  method text not null,
  status_code integer not null check (status_code between 100 and 599),
  -- Milliseconds.
  response_time double precision not null check (response_time >= 0),
  timestamp timestamptz not null default now(),
  success boolean not null,
  error_type text,
  error_message text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (id, timestamp)
) partition by range (timestamp);
create index idx_api_metrics_endpoint on public.api_metrics (endpoint, method);
create index idx_api_metrics_timestamp on public.api_metrics (timestamp);

create trigger api_metrics_updated before update on public.api_metrics
  for each row execute function tidemark.set_updated_at();

-- Partitions stand where nobody's grants reach. What no day takes, because nobody made it in time, is kept here.
create table tidemark.api_metrics_default partition of public.api_metrics default;

-- Makes the days that come, and lets go of those that are over. Rows that waited without a day move into theirs.
-- Gives how many days went; null where another session is at it.
create function tidemark.keep_api_metrics(keep_days integer, days_ahead integer default 3) returns integer
language plpgsql security definer set search_path = '' as $$
declare
  today constant date := (pg_catalog.now() at time zone 'UTC')::date;
  oldest constant date := today - greatest(keep_days, 1);
  wanted date;
  starts timestamptz;
  ends timestamptz;
  part text;
  gone integer := 0;
begin
  if not pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtext('tidemark.keep_api_metrics')) then
    return null;
  end if;
  perform pg_catalog.set_config('lock_timeout', '2s', true);
  for wanted in
    select today + n from pg_catalog.generate_series(0, least(greatest(days_ahead, 0), 31)) n
    union
    select (timestamp at time zone 'UTC')::date from tidemark.api_metrics_default where timestamp >= oldest
    order by 1
  loop
    part := 'api_metrics_' || pg_catalog.to_char(wanted, 'YYYYMMDD');
    continue when pg_catalog.to_regclass('tidemark.' || part) is not null;
    starts := wanted::timestamp at time zone 'UTC';
    ends := (wanted + 1)::timestamp at time zone 'UTC';
    -- Nothing may come into it between the move and the attachment.
    lock table tidemark.api_metrics_default in access exclusive mode;
    execute pg_catalog.format('create table tidemark.%I (like public.api_metrics including defaults including constraints)', part);
    execute pg_catalog.format(
      'with moved as (delete from tidemark.api_metrics_default where timestamp >= $1 and timestamp < $2 returning *)
       insert into tidemark.%I select * from moved', part) using starts, ends;
    execute pg_catalog.format('alter table tidemark.%I enable row level security', part);
    execute pg_catalog.format('alter table public.api_metrics attach partition tidemark.%I for values from (%L) to (%L)', part, starts, ends);
  end loop;
  for part in
    select c.relname from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'public.api_metrics'::pg_catalog.regclass and c.relname ~ '^api_metrics_[0-9]{8}$'
      and c.relname < 'api_metrics_' || pg_catalog.to_char(oldest, 'YYYYMMDD')
  loop
    execute pg_catalog.format('drop table tidemark.%I', part);
    gone := gone + 1;
  end loop;
  delete from tidemark.api_metrics_default where timestamp < oldest::timestamp at time zone 'UTC';
  return gone;
end $$;
revoke all on function tidemark.keep_api_metrics(integer, integer) from public;

alter table tidemark.api_metrics_default enable row level security;
alter table public.circuit_breaker_events enable row level security;
alter table public.api_metrics enable row level security;

do $$
declare
  strangers text := concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role')));
begin
  execute format('revoke all on public.circuit_breaker_events, public.api_metrics from %s', strangers);
  if exists (select from pg_roles where rolname = 'service_role') then
    grant select on public.circuit_breaker_events, public.api_metrics to service_role;
  end if;
  if exists (select from pg_roles where rolname = 'tidemark_app') then
    grant select, insert, delete on public.circuit_breaker_events, public.api_metrics to tidemark_app;
    create policy server on public.circuit_breaker_events to tidemark_app using (true) with check (true);
    create policy server on public.api_metrics to tidemark_app using (true) with check (true);
    grant execute on function tidemark.keep_api_metrics(integer, integer) to tidemark_app;
  end if;
end $$;

select tidemark.keep_api_metrics(30);
