import type { BootstrapStep, Owners } from './bootstrap-steps.js'
import { quoteIdentifier as id } from './sql-errors.js'

/** The comment that tells our schema `realtime` from Supabase's, or from one that a project happens to have. */
const mark = 'tidemark'

/**
 * With the names and types that they have on Supabase: projects write policies on the table, and call the functions from triggers. Times
 * are UTC, which is what the server's time zone is there.
 */
const messagesSql = `
  create schema realtime;
  comment on schema realtime is '${mark}';
  create table realtime.messages (
    topic text not null,
    extension text not null,
    payload jsonb,
    event text,
    private boolean default false,
    updated_at timestamp not null default (now() at time zone 'utc'),
    inserted_at timestamp not null default (now() at time zone 'utc'),
    id uuid not null default gen_random_uuid(),
    binary_payload bytea,
    constraint messages_pkey primary key (id, inserted_at)
  ) partition by range (inserted_at);
  create index messages_inserted_at_topic_index on realtime.messages (inserted_at desc, topic)
    where extension = 'broadcast' and private is true;
  alter table realtime.messages enable row level security;`

/** Whether a message reaches anybody is never a reason for a write of the application to fail, as on Supabase. */
const insertMessage = (columns: string, values: string): string => `
  begin
    perform set_config('realtime.topic', topic, true);
    insert into realtime.messages (${columns}, event, topic, private, extension) values (${values}, event, topic, private, 'broadcast');
  exception when others then
    raise warning 'ErrorSendingBroadcastMessage: %', sqlerrm;
  end;`

const functionsSql = `
  create or replace function realtime.topic() returns text language sql stable as $f$
    select nullif(current_setting('realtime.topic', true), '')::text $f$;

  create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true)
  returns void language plpgsql as $f$
    #variable_conflict use_variable
    declare
      message_id uuid := gen_random_uuid();
      told jsonb := case when jsonb_typeof(payload) = 'object' and not payload ? 'id'
                         then payload || jsonb_build_object('id', message_id) else payload end;
    begin
      ${insertMessage('id, payload', 'message_id, told')}
    end $f$;

  create or replace function realtime.send_binary(payload bytea, event text, topic text, private boolean default true)
  returns void language plpgsql as $f$
    #variable_conflict use_variable
    begin
      ${insertMessage('binary_payload', 'payload')}
    end $f$;

  create or replace function realtime.broadcast_changes(
    topic_name text, event_name text, operation text, table_name text, table_schema text, new record, old record, level text default 'ROW')
  returns void language plpgsql as $f$
    begin
      if level = 'STATEMENT' then
        raise exception 'realtime.broadcast_changes is called for each row, and not for each statement';
      end if;
      if operation is null or operation not in ('INSERT', 'UPDATE', 'DELETE') then
        raise exception 'realtime.broadcast_changes tells of INSERT, UPDATE and DELETE, and not of %', operation;
      end if;
      perform realtime.send(
        jsonb_build_object('schema', table_schema, 'table', table_name, 'operation', operation, 'record', new, 'old_record', old),
        event_name, topic_name);
    end $f$;
  grant execute on function realtime.topic(), realtime.send(jsonb, text, text, boolean), realtime.send_binary(bytea, text, text, boolean),
    realtime.broadcast_changes(text, text, text, text, text, record, record, text) to public;`

/** One partition for each day, made a week ahead and dropped three days after. Two nodes may do it at once. */
const keepSql = (others: string): string => `
  create or replace function tidemark.keep_realtime_messages() returns void language plpgsql set search_path = '' set lock_timeout = '5s' as $f$
    declare
      today date := (now() at time zone 'utc')::date;
      day date;
      partition text;
    begin
      perform pg_advisory_xact_lock(hashtextextended('tidemark realtime.messages', 0));
      for day in select today + n from generate_series(0, 7) n loop
        partition := 'messages_' || to_char(day, 'YYYY_MM_DD');
        if to_regclass(format('realtime.%I', partition)) is null then
          execute format('create table realtime.%I partition of realtime.messages for values from (%L) to (%L)', partition, day, day + 1);
          execute format('alter table realtime.%I enable row level security', partition);
        end if;
      end loop;
      for partition in
        select c.relname from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'realtime.messages'::regclass and c.relname ~ '^messages_\\d{4}_\\d\\d_\\d\\d$'
           and to_date(right(c.relname, 10), 'YYYY_MM_DD') < today - 3
      loop
        execute format('drop table realtime.%I', partition);
      end loop;
    end $f$;
  revoke execute on function tidemark.keep_realtime_messages() from public, ${others};
  perform tidemark.keep_realtime_messages();`

/**
 * A row that the caller's policies are tried on, written by whoever owns the table. The transaction that asks for it is rolled back. It has
 * no event, so that it would not be told even so.
 */
const probeSql = (callers: string, others: string): string => `
  create or replace function tidemark.probe_channel(channel text, broadcast uuid, presence uuid)
  returns void language sql security definer set search_path = '' as $f$
    insert into realtime.messages (id, topic, extension, private)
    values (broadcast, channel, 'broadcast', true), (presence, channel, 'presence', true) $f$;
  revoke execute on function tidemark.probe_channel(text, uuid, uuid) from public, ${others};
  grant execute on function tidemark.probe_channel(text, uuid, uuid) to ${callers};`

/** The schema `realtime`, where there is none: the migrator's, so that the project's migrations can write policies on its table. */
export const realtimeStep = ({ migrator, authenticator, app, admin }: Owners): BootstrapStep => {
  // The migrator's default privileges give functions to the server and to service_role.
  const others = ['anon', 'authenticated', 'service_role', ...(app === migrator ? [] : [app])].map(id).join(', ')
  return {
    what: 'the schema realtime with realtime.messages, realtime.topic(), realtime.send() and realtime.broadcast_changes()',
    consequence: 'there are no private channels and no broadcast from the database, and migrations that use them fail',
    sql: `${migrator === admin ? '' : `set local role ${id(migrator)};`}
    do $realtime$
    begin
      if to_regnamespace('realtime') is null then
        ${messagesSql}
      end if;
      if obj_description(to_regnamespace('realtime')::oid, 'pg_namespace') is distinct from '${mark}' then return; end if;
      ${functionsSql}
      grant usage on schema realtime to anon, authenticated, service_role, ${[...new Set([app, authenticator])].map(id).join(', ')};
      revoke all on table realtime.messages from public;
      grant select, insert, update on table realtime.messages to anon, authenticated, service_role;
      grant select, insert, delete on table realtime.messages to ${id(app)};
      ${keepSql(others)}
      ${probeSql([...new Set([authenticator, admin])].map(id).join(', '), others)}
    end $realtime$;
    ${migrator === admin ? '' : 'reset role'}`,
  }
}
