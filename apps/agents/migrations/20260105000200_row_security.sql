-- Agents, metrics and health: whoever is signed in sees them. A task: whose it is, and admins. Who has not signed in sees no row of any. Nobody
-- but the server and service_role writes. Every table has policies: one without would be closed to all (C59).

do $$
declare
  strangers text := concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role')));
begin
  execute format('revoke all on public.agent_instances, public.agent_executions, public.agent_metrics, public.agent_metrics_default,
    public.system_health from %s', strangers);
  execute format('revoke all on function public.get_agent_health_summary(), public.agent_metrics_maintain(interval, timestamptz),
    public.agent_instance_before_update(), public.agent_execution_before_update(), public.agent_execution_changed(),
    public.agent_metric_before_update() from %s', strangers);
end $$;

grant select on public.agent_instances, public.agent_executions, public.agent_metrics, public.system_health to anon, authenticated;
grant select, insert, update, delete on public.agent_instances, public.agent_executions, public.agent_metrics, public.system_health to service_role;
grant execute on function public.get_agent_health_summary() to authenticated, service_role;
grant execute on function public.agent_metrics_maintain(interval, timestamptz) to service_role;

create policy "Users can view agent instances" on public.agent_instances for select to authenticated using (true);
create policy "Users can view their own tasks" on public.agent_executions for select to authenticated
  using (user_id = (select auth.uid()) or (select tidemark.is_admin()));
create policy "Users can view agent metrics" on public.agent_metrics for select to authenticated using (true);
create policy "Users can view system health" on public.system_health for select to authenticated using (true);

create policy "Service role can manage agents" on public.agent_instances to service_role using (true) with check (true);
create policy "Service role can manage tasks" on public.agent_executions to service_role using (true) with check (true);
create policy "Service role can manage agent metrics" on public.agent_metrics to service_role using (true) with check (true);
create policy "Service role can manage system health" on public.system_health to service_role using (true) with check (true);

-- Where the server's role could not be given BYPASSRLS it still works.
do $$
begin
  if exists (select from pg_roles where rolname = 'tidemark_app') then
    grant select, insert, update, delete on public.agent_instances, public.agent_executions, public.agent_metrics, public.system_health to tidemark_app;
    grant execute on function public.get_agent_health_summary(), public.agent_metrics_maintain(interval, timestamptz) to tidemark_app;
    create policy server on public.agent_instances to tidemark_app using (true) with check (true);
    create policy server on public.agent_executions to tidemark_app using (true) with check (true);
    create policy server on public.agent_metrics to tidemark_app using (true) with check (true);
    create policy server on public.system_health to tidemark_app using (true) with check (true);
  end if;
end $$;
