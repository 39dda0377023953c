-- What the feed keeps: how far each durable follower is, and which incarnation of its slot a source reads.
-- Nobody but the migrator (their owner), the feed's role and the server's own role reads or writes these.

create table tidemark.feed_followers (
  name text primary key,
  position text not null,
  updated_at timestamptz not null default now()
);

create table tidemark.feed_slots (
  slot_name text primary key,
  -- Drawn anew each time the slot is made, and part of the epoch: a slot made again has a hole in its history.
  incarnation text not null,
  epoch text not null,
  created_at timestamptz not null default now()
);

-- Changes caught by triggers, for databases that give no slot. A batch is what one snapshot sees and the one before did not.
create table tidemark.feed_outbox (
  id bigint generated always as identity primary key,
  xid xid8 not null default pg_current_xact_id(),
  relation oid not null,
  kind "char" not null check (kind in ('i', 'u', 'd', 't')),
  old_row jsonb,
  new_row jsonb,
  changed_at timestamptz not null default clock_timestamp()
);
create index feed_outbox_xid on tidemark.feed_outbox (xid, id);

create table tidemark.feed_outbox_readers (
  name text primary key,
  incarnation text not null,
  tick bigint not null default 0,
  snapshot pg_snapshot not null,
  updated_at timestamptz not null default now()
);

do $$
declare
  name text;
  strangers text := (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role'));
  server text;
begin
  foreach name in array array['feed_followers', 'feed_slots', 'feed_outbox', 'feed_outbox_readers'] loop
    execute format('alter table tidemark.%I enable row level security', name);
    execute format('revoke all on tidemark.%I from %s', name, concat_ws(', ', 'public', strangers));
    foreach server in array array['tidemark_app', 'tidemark_feed'] loop
      if exists (select from pg_roles where rolname = server) then
        execute format('grant select, insert, update, delete on tidemark.%I to %I', name, server);
        execute format('create policy %I on tidemark.%I to %I using (true) with check (true)', server, name, server);
      end if;
    end loop;
  end loop;
  execute format('revoke all on sequence tidemark.feed_outbox_id_seq from %s', concat_ws(', ', 'public', strangers));
end $$;
