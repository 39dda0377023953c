-- An agent sees and changes the tours of its own and whatever hangs on them; an admin all. Anonymous callers have no grant,
-- service_role is not subject to policies. The subject is compared as text, for agents' ids need not be uuids; each
-- `(select …)` is evaluated once per statement, not once per row.

alter table public.tours enable row level security;
alter table public.property_visits enable row level security;
alter table public.tasks enable row level security;
alter table public.feedback enable row level security;

revoke all on public.tours, public.property_visits, public.tasks, public.feedback from anon, public;
grant select, insert, update, delete on public.tours, public.property_visits, public.tasks, public.feedback
  to authenticated, service_role;

create policy tour_access_policy on public.tours to authenticated
  using (agent_id = (select auth.jwt() ->> 'sub') or (select tidemark.is_admin()))
  with check (agent_id = (select auth.jwt() ->> 'sub') or (select tidemark.is_admin()));

-- Each asks its parent under the parent's own policy, up to the tour.
create policy visit_access_policy on public.property_visits to authenticated
  using (exists (select from public.tours t where t.id = property_visits.tour_id))
  with check (exists (select from public.tours t where t.id = property_visits.tour_id));

create policy task_access_policy on public.tasks to authenticated
  using (exists (select from public.property_visits v where v.id = tasks.visit_id))
  with check (exists (select from public.property_visits v where v.id = tasks.visit_id));

create policy feedback_access_policy on public.feedback to authenticated
  using (exists (select from public.tasks k where k.id = feedback.task_id))
  with check (exists (select from public.tasks k where k.id = feedback.task_id));
