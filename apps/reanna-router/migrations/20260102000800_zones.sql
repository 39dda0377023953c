-- A zone that Postgres does not know would be noticed only where days are asked for, by everybody who asks; and an abbreviation is another zone
-- to others (ACT is Darwin to some, and Acre here). So neither is kept, whoever writes.
create function reanna.guard_zone() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if new.time_zone !~ '^[+-]|/' and new.time_zone not in ('UTC', 'GMT') then
    raise exception 'a zone is named as IANA does, or is an offset' using errcode = '22023', table = tg_table_name, schema = tg_table_schema;
  end if;
  perform reanna.zone_offset(new.time_zone, now());
  return new;
end $$;
create trigger tours_zone before insert or update of time_zone on public.tours
  for each row execute function reanna.guard_zone();

do $$
begin
  execute format('revoke all on function reanna.guard_zone() from %s', concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role'))));
end $$;
