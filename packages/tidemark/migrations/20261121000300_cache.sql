-- What the nodes of a cache tell each other by way of the feed, in its place among the changes.

-- Evictions that no row causes: by command, by an application.
create table tidemark.cache_evictions (
  id bigint generated always as identity primary key,
  -- key: one whole name in Redis; tag; table: all entries that follow it; entry; all.
  kind text not null check (kind in ('key', 'tag', 'table', 'entry', 'all')),
  name text not null,
  created_at timestamptz not null default now()
);
create index cache_evictions_age on tidemark.cache_evictions (created_at);

-- A write that touches these names is about to commit: until its end is told, no node answers them from a cache.
create table tidemark.cache_intents (
  id uuid primary key,
  node text not null,
  -- Tables as schema.table, or whole names of keys.
  touches text[] not null,
  announced_at timestamptz not null default clock_timestamp()
);

-- The end of a write, told by its own transaction; or by whoever found that it will never come. One of them comes first.
create table tidemark.cache_ends (
  intent uuid primary key,
  ended_at timestamptz not null default clock_timestamp()
);
create index cache_ends_age on tidemark.cache_ends (ended_at);

-- Nodes that answer linearizable entries from a cache: a write waits for each of them.
create table tidemark.cache_nodes (
  node text primary key,
  lease_until timestamptz not null
);

call tidemark.keep_to_server(array['cache_evictions', 'cache_intents', 'cache_ends', 'cache_nodes'], array['tidemark_app']);

do $$
begin
  execute format('revoke all on sequence tidemark.cache_evictions_id_seq from %s', concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role'))));
end $$;
