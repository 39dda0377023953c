-- A chat: its session, and its messages in the order of their numbers. Times are kept to the millisecond, as the callers see them, so that a
-- cursor made of one finds its row again.

create table public.chat_sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid(),
  title text not null default 'New chat' check (length(title) <= 200),
  status text not null default 'active' check (status in ('active', 'archived', 'deleted')),
  -- Without the deleted ones.
  message_count integer not null default 0 check (message_count >= 0),
  last_message_at timestamptz(3),
  last_message_preview text check (length(last_message_preview) <= 120),
  next_seq bigint not null default 1 check (next_seq >= 1),
  -- Goes up with every change of the session or of one of its messages.
  version bigint not null default 1,
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 16384),
  -- The Redis key it was imported from.
  legacy_key text unique check (octet_length(legacy_key) <= 1024),
  deleted_at timestamptz(3),
  -- What it was before it was deleted, and goes back to until this moment; from then on it may be purged.
  deleted_from text check (deleted_from in ('active', 'archived')),
  undo_until timestamptz(3),
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  constraint chat_sessions_deleted check (
    (status = 'deleted') = (deleted_at is not null)
    and (status = 'deleted') = (deleted_from is not null)
    and (status = 'deleted') = (undo_until is not null))
);
-- The list beside the chat, newest first, page by page: both columns go down, so that one row comparison is the cursor.
create index idx_chat_sessions_recent on public.chat_sessions
  (user_id, status, (coalesce(last_message_at, created_at)) desc, id desc);
create index idx_chat_sessions_purge on public.chat_sessions (undo_until) where status = 'deleted';

create table public.chat_messages (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null references public.chat_sessions (id) on delete cascade,
  -- 1, 2, 3 … in each session, without a gap. 0 is what a message of a missing or deleted session would get.
  seq bigint not null,
  role text not null check (role in ('user', 'assistant', 'system', 'tool')),
  content text not null check (length(content) <= 100000),
  -- Given by the client before it sends: the same message sent twice is kept once.
  client_message_id text check (length(client_message_id) between 1 and 128),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 16384),
  edited_at timestamptz(3),
  -- A deleted message keeps its number and loses its words.
  deleted_at timestamptz(3),
  created_at timestamptz(3) not null default now(),
  constraint chat_messages_numbered check (seq >= 1),
  constraint chat_messages_seq unique (session_id, seq),
  constraint chat_messages_wiped check (deleted_at is null or content = '')
);
create unique index uq_chat_messages_client on public.chat_messages (session_id, client_message_id)
  where client_message_id is not null;

-- What the log tells of a row that goes, for those who keep things by session or by user. Messages: session and number, by an index
-- that is there anyway, not their words. Sessions: everything; they are small, and their user is in no key.
alter table public.chat_messages replica identity using index chat_messages_seq;
alter table public.chat_sessions replica identity full;

-- Who deleted, took back or purged what. No words.
create table public.chat_audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  actor_role text,
  request_id text,
  action text not null check (action in ('delete', 'undo', 'purge')),
  table_name text not null,
  record_id uuid not null,
  details jsonb not null default '{}'
);
create index idx_chat_audit_record on public.chat_audit (table_name, record_id, at desc);
-- An import must not bring back what was purged.
create index idx_chat_audit_purged on public.chat_audit ((details ->> 'legacy_key')) where action = 'purge';

-- Closed from the first moment on: where new tables are granted to everybody by default, as in a Supabase project, they would stand open
-- until the policies come.
alter table public.chat_sessions enable row level security;
alter table public.chat_messages enable row level security;
alter table public.chat_audit enable row level security;
