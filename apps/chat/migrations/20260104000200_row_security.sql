-- The owner of a chat reads it, writes user messages into it, edits those, and deletes any; no user can write an assistant's turn. Anonymous callers
-- have no grant. Grants are by column: numbers, counters and times are the database's own. There is no grant of DELETE: what a user deletes
-- can be taken back for a while, and is purged by the server. Each `(select …)` is evaluated once per statement, not once per row.

alter table public.chat_sessions enable row level security;
alter table public.chat_messages enable row level security;
alter table public.chat_audit enable row level security;

revoke all on public.chat_sessions, public.chat_messages, public.chat_audit from anon, authenticated, public;
grant select, insert, update, delete on public.chat_sessions, public.chat_messages to service_role;
-- The audit is written by its triggers alone.
revoke all on public.chat_audit from service_role;
grant select on public.chat_audit to service_role;

grant select on public.chat_sessions, public.chat_messages to authenticated;
grant insert (id, user_id, title, metadata), update (title, status, metadata) on public.chat_sessions to authenticated;
grant insert (id, session_id, role, content, client_message_id, metadata), update (content, deleted_at, metadata)
  on public.chat_messages to authenticated;

create policy chat_sessions_owner on public.chat_sessions to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));

-- Each asks for the session under the session's own policy.
create policy chat_messages_owner_read on public.chat_messages for select to authenticated
  using (exists (select from public.chat_sessions s where s.id = chat_messages.session_id));

create policy chat_messages_owner_insert on public.chat_messages for insert to authenticated
  with check (role = 'user'
    and exists (select from public.chat_sessions s where s.id = chat_messages.session_id and s.status <> 'deleted'));

-- Words of a user's own can be changed, anybody's in the chat deleted; what deletes leaves no words, see the trigger.
create policy chat_messages_owner_edit on public.chat_messages for update to authenticated
  using (exists (select from public.chat_sessions s where s.id = chat_messages.session_id and s.status <> 'deleted'))
  with check (role = 'user' or deleted_at is not null);

-- Where the server's role could not be given BYPASSRLS it still works.
do $$
begin
  if exists (select from pg_roles where rolname = 'tidemark_app') then
    grant select, insert, update, delete on public.chat_sessions, public.chat_messages to tidemark_app;
    revoke all on public.chat_audit from tidemark_app;
    grant select on public.chat_audit to tidemark_app;
    create policy server on public.chat_sessions to tidemark_app using (true) with check (true);
    create policy server on public.chat_messages to tidemark_app using (true) with check (true);
    create policy server on public.chat_audit for select to tidemark_app using (true);
  end if;
end $$;
