-- A replay of one event may carry another body than the one that came. That stays as it is in webhook_events; what was run instead stays
-- here, with who wrote it.

alter table tidemark.webhook_replays
  add column event_id uuid,
  add column body bytea,
  add constraint webhook_replays_edit check ((event_id is null) = (body is null));

create index webhook_replays_edits on tidemark.webhook_replays (event_id, created_at) where event_id is not null;

-- Who has an event removed means what was made of it, too.
create function tidemark.drop_webhook_edits() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  delete from tidemark.webhook_replays where event_id = old.id;
  return null;
end $$;
revoke all on function tidemark.drop_webhook_edits() from public;

create trigger webhook_events_edits after delete on public.webhook_events
  for each row when (old.replay_id is not null) execute function tidemark.drop_webhook_edits();
