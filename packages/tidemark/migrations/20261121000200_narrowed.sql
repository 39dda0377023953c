-- Values of Postgres that the file holds less finely since the cutover: counted by column, with the first as an example.

create table tidemark.move_narrowed (
  run_id uuid not null references tidemark.move_runs (id) on delete cascade,
  table_name text not null,
  column_name text not null,
  -- At least: what a crash has written again is counted again.
  count bigint not null check (count > 0),
  row_key text not null,
  -- What Postgres holds in that row, and what became of it.
  target text,
  reason text not null,
  noted_at timestamptz not null default now(),
  primary key (run_id, table_name, column_name)
);

call tidemark.keep_to_server(array['move_narrowed'], array['tidemark_app']);
