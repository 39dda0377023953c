-- Leads, the agents who look after them, what is to be said to them and by whose leave (approvals), and what happened (events).

-- Times by which pages go on have no more digits than a JavaScript Date.

create schema re_engine;
revoke all on schema re_engine from public;

-- People. What programs are called agents elsewhere are other tables.
create table public.agents (
  id uuid primary key default gen_random_uuid(),
  -- Equals the subject of the agent's token, and tours.agent_id where that is the same person.
  external_id text unique check (external_id <> ''),
  name varchar(200) not null check (btrim(name) <> ''),
  email varchar(255) not null,
  phone varchar(20) check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  license_number varchar(50),
  brokerage varchar(200),
  specialties text[] not null default '{}',
  -- An IANA name: the hours in which leads are left in peace are the agent's.
  timezone text not null default 'UTC' check (timezone ~ '^[A-Za-z][A-Za-z0-9_+/-]*$'),
  max_active_leads integer not null default 50 check (max_active_leads > 0),
  status varchar(20) not null default 'active' check (status in ('active', 'inactive', 'on_leave')),
  metadata jsonb not null default '{}',
  last_activity_at timestamptz,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz not null default now(),
  constraint agents_email_lower check (email = lower(email))
);
create unique index uq_agents_email on public.agents (email);
create index idx_agents_status on public.agents (status);

create table public.leads (
  id uuid primary key default gen_random_uuid(),
  first_name varchar(100) not null,
  last_name varchar(100) not null,
  email varchar(255) unique,
  phone varchar(20),
  property_address text,
  city varchar(100),
  province varchar(50),
  postal_code varchar(10),
  property_type varchar(50),
  price_range varchar(50),
  timeline varchar(50),
  source varchar(100),
  status varchar(20) not null default 'new'
    check (status in ('new', 'contacted', 'qualified', 'nurturing', 'converted', 'lost', 'closed')),
  -- Why it went where it is; what goes back has one.
  status_reason text,
  status_changed_at timestamptz not null default now(),
  -- Null again where it went back.
  converted_at timestamptz,
  assigned_agent uuid references public.agents (id) on delete set null,
  metadata jsonb not null default '{}',
  -- Apart from the pipeline: whether anything may be said to them at all.
  do_not_contact boolean not null default false,
  contact_block_reason text check (contact_block_reason in ('dnc', 'bounced', 'unsubscribed')),
  last_contacted_at timestamptz,
  -- Goes up with every change: whoever shows a row keeps the highest.
  version integer not null default 1,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz not null default now(),
  -- Lower case alone is kept, so that UNIQUE means what it says.
  constraint leads_email_lower check (email = lower(email)),
  constraint leads_phone_e164 check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  constraint leads_block check (do_not_contact = (contact_block_reason is not null))
);
-- Updates are told with the row before, to lists that it leaves as well.
alter table public.leads replica identity full;

create index idx_leads_status on public.leads (status);
create index idx_leads_assigned_agent on public.leads (assigned_agent);
create index idx_leads_created_at on public.leads (created_at, id);
-- Documented; UNIQUE has an index of its own.
create index idx_leads_email on public.leads (email) where email is not null;
create index idx_leads_metadata_gin on public.leads using gin (metadata);
create unique index uq_leads_phone on public.leads (phone) where phone is not null;
-- For the search of lists. No column of its own: one that is generated is in no log, and a row that is told whole needs all of its columns there.
create function re_engine.search_of(lead public.leads) returns tsvector
language sql immutable parallel safe
set search_path = pg_catalog
as $$
  select to_tsvector('simple', concat_ws(' ', lead.first_name, lead.last_name, lead.email, lead.phone, lead.property_address, lead.city))
$$;
create index leads_search on public.leads using gin (re_engine.search_of(leads));
-- How much an agent has at hand.
create index leads_open on public.leads (assigned_agent) where status in ('new', 'contacted', 'qualified', 'nurturing');

-- One thing: who is written to, and what. Each part with its length, so that no two read alike.
create function re_engine.content_hash(channel text, recipient text, subject text, body text) returns text
language sql immutable parallel safe
set search_path = pg_catalog
as $$
  select encode(sha256(convert_to(format('%s;%s:%s;%s:%s;%s', channel, octet_length(recipient), recipient,
    octet_length(coalesce(subject, '')), coalesce(subject, ''), body), 'UTF8')), 'hex')
$$;

