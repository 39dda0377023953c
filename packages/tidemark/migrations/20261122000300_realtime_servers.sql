-- Who holds the places of clients. One that has fallen silent was killed: its clients were cut off, and nobody has written it down.

create table tidemark.realtime_servers (
  id uuid primary key,
  -- Counts: whatever the server knew before it wrote the last one is in its rows.
  beat bigint not null,
  seen_at timestamptz not null default now()
);

call tidemark.keep_to_server(array['realtime_servers'], array['tidemark_app']);

-- Rows of before are nobody's: their servers are gone.
alter table tidemark.realtime_cursors add column server uuid;
-- The highest number that the client had given to its messages, as far as it is known: who joins with a lower one is another. 0: unknown.
alter table tidemark.realtime_cursors add column number bigint not null default 0;
-- Empty where the client is to be told a gap: it has nothing until it has heard of that.
comment on column tidemark.realtime_cursors.position is 'As the feed writes positions; empty where the client misses something.';
