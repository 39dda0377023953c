-- What happened on a tour, in order: written by the change itself, whoever makes it, so that nothing is left out and nobody has to think of it.

-- Times are kept as moments; this is the zone in which the day was planned and is shown: an IANA name or an offset such as +09:30.
alter table public.tours add column time_zone text not null default 'UTC'
  check (time_zone ~ '^([+-]\d\d:\d\d|[A-Za-z][A-Za-z0-9_+/-]*)$');

create schema reanna;
revoke all on schema reanna from public;

-- How far clocks there are ahead of UTC. Postgres reads an offset as POSIX does, the other way round.
create function reanna.zone_offset(zone text, at timestamptz) returns interval
language sql stable
set search_path = pg_catalog
as $$
  select case when zone ~ '^[+-]' then zone::interval else (at at time zone zone) - (at at time zone 'UTC') end
$$;

-- No foreign keys: rows of tours come and go with a move, which must be free to replace them. Who may see an entry is asked of its tour.
create table public.tour_journal (
  id bigint generated always as identity primary key,
  tour_id uuid not null,
  visit_id uuid,
  task_id uuid,
  feedback_id uuid,
  subject text not null check (subject in ('tour', 'visit', 'task', 'feedback', 'crm')),
  -- The state that was reached, or what was tried.
  entry text not null,
  details jsonb not null default '{}',
  -- Of the token that asked for it; null where the server did it by itself.
  actor text,
  at timestamptz not null default clock_timestamp()
);
create index tour_journal_tour on public.tour_journal (tour_id, id);

alter table public.tour_journal enable row level security;
revoke all on public.tour_journal from anon, authenticated, public;
revoke all on sequence public.tour_journal_id_seq from anon, authenticated, public;
grant select on public.tour_journal to authenticated;
grant select, insert, update, delete on public.tour_journal to service_role;
grant usage, select on sequence public.tour_journal_id_seq to service_role;
create policy journal_access_policy on public.tour_journal for select to authenticated
  using (exists (select from public.tours t where t.id = tour_journal.tour_id));

create function reanna.note(tour uuid, visit uuid, task uuid, feedback uuid, subject text, entry text, details jsonb default '{}') returns void
language sql security definer
set search_path = pg_catalog
as $$
  insert into public.tour_journal (tour_id, visit_id, task_id, feedback_id, subject, entry, details, actor)
    values (tour, visit, task, feedback, subject, entry, details, tidemark.subject())
$$;

create function reanna.journal_tour() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if tidemark.is_move_apply() then
    return null;
  end if;
  if tg_op = 'DELETE' then
    delete from public.tour_journal where tour_id = old.id;
    return null;
  end if;
  if tg_op = 'INSERT' or new.status is distinct from old.status then
    perform reanna.note(new.id, null, null, null, 'tour', new.status);
  end if;
  if tg_op = 'UPDATE' and new.crm_sync_status is distinct from old.crm_sync_status then
    perform reanna.note(new.id, null, null, null, 'crm', new.crm_sync_status,
      case when new.crm_sync_error is null then '{}' else jsonb_build_object('error', new.crm_sync_error) end);
  end if;
  return null;
end $$;

create function reanna.journal_visit() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if not tidemark.is_move_apply() and (tg_op = 'INSERT' or new.status is distinct from old.status) then
    perform reanna.note(new.tour_id, new.id, null, null, 'visit', new.status, jsonb_build_object('address', new.address));
  end if;
  return null;
end $$;

create function reanna.journal_task() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
declare
  tour uuid;
begin
  if not tidemark.is_move_apply() and (tg_op = 'INSERT' or new.status is distinct from old.status) then
    select v.tour_id into tour from public.property_visits v where v.id = new.visit_id;
    perform reanna.note(tour, new.visit_id, new.id, null, 'task', new.status, jsonb_build_object('task_type', new.task_type));
  end if;
  return null;
end $$;

create function reanna.journal_feedback() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
declare
  visit uuid;
  tour uuid;
begin
  if tidemark.is_move_apply() then
    return null;
  end if;
  select v.id, v.tour_id into visit, tour
    from public.tasks k join public.property_visits v on v.id = k.visit_id where k.id = new.task_id;
  if tg_op = 'INSERT' then
    perform reanna.note(tour, visit, new.task_id, new.id, 'feedback', 'received', jsonb_build_object('source', new.feedback_source));
    return null;
  end if;
  if old.processed_feedback is null and new.processed_feedback is not null then
    perform reanna.note(tour, visit, new.task_id, new.id, 'feedback', 'processed');
  end if;
  if new.notification_error is not null and new.notification_error is distinct from old.notification_error then
    perform reanna.note(tour, visit, new.task_id, new.id, 'feedback', 'notification_failed',
      jsonb_build_object('attempt', new.notification_attempts, 'error', new.notification_error));
  end if;
  if new.sent_to_agent and not old.sent_to_agent then
    perform reanna.note(tour, visit, new.task_id, new.id, 'feedback', 'notified', jsonb_build_object('attempts', new.notification_attempts));
  end if;
  return null;
end $$;

create trigger tours_journal after insert or update or delete on public.tours
  for each row execute function reanna.journal_tour();
create trigger property_visits_journal after insert or update of status on public.property_visits
  for each row execute function reanna.journal_visit();
create trigger tasks_journal after insert or update of status on public.tasks
  for each row execute function reanna.journal_task();
create trigger feedback_journal after insert or update on public.feedback
  for each row execute function reanna.journal_feedback();

do $$
begin
  execute format('revoke all on all functions in schema reanna from %s', concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role'))));
  grant execute on function reanna.zone_offset(text, timestamptz) to authenticated, service_role;
  -- Where the server's role could not be given BYPASSRLS it still works.
  if exists (select from pg_roles where rolname = 'tidemark_app') then
    grant select, insert, update, delete on public.tour_journal to tidemark_app;
    grant usage, select on sequence public.tour_journal_id_seq to tidemark_app;
    grant execute on function reanna.zone_offset(text, timestamptz) to tidemark_app;
    create policy server on public.tour_journal to tidemark_app using (true) with check (true);
  end if;
end $$;
