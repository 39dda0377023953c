import type { BootstrapStep } from './bootstrap-steps.js'
import { quoteIdentifier as id } from './sql-errors.js'

/** The comment that tells our tables from those of another system's Auth. */
export const authTablesMark = 'tidemark'

/** Tables of the schema `auth`, with the names that they have on Supabase: projects reference them, and put triggers on them. */
const tables = `
  create type auth.aal_level as enum ('aal1', 'aal2', 'aal3');
  create type auth.code_challenge_method as enum ('s256', 'plain');
  create type auth.one_time_token_type as enum (
    'confirmation_token', 'reauthentication_token', 'recovery_token',
    'email_change_token_new', 'email_change_token_current', 'phone_change_token');

  create table auth.users (
    instance_id uuid,
    id uuid primary key,
    aud varchar(255),
    role varchar(255),
    email varchar(255),
    encrypted_password varchar(255),
    email_confirmed_at timestamptz,
    invited_at timestamptz,
    confirmation_token varchar(255),
    confirmation_sent_at timestamptz,
    recovery_token varchar(255),
    recovery_sent_at timestamptz,
    email_change_token_new varchar(255),
    email_change varchar(255),
    email_change_sent_at timestamptz,
    last_sign_in_at timestamptz,
    raw_app_meta_data jsonb,
    raw_user_meta_data jsonb,
    is_super_admin boolean,
    created_at timestamptz,
    updated_at timestamptz,
    phone text unique default null,
    phone_confirmed_at timestamptz,
    phone_change text default '',
    phone_change_token varchar(255) default '',
    phone_change_sent_at timestamptz,
    confirmed_at timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
    email_change_token_current varchar(255) default '',
    email_change_confirm_status smallint default 0 check (email_change_confirm_status between 0 and 2),
    banned_until timestamptz,
    reauthentication_token varchar(255) default '',
    reauthentication_sent_at timestamptz,
    is_sso_user boolean not null default false,
    deleted_at timestamptz,
    is_anonymous boolean not null default false
  );
  create unique index users_email_partial_key on auth.users (email) where is_sso_user = false;
  create index users_instance_id_idx on auth.users (instance_id);
  create index users_instance_id_email_idx on auth.users (instance_id, lower(email));
  create index users_is_anonymous_idx on auth.users (is_anonymous);
  create index users_created_at_idx on auth.users (created_at desc, id);

  create table auth.identities (
    provider_id text not null,
    user_id uuid not null references auth.users (id) on delete cascade,
    identity_data jsonb not null,
    provider text not null,
    last_sign_in_at timestamptz,
    created_at timestamptz,
    updated_at timestamptz,
    email text generated always as (lower(identity_data ->> 'email')) stored,
    id uuid primary key default gen_random_uuid(),
    constraint identities_provider_id_provider_unique unique (provider_id, provider)
  );
  create index identities_user_id_idx on auth.identities (user_id);
  create index identities_email_idx on auth.identities (email text_pattern_ops);

  create table auth.sessions (
    id uuid primary key,
    user_id uuid not null references auth.users (id) on delete cascade,
    created_at timestamptz,
    updated_at timestamptz,
    factor_id uuid,
    aal auth.aal_level,
    not_after timestamptz,
    refreshed_at timestamp,
    user_agent text,
    ip inet,
    tag text
  );
  create index sessions_user_id_idx on auth.sessions (user_id);
  create index sessions_not_after_idx on auth.sessions (not_after desc);
  create index user_id_created_at_idx on auth.sessions (user_id, created_at);

  create table auth.refresh_tokens (
    instance_id uuid,
    id bigserial primary key,
    -- Here and in parent: the SHA-256 of the token.
    token varchar(255) unique,
    user_id varchar(255),
    revoked boolean,
    created_at timestamptz,
    updated_at timestamptz,
    parent varchar(255),
    session_id uuid references auth.sessions (id) on delete cascade,
    -- The token that took its place, readable only with this one in hand: for a client that lost the answer.
    successor bytea
  );
  create index refresh_tokens_instance_id_user_id_idx on auth.refresh_tokens (instance_id, user_id);
  create index refresh_tokens_parent_idx on auth.refresh_tokens (parent);
  create index refresh_tokens_session_id_revoked_idx on auth.refresh_tokens (session_id, revoked);
  create index refresh_tokens_updated_at_idx on auth.refresh_tokens (updated_at desc);

  create table auth.mfa_amr_claims (
    session_id uuid not null references auth.sessions (id) on delete cascade,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    authentication_method text not null,
    id uuid primary key,
    constraint mfa_amr_claims_session_id_authentication_method_pkey unique (session_id, authentication_method)
  );

  create table auth.one_time_tokens (
    id uuid primary key,
    user_id uuid not null references auth.users (id) on delete cascade,
    token_type auth.one_time_token_type not null,
    token_hash text not null check (char_length(token_hash) > 0),
    relates_to text not null,
    created_at timestamp not null default now(),
    updated_at timestamp not null default now()
  );
  create unique index one_time_tokens_user_id_token_type_key on auth.one_time_tokens (user_id, token_type);
  create index one_time_tokens_token_hash_hash_idx on auth.one_time_tokens using hash (token_hash);
  create index one_time_tokens_relates_to_hash_idx on auth.one_time_tokens using hash (relates_to);

  create table auth.flow_state (
    id uuid primary key,
    user_id uuid,
    -- The SHA-256 of the code.
    auth_code text not null,
    code_challenge_method auth.code_challenge_method not null,
    code_challenge text not null,
    provider_type text not null,
    provider_access_token text,
    provider_refresh_token text,
    created_at timestamptz,
    updated_at timestamptz,
    authentication_method text not null,
    auth_code_issued_at timestamptz
  );
  create index idx_auth_code on auth.flow_state (auth_code);
  create index idx_user_id_auth_method on auth.flow_state (user_id, authentication_method);
  create index flow_state_created_at_idx on auth.flow_state (created_at desc);

  create table auth.audit_log_entries (
    instance_id uuid,
    id uuid primary key,
    payload json,
    created_at timestamptz,
    ip_address varchar(64) not null default ''
  );
  create index audit_logs_instance_id_idx on auth.audit_log_entries (instance_id);
  create index audit_log_entries_created_at_idx on auth.audit_log_entries (created_at desc);

  comment on table auth.users is '${authTablesMark}';`

