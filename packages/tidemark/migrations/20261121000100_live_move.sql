-- A move that follows its file while the application goes on writing, switches over, mirrors back and can be undone.

alter table tidemark.move_runs
  -- Fencing: whoever takes a move over raises it, and everything that writes for the move does so only under its own.
  add column epoch bigint not null default 0,
  add column holder_seen_at timestamptz,
  -- Random id kept in the file's control row: tells a restored or exchanged file from the one that is followed.
  add column capture_id text,
  -- Changes of the log up to this number are in Postgres, and were compared up to that number.
  add column applied_seq bigint not null default 0 check (applied_seq >= 0),
  add column checked_seq bigint not null default 0 check (checked_seq >= 0),
  -- The file's own CREATE statements, so that it can be made again.
  add column source_sql jsonb not null default '[]',
  -- Share of reads that Postgres answers before the cutover.
  add column reads_percent integer not null default 0 check (reads_percent between 0 and 100),
  add column slot_name text,
  -- Where in the feed Postgres took over, and how far the file is mirrored.
  add column cut_position text,
  add column mirrored_position text,
  add column cut_over_at timestamptz,
  -- Tables of the file that have to be copied or compared anew as a whole before following counts as being at its head.
  add column unsettled text[] not null default '{}',
  add constraint move_runs_state check (state in ('planned', 'copying', 'copied', 'following', 'cuttingOver', 'mirroring', 'rollingBack',
    'rolledBack', 'finished', 'aborted'));

-- SQLSTATE where it was Postgres that refused the row.
alter table tidemark.move_rejects add column sqlstate text;
-- By the hash: a key may be longer than an index entry can be.
create index move_rejects_row on tidemark.move_rejects (run_id, table_name, hashtextextended(row_key, 0));

create table tidemark.move_history (
  id bigint generated always as identity primary key,
  run_id uuid not null references tidemark.move_runs (id) on delete cascade,
  from_state text not null,
  to_state text not null,
  epoch bigint not null,
  note text not null default '',
  at timestamptz not null default now()
);
create index move_history_run on tidemark.move_history (run_id, id);

-- Constraints, indexes and triggers of the target that wait for the cutover. make_sql brings the target into its own form (for a rowColumn:
-- drops the column), drop_sql into the form for following; both may be run where it is so already, apart from a constraint that stands.
-- table_name is the target's, quoted and qualified; name as Postgres knows it, without quotes. Foreign keys are made NOT VALID.
create table tidemark.move_waiting (
  run_id uuid not null references tidemark.move_runs (id) on delete cascade,
  ordinal integer not null,
  table_name text not null,
  name text not null,
  kind text not null check (kind in ('unique', 'foreignKey', 'trigger', 'rowColumn')),
  make_sql text not null,
  drop_sql text not null,
  state text not null default 'waiting' check (state in ('waiting', 'made', 'failed')),
  primary key (run_id, ordinal)
);

-- How far the comparison of each table has come: everything up to last_key was found equal at least once.
create table tidemark.move_checks (
  run_id uuid not null references tidemark.move_runs (id) on delete cascade,
  table_name text not null,
  last_key jsonb,
  rows_checked bigint not null default 0,
  done boolean not null default false,
  -- Passes begun since the table was last copied or rebuilt.
  pass integer not null default 1,
  updated_at timestamptz not null default now(),
  primary key (run_id, table_name)
);

-- Rows that were found to differ and still do.
create table tidemark.move_differences (
  run_id uuid not null references tidemark.move_runs (id) on delete cascade,
  table_name text not null,
  row_key text not null,
  difference jsonb not null,
  found_at timestamptz not null default now(),
  primary key (run_id, table_name, row_key)
);

call tidemark.keep_to_server(array['move_history', 'move_waiting', 'move_checks', 'move_differences'], array['tidemark_app']);

-- Stands before every statement on a moved table while Postgres is not the one that takes writes. The SQLSTATE is ours, so that a
-- program can tell "not here, not now" from a mistake of its own.
create function tidemark.refuse_write() returns trigger
language plpgsql security invoker
set search_path = pg_catalog
as $$
begin
  if tidemark.is_move_apply() then
    return null;
  end if;
  raise exception 'tidemark: % takes no writes: its rows live in the SQLite file %', tg_relid::regclass, coalesce(tg_argv[0], '')
    using errcode = 'TM001', hint = 'Postgres takes them after the cutover and until a rollback; `tidemark move status` tells the state.';
end $$;
grant execute on function tidemark.refuse_write() to public;
