-- What each import brought in, so that one can be taken back; and whether Redis still has it. Nobody but the server reads or writes these.

alter table public.chat_import_runs add column undone_at timestamptz;

-- An import reserves the numbers of a chat's messages in one go, so that what it brought in is one block of them.
create table public.chat_import_blocks (
  run_id uuid not null references public.chat_import_runs (id) on delete cascade,
  session_id uuid not null references public.chat_sessions (id) on delete cascade,
  -- It made the chat; else the chat was there, and grew.
  is_new boolean not null,
  first_seq bigint not null check (first_seq >= 1),
  -- One less than the first where it brought no message.
  last_seq bigint not null check (last_seq >= first_seq - 1),
  -- Of the chat, before and after. As long as it has that version, nobody has done anything with it since.
  version_before bigint,
  version bigint not null,
  -- From then on Redis has it no more: it cannot be taken back.
  source_removed_at timestamptz,
  primary key (run_id, session_id, first_seq)
);
create index idx_chat_import_blocks_session on public.chat_import_blocks (session_id);

alter table public.chat_import_blocks enable row level security;
revoke all on public.chat_import_blocks from anon, authenticated, public;
grant select, insert, update, delete on public.chat_import_blocks to service_role;
do $$
begin
  if exists (select from pg_roles where rolname = 'tidemark_app') then
    grant select, insert, update, delete on public.chat_import_blocks to tidemark_app;
    create policy server on public.chat_import_blocks to tidemark_app using (true) with check (true);
  end if;
end $$;

-- A chat that goes because its import is taken back was not purged: another import may bring it in again.
alter table public.chat_audit drop constraint chat_audit_action_check;
alter table public.chat_audit add constraint chat_audit_action_check check (action in ('delete', 'undo', 'purge', 'undo_import'));
drop trigger chat_sessions_audit_purge on public.chat_sessions;
create trigger chat_sessions_audit_purge after delete on public.chat_sessions
  for each row when (current_setting('chat.undo_import', true) is distinct from 'on') execute function public.chat_write_audit('purge');
create trigger chat_sessions_audit_undo_import after delete on public.chat_sessions
  for each row when (current_setting('chat.undo_import', true) = 'on') execute function public.chat_write_audit('undo_import');