/** Row security with a policy for the migrator alone keeps a grant that is given by mistake from showing rows. */
const closeTable = (owner: string, migrator: string): string => `
  execute format('alter table %s enable row level security', relation);
  execute format('revoke all on table %s from public', relation);
  ${
    migrator === owner
      ? ''
      : `execute format('grant select, insert, update, delete, references, trigger on table %s to ${id(migrator)}', relation);
  execute format('drop policy if exists migrator on %s', relation);
  execute format('create policy migrator on %s to ${id(migrator)} using (true) with check (true)', relation);`
  }`

/**
 * Makes the tables where there are none, and gives them to `owner`. Besides it only the migrator may use them: reference them, put
 * triggers on them, fill them, as the role `postgres` may on Supabase.
 */
export const authTablesStep = (owner: string, migrator: string, admin: string): BootstrapStep => {
  const handOver = (what: string): string =>
    owner === admin ? '' : `execute format('alter ${what} %s owner to ${id(owner)}', ${what === 'type' ? 'kind' : 'relation'});`
  return {
    what: 'the tables of the schema auth',
    consequence: '/auth/v1 is not served, and migrations that reference auth.users fail',
    sql: `do $tables$
      declare
        relation regclass;
        kind regtype;
      begin
        if to_regclass('auth.users') is null then
          ${tables}
        end if;
        if obj_description('auth.users'::regclass, 'pg_class') is distinct from '${authTablesMark}' then return; end if;
        grant usage, create on schema auth to ${id(owner)};
        for relation in
          select oid::regclass from pg_class
           where relnamespace = 'auth'::regnamespace and relkind = 'r' and pg_get_userbyid(relowner) = current_user
        loop
          ${closeTable(owner, migrator)}
          ${handOver('table')}
        end loop;
        for kind in
          select oid::regtype from pg_type
           where typnamespace = 'auth'::regnamespace and typtype = 'e' and pg_get_userbyid(typowner) = current_user
        loop
          ${handOver('type')}
          null;
        end loop;
        -- To own its tables a role must have been able to make them; it need not be able to make more.
        ${owner === admin ? '' : `revoke create on schema auth from ${id(owner)};`}
      end $tables$`,
  }
}
