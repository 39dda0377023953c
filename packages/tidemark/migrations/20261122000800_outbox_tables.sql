-- The tables that a reader has followed, by name, with the ids that they had: one that was replaced while nobody read had changes that nobody caught.
alter table tidemark.feed_outbox_readers add column tables jsonb not null default '{}';
