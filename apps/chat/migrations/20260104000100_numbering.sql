-- What holds whoever writes: numbers without gaps, retries kept once, states, counters, tombstones, the audit.
--
--   session   active ↔ archived · active, archived → deleted → (undo) what it was before · deleted → purged
--   message   kept → edited … → deleted (a tombstone, for good)

-- The session's row is the lock: whoever has it sees what was committed before, and takes the next number.
create function public.chat_message_before_insert() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if new.seq is not null then
    -- An import reserves its numbers first, all at once.
    if not exists (select from public.chat_sessions s where s.id = new.session_id and new.seq < s.next_seq) then
      new.seq := 0;
    end if;
    return new;
  end if;
  perform from public.chat_sessions s where s.id = new.session_id and s.status <> 'deleted' for update;
  if not found then
    -- Refused by row security, or by chat_messages_numbered where there is none: no different for a stranger's chat than for none.
    new.seq := 0;
    return new;
  end if;
  if new.client_message_id is not null and exists (
    select from public.chat_messages m where m.session_id = new.session_id and m.client_message_id = new.client_message_id
  ) then
    return null;
  end if;
  update public.chat_sessions s
     set next_seq = s.next_seq + 1, message_count = s.message_count + 1,
         last_message_at = greatest(s.last_message_at, new.created_at), last_message_preview = left(new.content, 120)
   where s.id = new.session_id
  returning s.next_seq - 1 into new.seq;
  return new;
end $$;
create trigger chat_messages_number before insert on public.chat_messages
  for each row execute function public.chat_message_before_insert();

create function public.chat_message_before_update() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
  if (new.id, new.session_id, new.seq, new.role, new.created_at) is distinct from (old.id, old.session_id, old.seq, old.role, old.created_at)
     or new.client_message_id is distinct from old.client_message_id then
    raise exception 'a message keeps its session, number, role and time' using errcode = 'PT409';
  end if;
  if old.deleted_at is not null then
    raise exception 'a deleted message stays as it is' using errcode = 'PT409';
  end if;
  if new.deleted_at is not null then
    new.deleted_at := now();
    new.content := '';
    new.metadata := '{}';
  elsif new.content is distinct from old.content then
    new.edited_at := now();
  end if;
  return new;
end $$;
create trigger chat_messages_states before update on public.chat_messages
  for each row execute function public.chat_message_before_update();

create function public.chat_message_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  perform from public.chat_sessions s where s.id = old.session_id for update;
  update public.chat_sessions s
     set message_count = s.message_count - (case when old.deleted_at is null and (tg_op = 'DELETE' or new.deleted_at is not null) then 1 else 0 end),
         last_message_preview = (
           select left(m.content, 120) from public.chat_messages m
            where m.session_id = s.id and m.deleted_at is null order by m.seq desc limit 1)
   where s.id = old.session_id;
  return null;
end $$;
-- Not for those that go with their session.
create trigger chat_messages_changed after update or delete on public.chat_messages
  for each row when (pg_trigger_depth() = 0) execute function public.chat_message_changed();

create function public.chat_session_before_update() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
  if new.status is distinct from old.status then
    if new.status = 'deleted' then
      new.deleted_from := old.status;
      new.deleted_at := now();
      new.undo_until := coalesce(new.undo_until, now() + interval '30 days');
    elsif old.status = 'deleted' then
      if old.undo_until <= now() then
        raise exception 'chat session % can no longer be taken back', old.id using errcode = 'PT410';
      end if;
      if new.status <> old.deleted_from then
        raise exception 'chat session % goes back to %', old.id, old.deleted_from using errcode = 'PT409';
      end if;
      new.deleted_from := null;
      new.deleted_at := null;
      new.undo_until := null;
    end if;
  end if;
  new.version := old.version + 1;
  new.updated_at := now();
  return new;
end $$;
create trigger chat_sessions_states before update on public.chat_sessions
  for each row execute function public.chat_session_before_update();

-- A server that acts for somebody says so in the same settings that an API does.
create function public.chat_write_audit() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
declare
  claims jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
  kind text := tg_argv[0];
begin
  insert into public.chat_audit (actor, actor_role, request_id, action, table_name, record_id, details)
  values (
    coalesce(claims ->> 'sub', session_user), claims ->> 'role', nullif(current_setting('app.request_id', true), ''),
    kind, tg_table_name, old.id,
    jsonb_strip_nulls(case tg_table_name
      when 'chat_sessions' then jsonb_build_object(
        'user_id', to_jsonb(old) -> 'user_id', 'from', to_jsonb(old) -> 'status', 'message_count', to_jsonb(old) -> 'message_count',
        'legacy_key', to_jsonb(old) -> 'legacy_key')
      else jsonb_build_object('session_id', to_jsonb(old) -> 'session_id', 'seq', to_jsonb(old) -> 'seq', 'role', to_jsonb(old) -> 'role')
    end));
  return null;
end $$;
create trigger chat_sessions_audit_delete after update of status on public.chat_sessions
  for each row when (new.status = 'deleted' and old.status <> 'deleted') execute function public.chat_write_audit('delete');
create trigger chat_sessions_audit_undo after update of status on public.chat_sessions
  for each row when (old.status = 'deleted' and new.status <> 'deleted') execute function public.chat_write_audit('undo');
create trigger chat_sessions_audit_purge after delete on public.chat_sessions
  for each row execute function public.chat_write_audit('purge');
create trigger chat_messages_audit_delete after update of deleted_at on public.chat_messages
  for each row when (new.deleted_at is not null and old.deleted_at is null) execute function public.chat_write_audit('delete');
