-- What a durable relay has still to send, and what it has sent lately: a change that is published in two ways is told once.

create table tidemark.relay_outbox (
  id bigint generated always as identity primary key,
  relay text not null,
  -- Of the change: its position and its place in the transaction, or what the rule says instead.
  event_id text not null,
  channel text not null,
  event text not null,
  -- As it was given: jsonb refuses some of what json holds.
  data json not null,
  committed_at timestamptz,
  sent_at timestamptz,
  constraint relay_outbox_once unique (relay, channel, event, event_id)
);
create index relay_outbox_waiting on tidemark.relay_outbox (relay, id) where sent_at is null;
create index relay_outbox_sent on tidemark.relay_outbox (relay, sent_at) where sent_at is not null;

-- One process sends at a time, so that the order is kept.
create table tidemark.relay_leases (
  relay text primary key,
  holder text not null,
  expires_at timestamptz not null
);

call tidemark.keep_to_server(array['relay_outbox', 'relay_leases'], array['tidemark_app']);

do $$
begin
  execute format('revoke all on sequence tidemark.relay_outbox_id_seq from %s', concat_ws(', ', 'public',
    (select string_agg(quote_ident(rolname), ', ') from pg_roles where rolname in ('anon', 'authenticated', 'service_role'))));
end $$;
