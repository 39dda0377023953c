-- What the reports are made of: computed from leads, approvals and events by a job, so that no report reads through them. All of it can be computed
-- anew at any time. Days and weeks are those of UTC; weeks begin on Mondays.

-- How far a lead came; losing one is no step.
create function re_engine.funnel_stage(status text) returns integer
language sql immutable parallel safe
set search_path = pg_catalog
as $$ select case status when 'new' then 0 when 'contacted' then 1 when 'qualified' then 2 when 'nurturing' then 3 when 'converted' then 4 end $$;

create materialized view re_engine.lead_facts as
select l.id as lead_id, l.created_at, (l.created_at at time zone 'UTC')::date as day,
       coalesce(nullif(lower(btrim(l.source)), ''), 'unknown') as source, l.assigned_agent as agent_id, l.status,
       greatest(coalesce(re_engine.funnel_stage(l.status), 0), moved.furthest, case when l.converted_at is not null then 4 end) as stage,
       l.converted_at, (l.status = 'lost' or moved.lost) and l.converted_at is null as lost,
       answered.at as first_response_at, extract(epoch from answered.at - l.created_at)::double precision as first_response_seconds
  from public.leads l
  left join lateral (
    select max(re_engine.funnel_stage(e.data ->> 'to')) as furthest,
           coalesce(bool_or(e.data ->> 'to' = 'lost') and l.status = 'closed', false) as lost
      from public.events e where e.lead_id = l.id and e.event_type = 'status_changed') moved on true
  left join lateral (
    select min(e.occurred_at) as at from public.events e
     where e.lead_id = l.id and e.direction = 'outbound' and e.event_type in ('sent', 'call_logged') and e.occurred_at >= l.created_at) answered on true;
create unique index lead_facts_lead on re_engine.lead_facts (lead_id);
create index lead_facts_day on re_engine.lead_facts (day);

create materialized view re_engine.approval_facts as
select a.id as approval_id, a.agent_id, a.channel, a.status, a.created_at, coalesce(a.approved_at, a.rejected_at) as decided_at,
       (coalesce(a.approved_at, a.rejected_at) at time zone 'UTC')::date as day,
       case when a.rejected_at is not null then 'rejected' else 'approved' end as decision,
       coalesce(a.approved_by, a.rejected_by) as decided_by,
       extract(epoch from coalesce(a.approved_at, a.rejected_at) - a.submitted_at)::double precision as turnaround_seconds
  from public.approvals a
 where a.submitted_at is not null and coalesce(a.approved_at, a.rejected_at) is not null;
create unique index approval_facts_approval on re_engine.approval_facts (approval_id);
create index approval_facts_day on re_engine.approval_facts (day);

-- Of the leads that came on that day: what became of them since.
create table public.analytics_lead_daily (
  day date not null,
  source text not null,
  new_leads integer not null default 0 check (new_leads >= 0),
  contacted integer not null default 0,
  qualified integer not null default 0,
  converted integer not null default 0,
  lost integer not null default 0,
  responded integer not null default 0,
  avg_first_response_seconds double precision,
  computed_at timestamptz not null default now(),
  primary key (day, source)
);

-- What an agent did on that day.
create table public.analytics_agent_daily (
  day date not null,
  agent_id uuid not null references public.agents (id) on delete cascade,
  messages_sent integer not null default 0,
  replies integer not null default 0,
  calls integer not null default 0,
  leads_assigned integer not null default 0,
  conversions integer not null default 0,
  computed_at timestamptz not null default now(),
  primary key (day, agent_id)
);
create index analytics_agent_daily_agent on public.analytics_agent_daily (agent_id, day);

create table re_engine.analytics_state (
  one boolean primary key default true check (one),
  refreshed_at timestamptz
);
insert into re_engine.analytics_state default values;

