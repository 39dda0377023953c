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
  -- Ids of the publication and its tables when they were last looked at: one that is gone since is a hole as well.
  publication text[] not null default '{}',
  created_at timestamptz not null default now()
);

-- Changes caught by triggers, for databases that give no slot. A batch is what one snapshot sees and the one before did not.
create table tidemark.feed_outbox (
  id bigint generated always as identity primary key,
  xid xid8 not null default pg_current_xact_id(),
  -- Number of the statement, drawn before it touched a row: triggers of the app may run statements of their own between a statement and
  -- its row triggers, and what was touched later has to stand later.
  statement bigint not null,
  -- The table, of a partition its root.
  relation oid not null,
  -- Columns at the time: tidemark.feed_outbox_shapes.
  shape bigint not null,
  -- Insert, update, delete, truncate; c: something changed, only the fact is known.
  kind "char" not null check (kind in ('i', 'u', 'd', 't', 'c')),
  -- As Postgres writes a row: each value in its own text form.
  old_row text,
  new_row text,
  bytes integer not null default 0,
  changed_at timestamptz not null default clock_timestamp()
);
create index feed_outbox_order on tidemark.feed_outbox (xid, statement, id);

-- What a table looked like. No unique constraint: whoever writes first after DDL must not make others wait for its commit.
create table tidemark.feed_outbox_shapes (
  relation oid not null,
  shape bigint not null,
  description text not null
);
create index feed_outbox_shapes_key on tidemark.feed_outbox_shapes (relation, shape);

create table tidemark.feed_outbox_readers (
  name text primary key,
  -- Drawn anew with each history, and part of the epoch.
  incarnation text not null,
  -- System, timeline and database that the numbers belong to.
  history text not null,
  -- Everything up to this number is confirmed, everything seen by this snapshot belongs to it.
  tick bigint not null default 0,
  snapshot pg_snapshot not null,
  -- Who reads, and when it last said so.
  holder text,
  seen_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default now()
);

-- Batches that were given and are not yet confirmed: a batch given again has the same transactions under the same numbers.
create table tidemark.feed_outbox_ticks (
  reader text not null references tidemark.feed_outbox_readers (name) on delete cascade,
  first_tick bigint not null,
  last_tick bigint not null,
  snapshot pg_snapshot not null,
  primary key (reader, last_tick)
);

-- The columns of a table as they are, and which of them a reader of the write-ahead log would get of an old row.
create function tidemark.feed_outbox_shape_of(of_table oid) returns text
language plpgsql stable
set search_path = pg_catalog
as $$
declare
  described record;
  key int2[];
begin
  select c.relreplident, r.relname, n.nspname into described
    from pg_class c join pg_class r on r.oid = coalesce(pg_partition_root(c.oid)::oid, c.oid) join pg_namespace n on n.oid = r.relnamespace
   where c.oid = of_table;
  if described.relreplident = 'd' then
    select i.indkey::int2[] into key from pg_index i where i.indrelid = of_table and i.indisprimary and i.indimmediate and i.indisvalid;
  elsif described.relreplident = 'i' then
    select i.indkey::int2[] into key from pg_index i where i.indrelid = of_table and i.indisreplident and i.indisvalid;
  end if;
  return json_build_object(
    'schema', described.nspname, 'table', described.relname,
    'identity', case when key is null then 'full' when described.relreplident = 'i' then 'index' else 'default' end,
    'columns', (select json_agg(json_build_array(a.attname, a.atttypid::bigint, a.atttypmod,
                                                 coalesce(a.attnum = any (key), true), a.attgenerated <> '') order by a.attnum)
                  from pg_attribute a where a.attrelid = of_table and a.attnum > 0 and not a.attisdropped))::text;
end $$;

-- The number of the table's present shape, which is written down where it is new. Asked at each statement of the application, so it is
-- made of what is quickly read; the description is put together once.
create function tidemark.feed_outbox_shape(of_table oid, of_root oid) returns bigint
language plpgsql security definer
set search_path = pg_catalog
-- One plan for good, through the indexes: planning anew, or reading catalogues from end to end, takes longer than all the rest.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  number bigint;
begin
  select hashtextextended(concat_ws(' ', n.nspname, length(r.relname), r.relname, c.relreplident,
           (select i.indkey::text from pg_index i
             where i.indrelid = of_table and i.indisvalid
               and (c.relreplident = 'd' and i.indisprimary and i.indimmediate or c.relreplident = 'i' and i.indisreplident)),
           (select string_agg(concat_ws(' ', a.attnum, a.atttypid, a.atttypmod, a.attgenerated, length(a.attname), a.attname), ',')
              from pg_attribute a where a.attrelid = of_table and a.attnum > 0 and not a.attisdropped)), 0)
    into number
    from pg_class c, pg_class r, pg_namespace n
   where c.oid = of_table and r.oid = of_root and n.oid = r.relnamespace;
  if not exists (select from tidemark.feed_outbox_shapes s where s.relation = of_root and s.shape = number) then
    insert into tidemark.feed_outbox_shapes (relation, shape, description)
    values (of_root, number, tidemark.feed_outbox_shape_of(of_table));
  end if;
  return number;
