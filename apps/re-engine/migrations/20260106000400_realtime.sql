-- Leads, approvals and what happened are told live to whoever may see them, where there is somebody who tells.
do $$
begin
  if exists (select from pg_publication where pubname = 'supabase_realtime') then
    alter publication supabase_realtime add table public.agents, public.leads, public.approvals, public.events;
  end if;
end $$;