-- False where somebody else is at it, or was within that time. Readers are not held up: rows are exchanged one by one, only those that differ.
create function re_engine.refresh_analytics(within interval default '0') returns boolean
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if not pg_try_advisory_xact_lock(hashtext('re_engine.refresh_analytics')) then
    return false;
  end if;
  if exists (select from re_engine.analytics_state s where s.refreshed_at > clock_timestamp() - within) then
    return false;
  end if;
  refresh materialized view concurrently re_engine.lead_facts;
  refresh materialized view concurrently re_engine.approval_facts;

  create temporary table fresh_leads on commit drop as
    select f.day, f.source, count(*)::int as new_leads, (count(*) filter (where f.stage >= 1))::int as contacted,
           (count(*) filter (where f.stage >= 2))::int as qualified, (count(*) filter (where f.converted_at is not null))::int as converted,
           (count(*) filter (where f.lost))::int as lost, count(f.first_response_at)::int as responded,
           avg(f.first_response_seconds) as avg_first_response_seconds
      from re_engine.lead_facts f group by f.day, f.source;
  delete from public.analytics_lead_daily d
   where not exists (select from pg_temp.fresh_leads f where (f.day, f.source) = (d.day, d.source));
  insert into public.analytics_lead_daily as d (day, source, new_leads, contacted, qualified, converted, lost, responded, avg_first_response_seconds)
    select * from pg_temp.fresh_leads
    on conflict (day, source) do update
      set (new_leads, contacted, qualified, converted, lost, responded, avg_first_response_seconds, computed_at)
        = (excluded.new_leads, excluded.contacted, excluded.qualified, excluded.converted, excluded.lost, excluded.responded,
           excluded.avg_first_response_seconds, now())
      where (d.new_leads, d.contacted, d.qualified, d.converted, d.lost, d.responded, d.avg_first_response_seconds)
        is distinct from (excluded.new_leads, excluded.contacted, excluded.qualified, excluded.converted, excluded.lost, excluded.responded,
           excluded.avg_first_response_seconds);
  drop table pg_temp.fresh_leads;

  create temporary table fresh_agents on commit drop as
    select did.day, did.agent_id, sum(did.sent)::int as messages_sent, sum(did.replies)::int as replies, sum(did.calls)::int as calls,
           sum(did.assigned)::int as leads_assigned, sum(did.conversions)::int as conversions
      from (
        select (e.occurred_at at time zone 'UTC')::date as day, e.agent_id, (e.event_type = 'sent')::int as sent,
               (e.event_type = 'message_received')::int as replies, (e.event_type = 'call_logged')::int as calls,
               (e.event_type = 'assigned')::int as assigned, 0 as conversions
          from public.events e
         where e.agent_id is not null and e.event_type in ('sent', 'message_received', 'call_logged', 'assigned')
        union all
        select (f.converted_at at time zone 'UTC')::date, f.agent_id, 0, 0, 0, 0, 1
          from re_engine.lead_facts f where f.agent_id is not null and f.converted_at is not null
      ) did
     where exists (select from public.agents a where a.id = did.agent_id)
     group by did.day, did.agent_id;
  delete from public.analytics_agent_daily d
   where not exists (select from pg_temp.fresh_agents f where (f.day, f.agent_id) = (d.day, d.agent_id));
  insert into public.analytics_agent_daily as d (day, agent_id, messages_sent, replies, calls, leads_assigned, conversions)
    select * from pg_temp.fresh_agents
    on conflict (day, agent_id) do update
      set (messages_sent, replies, calls, leads_assigned, conversions, computed_at)
        = (excluded.messages_sent, excluded.replies, excluded.calls, excluded.leads_assigned, excluded.conversions, now())
      where (d.messages_sent, d.replies, d.calls, d.leads_assigned, d.conversions)
        is distinct from (excluded.messages_sent, excluded.replies, excluded.calls, excluded.leads_assigned, excluded.conversions);
  drop table pg_temp.fresh_agents;

  update re_engine.analytics_state set refreshed_at = clock_timestamp();
  return true;
end $$;

alter table public.analytics_lead_daily enable row level security;
alter table public.analytics_agent_daily enable row level security;
alter table re_engine.analytics_state enable row level security;

do $$
declare
  strangers text := concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role')));
begin
  execute format('revoke all on public.analytics_lead_daily, public.analytics_agent_daily, re_engine.analytics_state, re_engine.lead_facts,
    re_engine.approval_facts from %s', strangers);
  execute format('revoke all on function re_engine.refresh_analytics(interval), re_engine.funnel_stage(text) from %s', strangers);
end $$;
grant select on public.analytics_lead_daily, public.analytics_agent_daily to authenticated, service_role;
create policy analytics_admin on public.analytics_lead_daily for select to authenticated using ((select tidemark.is_admin()));
create policy analytics_admin on public.analytics_agent_daily for select to authenticated
  using (agent_id = (select re_engine.my_agent()) or (select tidemark.is_admin()));

do $$
begin
  if exists (select from pg_roles where rolname = 'tidemark_app') then
    revoke all on public.analytics_lead_daily, public.analytics_agent_daily from tidemark_app;
    grant select on public.analytics_lead_daily, public.analytics_agent_daily, re_engine.analytics_state, re_engine.lead_facts,
      re_engine.approval_facts to tidemark_app;
    grant execute on function re_engine.refresh_analytics(interval) to tidemark_app;
    create policy server on public.analytics_lead_daily for select to tidemark_app using (true);
    create policy server on public.analytics_agent_daily for select to tidemark_app using (true);
    create policy server on re_engine.analytics_state for select to tidemark_app using (true);
  end if;
end $$;
