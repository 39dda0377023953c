-- What policies and triggers of the apps share. Not in an exposed schema, so none of it is callable over REST.

-- The caller's subject as text: older systems have subjects that are no uuids, and auth.uid() raises on those.
create function tidemark.subject() returns text
language sql stable
set search_path = pg_catalog
as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub' $$;

-- app_metadata is written by the server alone; user_metadata by the user, so it decides nothing.
create function tidemark.is_admin() returns boolean
language sql stable
set search_path = pg_catalog
as $$ select coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb -> 'app_metadata' ->> 'role' = 'admin', false) $$;

-- Rows that a move applies keep the time they came with.
create function tidemark.set_updated_at() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
  if not tidemark.is_move_apply() then
    new.updated_at := now();
  end if;
  return new;
end $$;

grant execute on function tidemark.subject(), tidemark.is_admin(), tidemark.set_updated_at() to public;

-- Refuses an UPDATE that moves a row from one state to another that does not follow it. Takes the column's name, and a JSON
-- object of the states that may follow each: create trigger … execute function tidemark.guard_states('status', '{"a": ["b"]}').
-- PT409 is answered over REST as 409. Rows that a move applies pass: they are history, not requests.
create function tidemark.guard_states() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
declare
  before text := to_jsonb(old) ->> tg_argv[0];
  after text := to_jsonb(new) ->> tg_argv[0];
begin
  if after is distinct from before
     and not coalesce(tg_argv[1]::jsonb -> before ? after, false)
     and not tidemark.is_move_apply() then
    raise exception '%.% cannot go from % to %', tg_table_name, tg_argv[0], before, after
      using errcode = 'PT409', table = tg_table_name, schema = tg_table_schema, column = tg_argv[0],
            hint = format('From %s it may go to: %s.', before,
              coalesce((select string_agg(value, ', ') from jsonb_array_elements_text(tg_argv[1]::jsonb -> before)), 'nothing'));
  end if;
  return new;
end $$;
grant execute on function tidemark.guard_states() to public;
