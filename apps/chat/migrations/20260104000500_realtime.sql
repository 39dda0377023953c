-- Chats and their messages are told live to whom they belong, where there is somebody who tells.
do $$
begin
  if exists (select from pg_publication where pubname = 'supabase_realtime') then
    alter publication supabase_realtime add table public.chat_sessions, public.chat_messages;
  end if;
end $$;
