-- Agents that are programs, what they were asked to do, how well they did it, and how the whole is.

create type public.agent_type as enum (
  'content_generator', 'quiz_generator', 'terrain_generator', 'script_generator',
  'code_reviewer', 'roblox_asset', 'roblox_testing', 'roblox_analytics');
create type public.agent_status as enum (
  'initializing', 'idle', 'busy', 'processing', 'waiting', 'error', 'offline', 'maintenance');
create type public.task_status as enum (
  'pending', 'queued', 'running', 'completed', 'failed', 'cancelled', 'retrying');
-- The order of the names is the order of the queue.
create type public.task_priority as enum ('low', 'normal', 'high', 'urgent', 'critical');

create table public.agent_instances (
  id uuid primary key default gen_random_uuid(),
  agent_id text not null unique check (length(agent_id) between 1 and 128),
  agent_type public.agent_type not null,
  status public.agent_status not null default 'initializing',
  -- What it was before, since the version at which it changed: an update that leaves the state alone tells nobody of one.
  previous_status public.agent_status,
  status_version integer not null default 1,
  status_reason text check (length(status_reason) <= 1000),
  configuration jsonb not null default '{}' check (jsonb_typeof(configuration) = 'object' and octet_length(configuration::text) <= 65536),
  resource_limits jsonb not null default '{}' check (jsonb_typeof(resource_limits) = 'object' and octet_length(resource_limits::text) <= 65536),
  performance_thresholds jsonb not null default '{}'
    check (jsonb_typeof(performance_thresholds) = 'object' and octet_length(performance_thresholds::text) <= 65536),
  current_task_id text,
  last_activity timestamptz not null default now(),
  last_heartbeat timestamptz not null default now(),
  total_tasks_completed integer not null default 0 check (total_tasks_completed >= 0),
  total_tasks_failed integer not null default 0 check (total_tasks_failed >= 0),
  -- Goes up with every change but a heartbeat.
  version integer not null default 1,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz not null default now()
);
-- An agent that goes is named by its agent_id, not by its key, and is small: the log tells all of it.
alter table public.agent_instances replica identity full;
create index idx_agent_instances_type_status on public.agent_instances (agent_type, status);
-- Who may have fallen silent.
create index idx_agent_instances_heartbeat on public.agent_instances (last_heartbeat) where status <> 'offline';

create table public.agent_executions (
  id uuid primary key default gen_random_uuid(),
  task_id text not null unique check (length(task_id) between 1 and 128),
  -- Whom it is given to, or who has it. What was done outlives who did it.
  agent_instance_id uuid references public.agent_instances (id) on delete set null,
  agent_type public.agent_type not null,
  task_type text not null check (length(task_type) between 1 and 128),
  priority public.task_priority not null default 'normal',
  input_data jsonb not null default '{}' check (octet_length(input_data::text) <= 1048576),
  output_data jsonb check (octet_length(output_data::text) <= 4194304),
  status public.task_status not null default 'pending',
  previous_status public.task_status,
  status_version integer not null default 1,
  error_message text check (length(error_message) <= 4000),
  quality_score double precision check (quality_score >= 0 and quality_score <= 1),
  execution_time_seconds double precision check (execution_time_seconds >= 0),
  retry_count integer not null default 0,
  max_retries integer not null default 3 check (max_retries between 0 and 100),
  next_retry_at timestamptz,
  -- Whoever runs it is asked to leave off; until then it runs.
  cancel_requested boolean not null default false,
  version integer not null default 1,
  created_at timestamptz(3) not null default now(),
  started_at timestamptz,
  completed_at timestamptz,
  updated_at timestamptz not null default now(),
  user_id uuid,
  session_id text check (length(session_id) <= 256),
  constraint agent_executions_retries check (retry_count between 0 and max_retries),
  constraint agent_executions_ended check ((status in ('completed', 'failed', 'cancelled')) = (completed_at is not null))
);
create index idx_agent_executions_agent_time on public.agent_executions (agent_instance_id, created_at desc, id desc);
create index idx_agent_executions_status_time on public.agent_executions (status, created_at);
create index idx_agent_executions_user on public.agent_executions (user_id, created_at desc, id desc);
create index idx_agent_executions_recent on public.agent_executions (created_at desc, id desc);
-- What the metrics of a window are made of.
create index idx_agent_executions_ended on public.agent_executions (completed_at) where completed_at is not null;
-- The queue of one kind of agent, in its order.
create index idx_agent_executions_queue on public.agent_executions (agent_type, priority desc, created_at, id)
  where status in ('pending', 'queued', 'retrying');

