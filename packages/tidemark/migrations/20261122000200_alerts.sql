-- Alerts. A transaction that notices trouble appends a signal and no more, so that transactions do not wait for each other; one job
-- folds signals into one open alert for each condition, with what has to be sent, in one transaction.

-- What names a condition: its labels in the order of their names, each value with its length, so that no two sets read alike.
create function tidemark.alert_fingerprint(alert_type text, entity_type text, entity_id text, labels jsonb) returns text
language sql immutable parallel safe
set search_path = pg_catalog
as $$
  select encode(sha256(convert_to(coalesce(string_agg(format('%s=%s:%s;', key, octet_length(value), value), '' order by key collate "C"), ''), 'UTF8')), 'hex')
    from jsonb_each_text(labels || jsonb_build_object('alert_type', alert_type, 'entity_type', entity_type, 'entity_id', entity_id))
$$;

create table public.alerts (
  -- Of the signal that opened it.
  id uuid primary key default gen_random_uuid(),
  alert_type text not null,
  entity_id text not null,
  entity_type text not null,
  message text not null,
  severity text not null check (severity in ('info', 'warning', 'error', 'critical')),
  status text not null default 'active' check (status in ('active', 'acknowledged', 'resolved')),
  timestamp timestamptz not null default now(),
  resolved_at timestamptz,
  -- True once a channel has taken it.
  notification_sent boolean not null default false,
  occurrences integer not null default 1 check (occurrences > 0),
  last_seen_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- Besides type and entity, what tells one condition from another.
  labels jsonb not null default '{}' check (jsonb_typeof(labels) = 'object'),
  fingerprint text not null generated always as (tidemark.alert_fingerprint(alert_type, entity_type, entity_id, labels)) stored,
  acknowledged_at timestamptz,
  acknowledged_by text,
  resolved_by text,
  constraint alerts_resolved check ((status = 'resolved') = (resolved_at is not null)),
  constraint alerts_acknowledged check (status <> 'acknowledged' or acknowledged_at is not null)
);
-- One open alert for each condition: a repetition counts up.
create unique index uq_alerts_open on public.alerts (fingerprint) where status <> 'resolved';
create index idx_alerts_type on public.alerts (alert_type);
create index idx_alerts_status on public.alerts (status);
create index idx_alerts_entity on public.alerts (entity_type, entity_id);
create index idx_alerts_unsent on public.alerts (timestamp) where not notification_sent;
create index alerts_history on public.alerts (fingerprint, timestamp desc);

create trigger alerts_updated before update on public.alerts for each row execute function tidemark.set_updated_at();

-- What was noticed. Written once; the job that folds adds what became of it.
create table tidemark.alert_signals (
  id uuid primary key default gen_random_uuid(),
  seq bigint generated always as identity,
  -- still: it goes on, as whoever watches it says from time to time.
  kind text not null default 'raise' check (kind in ('raise', 'still', 'resolve')),
  alert_type text not null check (alert_type <> ''),
  entity_id text not null,
  entity_type text not null,
  message text not null,
  severity text not null check (severity in ('info', 'warning', 'error', 'critical')),
  labels jsonb not null default '{}' check (jsonb_typeof(labels) = 'object'),
  -- Who watches: an alert that several nodes see ends when none of them sees it any more. Empty where nobody goes on watching.
  source text not null default '',
  raised_at timestamptz not null default clock_timestamp(),
  -- Channels that were told straight away, since Postgres was away.
  told text[] not null default '{}',
  -- Of the alert that was told of then; a node that was told by another repeats it.
  proposed_id uuid,
  folded_at timestamptz,
  alert_id uuid
);
create index alert_signals_waiting on tidemark.alert_signals (seq) where folded_at is null;
create index alert_signals_folded on tidemark.alert_signals (folded_at) where folded_at is not null;

-- Who sees an open alert just now.
create table tidemark.alert_sources (
  alert_id uuid not null references public.alerts (id) on delete cascade,
  source text not null,
  seen_at timestamptz not null,
  primary key (alert_id, source)
);

-- What happened to alerts. Append-only.
create table tidemark.alert_events (
  id bigint generated always as identity primary key,
  alert_id uuid not null,
  fingerprint text not null,
  kind text not null check (kind in ('opened', 'repeated', 'raised', 'acknowledged', 'resolved', 'notified', 'undelivered', 'flapping', 'escalated')),
  -- Who or what: a node, a channel, an operator.
  actor text not null default '',
  details jsonb not null default '{}',
  at timestamptz not null default clock_timestamp()
);
create index alert_events_of on tidemark.alert_events (alert_id, id);
create index alert_events_changes on tidemark.alert_events (fingerprint, at) where kind in ('opened', 'resolved');

