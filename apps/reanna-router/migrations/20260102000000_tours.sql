-- A tour is one agent's day: stops (property visits), what is to be done at each (tasks), and what was heard there (feedback).

create table public.tours (
  id uuid primary key default gen_random_uuid(),
  -- Equals the subject of the agent's token; older ones are no uuids.
  agent_id text not null check (agent_id <> ''),
  start_time timestamptz not null,
  end_time timestamptz not null,
  status text not null check (status in ('scheduled', 'in_progress', 'completed', 'cancelled')),
  -- The optimiser's result, or its error.
  route_data jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  crm_sync_status text not null default 'not_synced' check (crm_sync_status in ('not_synced', 'pending', 'synced', 'failed')),
  crm_sync_timestamp timestamptz,
  crm_sync_error text,
  constraint tours_end_after_start check (end_time > start_time)
);

create table public.property_visits (
  id uuid primary key default gen_random_uuid(),
  tour_id uuid not null references public.tours (id) on delete cascade,
  address text not null check (address <> ''),
  property_id text,
  scheduled_arrival timestamptz not null,
  scheduled_departure timestamptz not null,
  actual_arrival timestamptz,
  actual_departure timestamptz,
  status text not null check (status in ('scheduled', 'arrived', 'completed', 'skipped', 'cancelled')),
  sellside_agent_id text,
  sellside_agent_name text,
  -- The five that the SQLite file has besides.
  contact_method text,
  confirmation_status text,
  constraint_indicator text,
  square_footage integer check (square_footage >= 0),
  video_url text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint property_visits_scheduled_order check (scheduled_departure >= scheduled_arrival),
  constraint property_visits_actual_order check (actual_departure >= actual_arrival)
);

create table public.tasks (
  id uuid primary key default gen_random_uuid(),
  visit_id uuid not null references public.property_visits (id) on delete cascade,
  task_type text not null
    check (task_type in ('property_tour', 'feedback_collection', 'listing_agent_notification', 'buyer_followup')),
  status text not null check (status in ('scheduled', 'in_progress', 'completed', 'failed', 'cancelled')),
  scheduled_time timestamptz not null,
  completed_time timestamptz,
  shipment_id text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table public.feedback (
  id uuid primary key default gen_random_uuid(),
  task_id uuid not null references public.tasks (id) on delete cascade,
  raw_feedback text not null,
  processed_feedback text,
  feedback_source text not null check (feedback_source in ('sms', 'voice', 'app', 'email', 'manual', 'crm')),
  timestamp timestamptz not null default now(),
  sent_to_agent boolean not null default false,
  notification_attempts integer not null default 0 check (notification_attempts >= 0),
  last_notification_attempt timestamptz,
  notification_error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index idx_tours_agent_id on public.tours (agent_id);
create index idx_tours_status on public.tours (status);
create index idx_tours_date_range on public.tours (start_time, end_time);
create index idx_tours_crm_sync_status on public.tours (crm_sync_status);
create index idx_property_visits_tour_id on public.property_visits (tour_id);
create index idx_property_visits_status on public.property_visits (status);
create index idx_property_visits_scheduled_time on public.property_visits (scheduled_arrival);
create index idx_tasks_visit_id on public.tasks (visit_id);
create index idx_tasks_status on public.tasks (status);
create index idx_tasks_type on public.tasks (task_type);
create index idx_feedback_task_id on public.feedback (task_id);
create index idx_feedback_sent_status on public.feedback (sent_to_agent);
-- The next stop of a tour is asked for all day long.
create index idx_property_visits_next on public.property_visits (tour_id, scheduled_arrival) where status = 'scheduled';

-- Closed from the first moment on: where new tables are granted to everybody by default, as in a Supabase project, they would stand open
-- until the policies come.
alter table public.tours enable row level security;
alter table public.property_visits enable row level security;
alter table public.tasks enable row level security;
alter table public.feedback enable row level security;
