-- Where clients of realtime were that cannot say so themselves. A server that is killed takes nothing of it along.

create table tidemark.realtime_cursors (
  -- A digest of what names one channel of one client; clients that cannot be told from each other share it.
  key text not null,
  -- One socket's.
  member uuid not null,
  -- Up to here the client has everything. As the feed writes positions.
  position text not null,
  -- Its socket has ended, and the client may come back.
  cut boolean not null default false,
  seen_at timestamptz not null default now(),
  primary key (key, member)
);
create index realtime_cursors_age on tidemark.realtime_cursors (seen_at);

call tidemark.keep_to_server(array['realtime_cursors'], array['tidemark_app']);