-- One row for each agent and window; written again, it is the same row. By month: the partition key is part of the key (C68).
create table public.agent_metrics (
  id uuid not null default gen_random_uuid(),
  agent_instance_id uuid references public.agent_instances (id) on delete cascade,
  agent_type public.agent_type not null,
  period_start timestamptz not null,
  period_end timestamptz not null,
  tasks_completed integer not null default 0 check (tasks_completed >= 0),
  tasks_failed integer not null default 0 check (tasks_failed >= 0),
  -- Fractions from 0 to 1, as quality is; percent is a matter of display (C64).
  success_rate double precision not null default 0 check (success_rate between 0 and 1),
  -- Seconds.
  average_execution_time double precision not null default 0 check (average_execution_time >= 0),
  average_quality_score double precision not null default 0 check (average_quality_score between 0 and 1),
  version integer not null default 1,
  created_at timestamptz(3) not null default now(),
  primary key (id, period_start),
  constraint agent_metrics_period check (period_end > period_start),
  constraint agent_metrics_once unique nulls not distinct (agent_instance_id, period_start, period_end)
) partition by range (period_start);
create table public.agent_metrics_default partition of public.agent_metrics default;
create index idx_agent_metrics_period on public.agent_metrics (period_start desc, id);

create table public.system_health (
  id uuid primary key default gen_random_uuid(),
  timestamp timestamptz not null default now(),
  component text not null default 'system' check (length(component) between 1 and 64),
  status text not null default 'healthy' check (status in ('healthy', 'degraded', 'unhealthy')),
  period_minutes integer not null default 5 check (period_minutes > 0),
  total_agents integer not null default 0,
  active_agents integer not null default 0,
  idle_agents integer not null default 0,
  busy_agents integer not null default 0,
  error_agents integer not null default 0,
  total_tasks integer not null default 0,
  completed_tasks integer not null default 0,
  failed_tasks integer not null default 0,
  queued_tasks integer not null default 0,
  running_tasks integer not null default 0,
  success_rate double precision not null default 1 check (success_rate between 0 and 1),
  error_rate double precision not null default 0 check (error_rate between 0 and 1),
  response_time_ms double precision,
  p95_response_time_ms double precision,
  realtime_lag_ms double precision,
  pool_utilisation double precision check (pool_utilisation between 0 and 1),
  cache_hit_rate double precision check (cache_hit_rate between 0 and 1),
  active_alerts integer not null default 0,
  details jsonb not null default '{}' check (octet_length(details::text) <= 65536)
);
create index idx_system_health_time on public.system_health (timestamp desc, id);

-- Closed from the first moment on, also where new tables are granted to everybody by default.
alter table public.agent_instances enable row level security;
alter table public.agent_executions enable row level security;
alter table public.agent_metrics enable row level security;
alter table public.agent_metrics_default enable row level security;
alter table public.system_health enable row level security;

-- What is summed up over all agents; a caller's own rights decide what is counted.
create function public.get_agent_health_summary()
returns table (total_agents bigint, healthy_agents bigint, busy_agents bigint, error_agents bigint, success_rate double precision)
language sql stable security invoker
set search_path = pg_catalog
as $$
  select count(*),
         count(*) filter (where a.status in ('idle', 'busy', 'processing', 'waiting')),
         count(*) filter (where a.status in ('busy', 'processing')),
         count(*) filter (where a.status = 'error'),
         (sum(a.total_tasks_completed)::double precision / nullif(sum(a.total_tasks_completed + a.total_tasks_failed), 0))
    from public.agent_instances a
$$;