-- What has to be sent, and what became of it.
create table tidemark.alert_notifications (
  id uuid primary key default gen_random_uuid(),
  seq bigint generated always as identity,
  -- Null for a sign of life and for a test.
  alert_id uuid references public.alerts (id) on delete cascade,
  channel text not null,
  kind text not null check (kind in ('firing', 'resolved', 'repeat', 'escalated', 'flapping', 'watchdog', 'test')),
  -- What goes out together.
  group_key text not null default '',
  -- Names what is told.
  idempotency_key text not null,
  -- Names the message that it went out with first, and goes out with at every attempt: a receiver keeps it to take a message once.
  batch text,
  status text not null default 'waiting' check (status in ('waiting', 'delivered', 'failed', 'dropped')),
  attempt integer not null default 0 check (attempt >= 0),
  due_at timestamptz not null default clock_timestamp(),
  -- Whoever sends it has until then.
  claimed_until timestamptz,
  -- Why it waits although it is due.
  held text,
  provider_id text,
  error text,
  created_at timestamptz not null default clock_timestamp(),
  delivered_at timestamptz,
  constraint alert_notifications_once unique (channel, idempotency_key),
  constraint alert_notifications_delivered check ((status = 'delivered') = (delivered_at is not null))
);
create index alert_notifications_waiting on tidemark.alert_notifications (due_at) where status = 'waiting';
create index alert_notifications_of on tidemark.alert_notifications (alert_id);
create index alert_notifications_groups on tidemark.alert_notifications (channel, group_key, delivered_at desc) where status = 'delivered';

-- Who wants to hear nothing, of what, and until when.
create table tidemark.alert_silences (
  id uuid primary key default gen_random_uuid(),
  -- Names of labels, each with an operator and a value: [{"label": "alert_type", "op": "=", "value": "x"}].
  matchers jsonb not null check (jsonb_typeof(matchers) = 'array' and jsonb_array_length(matchers) > 0),
  author text not null check (author <> ''),
  comment text not null default '',
  starts_at timestamptz not null default now(),
  ends_at timestamptz not null,
  created_at timestamptz not null default now(),
  constraint alert_silences_time check (ends_at >= starts_at)
);
create index alert_silences_end on tidemark.alert_silences (ends_at);

-- Adds a signal to the caller's transaction: it stands or falls with it. What it gives is the signal's id, which is also the id of the
-- alert where the signal opens one; of a repetition, tidemark.alert_signals.alert_id names the alert once it is folded.
create function public.publish_alert(
  alert_type text, entity_id text, entity_type text, message text, severity text default 'warning', labels jsonb default '{}'
) returns uuid
language sql volatile security definer
set search_path = pg_catalog
as $$
  insert into tidemark.alert_signals (kind, alert_type, entity_id, entity_type, message, severity, labels)
  values ('raise', publish_alert.alert_type, coalesce(publish_alert.entity_id, ''), coalesce(publish_alert.entity_type, ''),
          left(coalesce(publish_alert.message, ''), 4000), publish_alert.severity, coalesce(publish_alert.labels, '{}'))
  returning id
$$;

-- The end of what publish_alert told, likewise.
create function public.resolve_alert(
  alert_type text, entity_id text, entity_type text, message text default '', labels jsonb default '{}'
) returns uuid
language sql volatile security definer
set search_path = pg_catalog
as $$
  insert into tidemark.alert_signals (kind, alert_type, entity_id, entity_type, message, severity, labels)
  values ('resolve', resolve_alert.alert_type, coalesce(resolve_alert.entity_id, ''), coalesce(resolve_alert.entity_type, ''),
          left(coalesce(resolve_alert.message, ''), 4000), 'info', coalesce(resolve_alert.labels, '{}'))
  returning id
$$;

-- Forgets what ended before a time, with all that belongs to it; the server itself may remove no event.
create function tidemark.forget_alerts(before timestamptz) returns bigint
language sql volatile security definer
set search_path = pg_catalog
as $$
  with gone as (
    delete from public.alerts where id in (
      select id from public.alerts where status = 'resolved' and resolved_at < before limit 1000) returning id
  ), events as (
    delete from tidemark.alert_events using gone where alert_id = gone.id
  ), signals as (
    delete from tidemark.alert_signals where id in (
      select id from tidemark.alert_signals where folded_at < before limit 10000)
  ), signs as (
    delete from tidemark.alert_notifications where alert_id is null and created_at < before
  ), silences as (
    delete from tidemark.alert_silences where ends_at < before
  )
  select count(*) from gone
