-- Where clients of realtime were that cannot say so themselves. A server that is killed takes nothing of it along.

create table tidemark.realtime_cursors (
  -- A digest of what names one channel of one client.
  key text primary key,
  -- As the feed writes positions.
  position text not null,
  seen_at timestamptz not null default now()
);
create index realtime_cursors_age on tidemark.realtime_cursors (seen_at);

call tidemark.keep_to_server(array['realtime_cursors'], array['tidemark_app']);
