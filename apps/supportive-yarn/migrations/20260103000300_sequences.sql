-- Numbers of rows are the server's own: where new sequences are granted to everybody by default, as in a Supabase project, anybody could
-- set them back or see from them how many yarns there are.

do $$
declare
  name text;
begin
  foreach name in array array['chat_history', 'user_responses', 'risk_detections', 'session_summaries', 'analytics',
    'intent_classifications', 'system_logs'] loop
    execute format('revoke all on sequence public.%I from anon, authenticated, public', name || '_id_seq');
  end loop;
end $$;
