-- Agents, tasks and health are told live to whoever may see them, where there is somebody who tells.
do $$
begin
  if exists (select from pg_publication where pubname = 'supabase_realtime') then
    alter publication supabase_realtime add table public.agent_instances, public.agent_executions, public.system_health;
  end if;
end $$;
