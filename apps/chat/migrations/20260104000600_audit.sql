-- Who began, changed, archived, deleted and purged which chat. Words of users stay out of it, for it outlives the chats; and messages that are
-- counted in are no change of somebody.
create trigger chat_sessions_audit after insert or delete on public.chat_sessions
  for each row execute function tidemark.audit('title', 'metadata', 'last_message_preview');
create trigger chat_sessions_audit_change after update of user_id, title, status, metadata on public.chat_sessions
  for each row execute function tidemark.audit('title', 'metadata', 'last_message_preview');
