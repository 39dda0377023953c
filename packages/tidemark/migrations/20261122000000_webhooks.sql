-- Events that came by webhook: the durable truth. Redis' streams carry ids to workers; what is here decides.

create table public.webhook_events (
  id uuid primary key,
  -- The order in which they came, within each lane.
  seq bigint generated always as identity,
  provider text not null,
  tenant text not null default '',
  -- The provider's id of the event, else a digest of what came. The unique constraint has the last word on duplicates.
  dedupe_key text not null,
  event_type text not null,
  source_type text not null default '',
  entity_type text,
  entity_id text,
  lane text not null,
  partition smallint not null default 0 check (partition >= 0),
  -- The envelope; JSON null where the body could not be read.
  payload jsonb not null,
  raw bytea not null,
  headers jsonb not null default '{}',
  verified boolean not null,
  trust text not null check (trust in ('statement', 'hint')),
  normaliser integer not null default 1,
  status text not null default 'accepted' check (status in ('accepted', 'processing', 'processed', 'failed', 'dead')),
  attempts integer not null default 0 check (attempts >= 0),
  -- Of claims without an outcome: an event that ends its worker is told by it.
  claims integer not null default 0 check (claims >= 0),
  -- Set while the event waits in Postgres for a turn of its lane: the first of the lane has the time of its next attempt, those
  -- behind it have infinity. Their order is that of `turn`.
  next_attempt_at timestamptz,
  turn bigint,
  -- In the stream; where false, the row itself is what waits.
  queued boolean not null default false,
  stream_id text,
  dead_reason text check (dead_reason in ('attempts', 'refused', 'unparseable', 'crash_loop', 'no_handler')),
  error text,
  replay_id uuid,
  received_at timestamptz not null default now(),
  processed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint webhook_events_once unique (provider, tenant, dedupe_key),
  constraint webhook_events_dead check ((status = 'dead') = (dead_reason is not null)),
  constraint webhook_events_processed check (status <> 'processed' or processed_at is not null)
);
create index idx_webhook_events_status on public.webhook_events (status, received_at);
-- What waits in Postgres, in its order.
create index webhook_events_waiting on public.webhook_events (partition, seq) where status in ('accepted', 'processing', 'failed');

-- Lanes that wait for a next attempt, and when it is due.
create index webhook_events_due on public.webhook_events (partition, next_attempt_at) where next_attempt_at is not null;
create index webhook_events_parked on public.webhook_events (lane, turn) where next_attempt_at is not null;
create index webhook_events_replay on public.webhook_events (replay_id) where replay_id is not null;

create trigger webhook_events_updated before update on public.webhook_events
  for each row execute function tidemark.set_updated_at();

-- Who handles a partition, and whether its events wait in Postgres for the stream. A transaction of a handler begins with
-- select … where epoch = $mine for share: a worker that lost its lease commits nothing.
create table tidemark.webhook_partitions (
  partition smallint primary key,
  epoch bigint not null default 0,
  owner text,
  spooling boolean not null default false
);

-- Processes that handle events, and when each was last heard of: partitions are shared out evenly among them.
create table tidemark.webhook_workers (
  name text primary key,
  seen_at timestamptz not null default now()
);

-- Who sent what through again, and how far that is.
create table tidemark.webhook_replays (
  id uuid primary key default gen_random_uuid(),
  actor text not null,
  selection jsonb not null,
  selected bigint not null,
  sent bigint not null default 0,
  status text not null default 'running' check (status in ('running', 'done', 'failed', 'cancelled')),
  error text,
  created_at timestamptz not null default now(),
  finished_at timestamptz
);

alter table public.webhook_events enable row level security;
call tidemark.keep_to_server(array['webhook_partitions', 'webhook_workers', 'webhook_replays'], array['tidemark_app']);

do $$
declare
  strangers text := concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role')));
begin
  execute format('revoke all on public.webhook_events from %s', strangers);
  if exists (select from pg_roles where rolname = 'service_role') then
    grant select on public.webhook_events to service_role;
  end if;
  if exists (select from pg_roles where rolname = 'tidemark_app') then
    grant select, insert, update, delete on public.webhook_events to tidemark_app;
    grant usage on sequence public.webhook_events_seq_seq to tidemark_app;
    create policy server on public.webhook_events to tidemark_app using (true) with check (true);
  end if;
end $$;