end $$;

-- Before each statement: draws its number, and tells whoever listens. A session that prepares transactions may not notify.
create function tidemark.feed_outbox_statement() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  perform set_config('tidemark.outbox_' || pg_trigger_depth(), nextval('tidemark.feed_outbox_id_seq')::text, true);
  if tg_argv[0] = 'notify' and current_setting('max_prepared_transactions') = '0' then
    perform pg_notify('tidemark_outbox', current_database());
  end if;
  return null;
end $$;

-- After each row. The settings fix how values are written, whatever the writer's session prefers.
create function tidemark.feed_outbox_row() returns trigger
language plpgsql security definer
set search_path = pg_catalog
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
as $$
declare
  number bigint := nullif(current_setting('tidemark.outbox_' || pg_trigger_depth(), true), '')::bigint;
  root oid := coalesce(pg_partition_root(tg_relid)::oid, tg_relid);
  remembered text;
  table_shape bigint;
  old_text text;
  new_text text;
begin
  -- A table cannot change while a statement uses it: its shape is looked up once for each.
  remembered := current_setting('tidemark.outbox_shape_' || tg_relid, true);
  if number is not null and split_part(remembered, ':', 1) = number::text then
    table_shape := split_part(remembered, ':', 2)::bigint;
  else
    table_shape := tidemark.feed_outbox_shape(tg_relid, root);
    perform set_config('tidemark.outbox_shape_' || tg_relid, number || ':' || table_shape, true);
  end if;
  if tg_op <> 'INSERT' then old_text := old::text; end if;
  if tg_op <> 'DELETE' then new_text := new::text; end if;
  insert into tidemark.feed_outbox (statement, relation, shape, kind, old_row, new_row, bytes)
  values (coalesce(number, nextval('tidemark.feed_outbox_id_seq')), root, table_shape, lower(left(tg_op, 1))::"char", old_text, new_text,
          coalesce(octet_length(old_text), 0) + coalesce(octet_length(new_text), 0));
  return null;
end $$;

-- After TRUNCATE. Of a partition it is told only that its root changed.
create function tidemark.feed_outbox_truncate() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
declare
  root oid := coalesce(pg_partition_root(tg_relid)::oid, tg_relid);
begin
  insert into tidemark.feed_outbox (statement, relation, shape, kind)
  values (nextval('tidemark.feed_outbox_id_seq'), root, tidemark.feed_outbox_shape(tg_relid, root),
          case when root = tg_relid then 't' else 'c' end);
  if tg_argv[0] = 'notify' and current_setting('max_prepared_transactions') = '0' then
    perform pg_notify('tidemark_outbox', current_database());
  end if;
  return null;
end $$;

-- Closes tables of this schema to everybody but their owner and these roles of the server's own.
create procedure tidemark.keep_to_server(tables text[], servers text[])
language plpgsql
set search_path = pg_catalog
as $$
declare
  name text;
  server text;
  -- The roles of an API are there only where the bootstrap or Supabase made them: a move also goes into a plain database.
  strangers text := concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role')));
begin
  foreach name in array tables loop
    execute format('alter table tidemark.%I enable row level security', name);
    execute format('revoke all on tidemark.%I from %s', name, strangers);
    for server in select rolname from pg_roles where rolname = any (servers) loop
      execute format('grant select, insert, update, delete on tidemark.%I to %I', name, server);
      execute format('create policy %I on tidemark.%I to %I using (true) with check (true)', server, name, server);
    end loop;
  end loop;
end $$;
revoke all on procedure tidemark.keep_to_server(text[], text[]) from public;

call tidemark.keep_to_server(
  array['feed_followers', 'feed_slots', 'feed_outbox', 'feed_outbox_shapes', 'feed_outbox_readers', 'feed_outbox_ticks'],
  array['tidemark_app', 'tidemark_feed']);

do $$
declare
  strangers text := concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role')));
  server text;
begin
  for server in select rolname from pg_roles where rolname in ('tidemark_app', 'tidemark_feed') loop
    execute format('grant usage on schema tidemark to %I', server);
  end loop;
  execute format('revoke all on sequence tidemark.feed_outbox_id_seq from %s', strangers);
  execute format('revoke all on function tidemark.feed_outbox_shape_of(oid), tidemark.feed_outbox_shape(oid, oid),
    tidemark.feed_outbox_statement(), tidemark.feed_outbox_row(), tidemark.feed_outbox_truncate() from %s', strangers);
end $$;
