-- The words of young people who gave no name. Nobody but the server reads or writes them: no policy for anon or authenticated,
-- and no grant either, so that a policy added by mistake opens nothing (C49).

do $$
declare
  name text;
begin
  foreach name in array array['sessions', 'chat_history', 'user_responses', 'risk_detections', 'session_summaries', 'analytics',
    'intent_classifications', 'system_logs'] loop
    execute format('alter table public.%I enable row level security', name);
    execute format('revoke all on public.%I from anon, authenticated, public', name);
    execute format('grant select, insert, update, delete on public.%I to service_role', name);
  end loop;
end $$;
