-- An agent sees the leads that are theirs, and whatever hangs on them; an admin all. Anonymous callers have no grant, service_role is not subject to
-- policies. Grants are by column: what was decided, by whom and when is the database's own to say. Each `(select …)` is evaluated once per
-- statement, not once per row.

-- Of the token. A function, since it looks past the policies.
create function re_engine.my_agent() returns uuid
language sql stable security definer
set search_path = pg_catalog
as $$ select a.id from public.agents a where a.external_id = tidemark.subject() $$;

revoke all on public.agents, public.leads, public.approvals, public.events from anon, authenticated, public;
grant select, insert, update, delete on public.agents, public.leads, public.approvals to service_role;
-- Not even the service takes back what happened.
revoke all on public.events from service_role;
grant select, insert on public.events to service_role;

grant select, insert, update, delete on public.agents to authenticated;
create policy agents_self on public.agents for select to authenticated
  using (external_id = (select tidemark.subject()) or (select tidemark.is_admin()));
create policy agents_admin on public.agents to authenticated
  using ((select tidemark.is_admin())) with check ((select tidemark.is_admin()));

grant select, delete on public.leads to authenticated;
grant insert (id, first_name, last_name, email, phone, property_address, city, province, postal_code, property_type, price_range, timeline, source,
    assigned_agent, metadata, do_not_contact, contact_block_reason),
  update (first_name, last_name, email, phone, property_address, city, province, postal_code, property_type, price_range, timeline, source,
    status, status_reason, assigned_agent, metadata, do_not_contact, contact_block_reason) on public.leads to authenticated;
create policy leads_owner_read on public.leads for select to authenticated
  using (assigned_agent = (select re_engine.my_agent()) or (select tidemark.is_admin()));
create policy leads_owner_insert on public.leads for insert to authenticated
  with check (assigned_agent = (select re_engine.my_agent()) or (select tidemark.is_admin()));
create policy leads_owner_update on public.leads for update to authenticated
  using (assigned_agent = (select re_engine.my_agent()) or (select tidemark.is_admin()))
  with check (assigned_agent = (select re_engine.my_agent()) or (select tidemark.is_admin()));
create policy leads_admin_delete on public.leads for delete to authenticated using ((select tidemark.is_admin()));

-- Each asks for the lead under the lead's own policy.
grant select on public.approvals to authenticated;
grant insert (id, lead_id, channel, action_type, draft_to, draft_subject, draft_text, status, ai_score, expires_at, metadata),
  update (draft_to, draft_subject, draft_text, status, rejection_reason, send_requested_at, next_retry_at, expires_at, metadata) on public.approvals to authenticated;
create policy approvals_owner on public.approvals to authenticated
  using (exists (select from public.leads l where l.id = approvals.lead_id))
  with check (exists (select from public.leads l where l.id = approvals.lead_id));

grant select on public.events to authenticated;
grant insert (id, lead_id, event_type, channel, direction, source, content, data, external_id, occurred_at) on public.events to authenticated;
create policy events_owner_read on public.events for select to authenticated
  using ((select tidemark.is_admin()) or exists (select from public.leads l where l.id = events.lead_id));
-- People note what they did; what systems tell is for systems.
create policy events_owner_insert on public.events for insert to authenticated
  with check (event_type in ('note', 'call_logged') and source = 'agent'
    and exists (select from public.leads l where l.id = events.lead_id));

do $$
declare
  strangers text := concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role')));
begin
  execute format('revoke all on all functions in schema re_engine from %s', strangers);
  execute format('revoke all on sequence re_engine.turn, re_engine.event_number from %s', strangers);
  execute format('revoke all on re_engine.settings from %s', strangers);
end $$;
grant usage on schema re_engine to authenticated, service_role;
-- What runs as the caller: policies, triggers, expressions of indexes.
grant execute on function re_engine.role(), re_engine.actor(), re_engine.stage(text), re_engine.my_agent(),
  re_engine.search_of(public.leads), re_engine.event_id() to authenticated, service_role;
-- Whose turn it is: for the service and for admins, as it says itself.
grant execute on function re_engine.next_agent(uuid) to authenticated, service_role;

-- Where the server's role could not be given BYPASSRLS it still works.
do $$
begin
  if exists (select from pg_roles where rolname = 'tidemark_app') then
    grant usage on schema re_engine to tidemark_app;
    grant select, insert, update, delete on public.agents, public.leads, public.approvals to tidemark_app;
    revoke all on public.events from tidemark_app;
    grant select, insert on public.events to tidemark_app;
    grant select, update on re_engine.settings to tidemark_app;
    grant execute on function re_engine.role(), re_engine.actor(), re_engine.stage(text), re_engine.my_agent(),
      re_engine.search_of(public.leads), re_engine.event_id(), re_engine.next_agent(uuid), re_engine.is_quiet(text, text, timestamptz),
      re_engine.open_leads(uuid) to tidemark_app;
    create policy server on public.agents to tidemark_app using (true) with check (true);
    create policy server on public.leads to tidemark_app using (true) with check (true);
    create policy server on public.approvals to tidemark_app using (true) with check (true);
    create policy server on public.events to tidemark_app using (true) with check (true);
    create policy server on re_engine.settings to tidemark_app using (true) with check (true);
  end if;
end $$;
