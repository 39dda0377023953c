-- What other systems have to be told or asked. A call is written down in the transaction that calls for it and made once that is committed;
-- whoever receives it knows a call that comes twice by its key.

alter table public.feedback
  -- Set anew each time that somebody asks for the listing agent to be told.
  add column notification_requested_at timestamptz,
  -- The task of the visit that stands for it.
  add column notification_task_id uuid;

create table reanna.calls (
  id uuid primary key default gen_random_uuid(),
  kind text not null check (kind in ('crm.sync_tour', 'feedback.notify', 'crm.fetch_contact', 'crm.fetch_appointment')),
  -- Whom it is about: an id of ours, or a provider's as provider|tenant|id.
  subject text not null,
  -- Goes up where there is something else to be told than before; part of the key.
  generation integer not null default 1,
  status text not null default 'waiting' check (status in ('waiting', 'calling', 'done', 'failed')),
  -- Asked for again while the call was under way.
  again boolean not null default false,
  attempts integer not null default 0 check (attempts >= 0),
  next_attempt_at timestamptz not null default now(),
  claimed_until timestamptz,
  error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
-- One that is open for each subject, so that its calls cannot overtake one another.
create unique index calls_open on reanna.calls (kind, subject) where status in ('waiting', 'calling');
create index calls_due on reanna.calls (next_attempt_at) where status in ('waiting', 'calling');
create index calls_ended on reanna.calls (updated_at) where status in ('done', 'failed');
alter table reanna.calls enable row level security;

create trigger calls_updated before update on reanna.calls for each row execute function tidemark.set_updated_at();

-- `renew`: what is told is another thing than before, so that a call whose end nobody knows may not stand for it.
create function reanna.ask(wanted_kind text, wanted_subject text, renew boolean) returns void
language sql security definer
set search_path = pg_catalog
as $$
  insert into reanna.calls (kind, subject) values (wanted_kind, wanted_subject)
    on conflict (kind, subject) where status in ('waiting', 'calling') do update
      set again = calls.again or (calls.status = 'calling' and renew),
          generation = calls.generation + (calls.status = 'waiting' and calls.attempts > 0 and renew)::int,
          next_attempt_at = least(calls.next_attempt_at, now())
$$;

create function reanna.ask_for_sync() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if new.crm_sync_status = 'pending' and not tidemark.is_move_apply() then
    perform reanna.ask('crm.sync_tour', new.id::text, true);
  end if;
  return null;
end $$;

create function reanna.ask_for_notification() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if new.notification_requested_at is not null and not tidemark.is_move_apply() then
    perform reanna.ask('feedback.notify', new.id::text, false);
  end if;
  return null;
end $$;

-- Also where it stays `pending`: something of the tour changed while it waited.
create trigger tours_sync after insert or update of crm_sync_status on public.tours
  for each row execute function reanna.ask_for_sync();
create trigger feedback_notification after update of notification_requested_at on public.feedback
  for each row when (new.notification_requested_at is distinct from old.notification_requested_at)
  execute function reanna.ask_for_notification();

-- What may follow what, beside the states of tours, visits and tasks:
--   crm       not_synced → pending → synced, failed · synced, failed → pending
--   feedback  received → processed → notified, which its columns say together
create trigger tours_crm_states before update of crm_sync_status on public.tours
  for each row execute function tidemark.guard_states('crm_sync_status',
    '{"not_synced": ["pending"], "pending": ["synced", "failed"], "synced": ["pending"], "failed": ["pending"]}');

create function reanna.guard_feedback() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
declare
  before text := case when old.sent_to_agent then 'notified' when old.processed_feedback is not null then 'processed' else 'received' end;
  after text := case when new.sent_to_agent then 'notified' when new.processed_feedback is not null then 'processed' else 'received' end;
begin
  if tidemark.is_move_apply() or after = before
     or (before = 'received' and after = 'processed') or (before = 'processed' and after = 'notified') then
    return new;
  end if;
  raise exception 'feedback cannot go from % to %', before, after
    using errcode = 'PT409', table = tg_table_name, schema = tg_table_schema;
end $$;

create trigger feedback_states before update of processed_feedback, sent_to_agent on public.feedback
  for each row execute function reanna.guard_feedback();

-- The visits that a CRM knows by ids of its own: appointments, and the contacts who come along.
create table reanna.visit_refs (
  visit_id uuid not null,
  provider text not null check (provider <> ''),
  tenant text not null default '',
  entity_type text not null check (entity_type in ('appointment', 'contact')),
  external_id text not null check (external_id <> ''),
  created_at timestamptz not null default now(),
  primary key (provider, tenant, entity_type, external_id, visit_id)
);
create index visit_refs_visit on reanna.visit_refs (visit_id);
alter table reanna.visit_refs enable row level security;

-- Contacts of the CRMs.
create table public.leads (
  id uuid primary key default gen_random_uuid(),
  provider text not null,
  tenant text not null default '',
  external_id text not null,
  first_name text,
  last_name text,
  email text,
  phone text,
  source text,
  -- The agent whom the CRM gave it to.
  agent_id text,
  -- When the CRM says that it was so: an older word never stands in for a newer one.
  as_of timestamptz not null,
  deleted_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint leads_once unique (provider, tenant, external_id)
);
create index leads_agent_id on public.leads (agent_id);
create trigger leads_updated before update on public.leads for each row execute function tidemark.set_updated_at();

alter table public.leads enable row level security;
revoke all on public.leads from anon, authenticated, public;
grant select on public.leads to authenticated;
grant select, insert, update, delete on public.leads to service_role;
create policy lead_access_policy on public.leads for select to authenticated
  using (agent_id = (select auth.jwt() ->> 'sub') or (select tidemark.is_admin()));

grant usage on schema reanna to authenticated, service_role;
grant select, insert, delete on reanna.visit_refs to authenticated, service_role;
create policy visit_refs_access_policy on reanna.visit_refs to authenticated
  using (exists (select from public.property_visits v where v.id = visit_refs.visit_id))
  with check (exists (select from public.property_visits v where v.id = visit_refs.visit_id));

do $$
begin
  execute format('revoke all on function reanna.ask(text, text, boolean), reanna.ask_for_sync(), reanna.ask_for_notification(),
    reanna.guard_feedback() from %s', concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role'))));
  execute format('revoke all on reanna.calls from %s', concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role'))));
  if exists (select from pg_roles where rolname = 'tidemark_app') then
    grant usage on schema reanna to tidemark_app;
    grant select, insert, update, delete on reanna.calls, reanna.visit_refs, public.leads to tidemark_app;
    grant execute on function reanna.ask(text, text, boolean) to tidemark_app;
    create policy server on reanna.calls to tidemark_app using (true) with check (true);
    create policy server on reanna.visit_refs to tidemark_app using (true) with check (true);
    create policy server on public.leads to tidemark_app using (true) with check (true);
  end if;
end $$;