create table public.approvals (
  id uuid primary key default gen_random_uuid(),
  lead_id uuid not null references public.leads (id) on delete cascade,
  agent_id uuid references public.agents (id) on delete set null,
  channel varchar(20) not null check (channel in ('email', 'sms', 'whatsapp', 'telegram', 'linkedin', 'facebook', 'phone')),
  action_type varchar(20) not null default 'send' check (action_type in ('send', 'reply', 'forward')),
  draft_to text not null,
  draft_subject text check (length(draft_subject) <= 300),
  draft_text text not null check (length(btrim(draft_text)) between 1 and 10000),
  -- Of the four before; a trigger writes it, and nobody else.
  content_hash text not null default '',
  -- What was approved: nothing else goes out.
  approved_hash text,
  status varchar(20) not null default 'draft'
    check (status in ('draft', 'pending', 'approved', 'rejected', 'sending', 'sent', 'failed', 'cancelled', 'expired')),
  ai_score double precision check (ai_score between 0 and 1),
  created_by text not null default '',
  -- Whose words they are where somebody changed them.
  edited_by text,
  submitted_at timestamptz,
  approved_by text,
  approved_at timestamptz,
  rejected_by text,
  rejected_at timestamptz,
  rejection_reason text check (length(btrim(rejection_reason)) between 1 and 1000),
  -- Somebody asked for it to go out.
  send_requested_at timestamptz,
  sent_at timestamptz,
  provider_message_id text,
  -- By which a provider knows a message that comes twice: the same for as long as the words are.
  idempotency_key text not null unique default gen_random_uuid()::text,
  retry_count integer not null default 0 check (retry_count >= 0),
  max_retries integer not null default 5 check (max_retries between 0 and 20),
  next_retry_at timestamptz,
  -- Whoever sends it has until then.
  claimed_until timestamptz,
  last_error text,
  expires_at timestamptz,
  metadata jsonb not null default '{}',
  version integer not null default 1,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz not null default now(),
  constraint approvals_address check (case
    when channel = 'email' then draft_to ~ '^[^@\s]+@[^@\s]+\.[^@\s]+$'
    when channel in ('sms', 'whatsapp', 'phone') then draft_to ~ '^\+[1-9][0-9]{6,14}$'
    else btrim(draft_to) <> '' end),
  constraint approvals_approved_by check (status not in ('approved', 'sending', 'sent')
    or (approved_by is not null and approved_at is not null and approved_hash is not null and approved_hash = content_hash)),
  constraint approvals_rejected check (status <> 'rejected' or (rejected_by is not null and rejected_at is not null and rejection_reason is not null)),
  constraint approvals_sent check (status <> 'sent' or sent_at is not null)
);
create index idx_approvals_status on public.approvals (status, created_at);
create index idx_approvals_lead_id on public.approvals (lead_id);
create index idx_approvals_retry on public.approvals (next_retry_at) where status = 'failed';
create index approvals_agent on public.approvals (agent_id, status);
create index approvals_waiting on public.approvals (send_requested_at) where status in ('approved', 'sending', 'failed');
create index approvals_expiring on public.approvals (expires_at) where status in ('draft', 'pending', 'approved');

-- In the order in which they are made, also within a millisecond: a time, a number that goes up, and chance.
create sequence re_engine.event_number;
create function re_engine.event_id() returns uuid
language sql volatile security definer
set search_path = pg_catalog
as $$
  select (lpad(to_hex(floor(extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || substr(n, 1, 3) || '8' || substr(n, 4, 4)
          || right(replace(gen_random_uuid()::text, '-', ''), 11))::uuid
    from (select lpad(to_hex(nextval('re_engine.event_number') % 268435456), 7, '0') as n) number
$$;

-- The communication history. Only added to; what an outside system tells twice counts once.
create table public.events (
  id uuid primary key default re_engine.event_id(),
  lead_id uuid references public.leads (id) on delete cascade,
  agent_id uuid references public.agents (id) on delete set null,
  approval_id uuid references public.approvals (id) on delete set null,
  event_type varchar(50) not null check (event_type in ('lead_created', 'status_changed', 'assigned', 'contact_blocked', 'contact_allowed',
    'draft_created', 'edited', 'submitted', 'approved', 'rejected', 'cancelled', 'expired', 'sent', 'send_failed',
    'message_received', 'bounced', 'call_logged', 'note')),
  channel varchar(20),
  direction varchar(8) not null default 'internal' check (direction in ('inbound', 'outbound', 'internal')),
  source varchar(100) not null default 'system' check (source <> ''),
  content text check (length(content) <= 10000),
  data jsonb not null default '{}',
  -- Of the outside system that told it.
  external_id text check (external_id <> ''),
  actor text,
  occurred_at timestamptz(3) not null default clock_timestamp(),
  created_at timestamptz(3) not null default now()
);
create index idx_events_lead_time on public.events (lead_id, occurred_at desc, id desc);
create index idx_events_agent_time on public.events (agent_id, occurred_at desc);
create index idx_events_type_time on public.events (event_type, occurred_at desc);
create index events_approval on public.events (approval_id) where approval_id is not null;
create unique index uq_events_external on public.events (source, external_id) where external_id is not null;

-- Whose turn it is. A turn that is not taken in the end is nobody's loss.
create sequence re_engine.turn;

-- What the house decides, the same for all processes. One row.
create table re_engine.settings (
  one boolean primary key default true check (one),
  -- Whether who wrote something may approve it.
  allow_self_approval boolean not null default false,
  -- No message goes to a phone between these hours, by the clock of the lead's agent. Both null: at any hour.
  quiet_from time default '21:00',
  quiet_until time default '08:00',
  updated_at timestamptz not null default now(),
  constraint settings_quiet check ((quiet_from is null) = (quiet_until is null))
);
insert into re_engine.settings default values;

-- Closed from the first moment on: where new tables are granted to everybody by default, as in a Supabase project, they would stand open
-- until the policies come.
alter table public.agents enable row level security;
alter table public.leads enable row level security;
alter table public.approvals enable row level security;
alter table public.events enable row level security;
alter table re_engine.settings enable row level security;