$$;

-- Who changed what. Append-only: whoever writes to it can neither change nor remove what is there.
create table public.audit_log (
  id bigint generated always as identity primary key,
  actor text,
  actor_role text,
  request_id text,
  action text not null,
  table_name text not null,
  record_id text,
  old_data jsonb,
  new_data jsonb,
  created_at timestamptz not null default now()
);
create index idx_audit_log_record on public.audit_log (table_name, record_id, created_at desc);
create index audit_log_age on public.audit_log (created_at);

-- Writes each changed row to the audit log. Columns that it is given are kept out: create trigger … execute function
-- tidemark.audit('password', 'message').
create function tidemark.audit() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
declare
  before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - coalesce(tg_argv, '{}') end;
  after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - coalesce(tg_argv, '{}') end;
  claims jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
begin
  if tg_op = 'UPDATE' and before - 'updated_at' = after - 'updated_at' then
    return null;
  end if;
  insert into public.audit_log (actor, actor_role, request_id, action, table_name, record_id, old_data, new_data)
  values (coalesce(claims ->> 'sub', nullif(current_setting('tidemark.actor', true), ''), session_user),
          coalesce(claims ->> 'role', nullif(current_setting('role', true), 'none'), session_user),
          nullif(current_setting('tidemark.request_id', true), ''),
          tg_op, case when tg_table_schema = 'public' then tg_table_name::text else tg_table_schema || '.' || tg_table_name end,
          coalesce(after ->> 'id', before ->> 'id', after ->> 'session_id', before ->> 'session_id'), before, after);
  return null;
end $$;

-- Whatever was granted: only the owner of a table, for which a function may act, changes or removes what is in it.
create function tidemark.append_only() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
  if not pg_has_role(current_user, (select relowner from pg_class where oid = tg_relid), 'usage') then
    raise exception '%.% is only added to', tg_table_schema, tg_table_name using errcode = '42501';
  end if;
  return case tg_op when 'UPDATE' then new else old end;
end $$;
create trigger audit_log_append_only before update or delete on public.audit_log for each row execute function tidemark.append_only();
create trigger alert_events_append_only before update or delete on tidemark.alert_events
  for each row execute function tidemark.append_only();

-- What operators do. Signals are the alerts' own history.
create trigger alert_silences_audit after insert or update or delete on tidemark.alert_silences
  for each row execute function tidemark.audit();
create trigger alerts_audit after update of status on public.alerts
  for each row when (new.acknowledged_by is distinct from old.acknowledged_by or new.resolved_by is distinct from old.resolved_by)
  execute function tidemark.audit();

alter table public.alerts enable row level security;
alter table public.audit_log enable row level security;
call tidemark.keep_to_server(
  array['alert_signals', 'alert_sources', 'alert_events', 'alert_notifications', 'alert_silences'], array['tidemark_app']);

do $$
declare
  strangers text := concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role')));
  functions constant text := 'public.publish_alert(text, text, text, text, text, jsonb), public.resolve_alert(text, text, text, text, jsonb)';
begin
  execute format('revoke all on public.alerts, public.audit_log from %s', strangers);
  execute format('revoke all on sequence public.audit_log_id_seq, tidemark.alert_signals_seq_seq, tidemark.alert_events_id_seq,
    tidemark.alert_notifications_seq_seq from %s', strangers);
  execute format('revoke all on function %s, tidemark.audit(), tidemark.forget_alerts(timestamptz) from %s', functions, strangers);
  if exists (select from pg_roles where rolname = 'authenticated') then
    grant select on public.alerts, public.audit_log to authenticated;
    create policy admins on public.alerts for select to authenticated using ((select tidemark.is_admin()));
    create policy admins on public.audit_log for select to authenticated using ((select tidemark.is_admin()));
  end if;
  if exists (select from pg_roles where rolname = 'service_role') then
    grant select on public.alerts, public.audit_log to service_role;
    execute format('grant execute on function %s to service_role', functions);
  end if;
  if exists (select from pg_roles where rolname = 'tidemark_app') then
    grant select, insert, update, delete on public.alerts to tidemark_app;
    create policy server on public.alerts to tidemark_app using (true) with check (true);
    revoke update, delete on tidemark.alert_events from tidemark_app;
    revoke all on public.audit_log from tidemark_app;
    grant select, insert on public.audit_log to tidemark_app;
    create policy server on public.audit_log to tidemark_app using (true) with check (true);
    execute format('grant execute on function %s, tidemark.forget_alerts(timestamptz) to tidemark_app', functions);
  end if;
end $$;
