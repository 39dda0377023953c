-- What holds whoever writes: states follow each other, versions go up, a task's end counts once for its agent.
--
--   agent   initializing → idle ⇄ busy, processing, waiting · any → error, offline · error → initializing, idle, maintenance
--           offline → initializing, maintenance · maintenance → initializing, idle
--   task    pending → queued → running → completed, failed, cancelled, or retrying → queued, running …; the ends are final
--
-- Triggers of one time run in the order of their names: 1 decides whether it may be, 2 writes down what follows from it.

create trigger agent_instances_1_states before update of status on public.agent_instances
  for each row execute function tidemark.guard_states('status', '{
    "initializing": ["idle", "error", "offline", "maintenance"],
    "idle": ["busy", "processing", "waiting", "error", "offline", "maintenance"],
    "busy": ["processing", "waiting", "idle", "error", "offline"],
    "processing": ["busy", "waiting", "idle", "error", "offline"],
    "waiting": ["busy", "processing", "idle", "error", "offline"],
    "error": ["initializing", "idle", "offline", "maintenance"],
    "offline": ["initializing", "maintenance"],
    "maintenance": ["initializing", "idle", "offline", "error"]
  }');

create function public.agent_instance_before_update() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
declare
  -- What comes too often to be a change of its own.
  beats constant text[] := array['last_heartbeat', 'last_activity', 'updated_at', 'version', 'status_version', 'previous_status'];
begin
  if tidemark.is_move_apply() then
    return new;
  end if;
  new.version := old.version;
  new.status_version := old.status_version;
  new.previous_status := old.previous_status;
  if to_jsonb(new) - beats is distinct from to_jsonb(old) - beats then
    new.version := old.version + 1;
    new.updated_at := now();
  end if;
  if new.status is distinct from old.status then
    new.previous_status := old.status;
    new.status_version := new.version;
  end if;
  return new;
end $$;
create trigger agent_instances_2_version before update on public.agent_instances
  for each row execute function public.agent_instance_before_update();

create trigger agent_executions_1_states before update of status on public.agent_executions
  for each row execute function tidemark.guard_states('status', '{
    "pending": ["queued", "running", "cancelled", "failed"],
    "queued": ["running", "cancelled", "failed"],
    "running": ["completed", "failed", "cancelled", "retrying"],
    "retrying": ["queued", "running", "failed", "cancelled"]
  }');

create function public.agent_execution_before_update() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
  if tidemark.is_move_apply() then
    return new;
  end if;
  if (new.id, new.task_id, new.agent_type, new.task_type, new.created_at) is distinct from (old.id, old.task_id, old.agent_type, old.task_type, old.created_at)
     or new.user_id is distinct from old.user_id then
    raise exception 'a task keeps its name, its kind and its owner' using errcode = 'PT409';
  end if;
  if old.completed_at is not null and (new.status, new.output_data, new.quality_score) is distinct from (old.status, old.output_data, old.quality_score) then
    raise exception 'task % has ended', old.task_id using errcode = 'PT409';
  end if;
  new.version := old.version + 1;
  new.status_version := old.status_version;
  new.previous_status := old.previous_status;
  new.retry_count := old.retry_count;
  new.updated_at := now();
  if new.status is distinct from old.status then
    new.previous_status := old.status;
    new.status_version := new.version;
    if new.status = 'running' then
      if new.agent_instance_id is null then
        raise exception 'a task is run by an agent' using errcode = 'PT409';
      end if;
      new.started_at := clock_timestamp();
      new.next_retry_at := null;
    elsif new.status = 'retrying' then
      new.retry_count := old.retry_count + 1;
      new.next_retry_at := coalesce(new.next_retry_at, now());
    elsif new.status in ('completed', 'failed', 'cancelled') then
      new.completed_at := clock_timestamp();
      new.next_retry_at := null;
      new.execution_time_seconds := coalesce(new.execution_time_seconds, extract(epoch from new.completed_at - new.started_at));
    end if;
  end if;
  return new;
end $$;
create trigger agent_executions_2_version before update on public.agent_executions
  for each row execute function public.agent_execution_before_update();

-- The agent's state and counters go with the task's, in its transaction; an end is final, so it counts once (C63). Whoever gave a task back is
-- not the one that the changed row names any more.
create function public.agent_execution_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if tidemark.is_move_apply() then
    return null;
  end if;
  if new.status = 'running' then
    update public.agent_instances a set current_task_id = new.task_id, status = 'processing', last_activity = now()
     where a.id = new.agent_instance_id;
  elsif old.status = 'running' then
    update public.agent_instances a
       set total_tasks_completed = a.total_tasks_completed + (new.status = 'completed')::int,
           total_tasks_failed = a.total_tasks_failed + (new.status = 'failed')::int,
           last_activity = now(),
           status = case when a.current_task_id = new.task_id and a.status in ('busy', 'processing', 'waiting')
                         then 'idle'::public.agent_status else a.status end,
           current_task_id = nullif(a.current_task_id, new.task_id)
     where a.id = old.agent_instance_id;
  end if;
  return null;
end $$;
create trigger agent_executions_3_agent after update of status on public.agent_executions
  for each row when (new.status is distinct from old.status) execute function public.agent_execution_changed();

create function public.agent_metric_before_update() returns trigger
language plpgsql
set search_path = pg_catalog
as $$
begin
  if not tidemark.is_move_apply() then
    new.version := old.version + 1;
  end if;
  return new;
end $$;
create trigger agent_metrics_version before update on public.agent_metrics
  for each row execute function public.agent_metric_before_update();

-- Months that are to come get their partitions, those that are too old go (R26). A month of which rows are in the default partition stays there.
create function public.agent_metrics_maintain(keep interval, at timestamptz) returns table (made text[], dropped text[])
language plpgsql security definer
set search_path = pg_catalog
as $$
declare
  month timestamptz;
  name text;
  old record;
begin
  made := '{}';
  dropped := '{}';
  perform pg_advisory_xact_lock(hashtext('public.agent_metrics_maintain'));
  for month in select generate_series(date_trunc('month', at at time zone 'UTC'), date_trunc('month', at at time zone 'UTC') + interval '2 months', interval '1 month') at time zone 'UTC' loop
    name := 'agent_metrics_' || to_char(month at time zone 'UTC', 'YYYYMM');
    continue when to_regclass('public.' || name) is not null;
    continue when exists (select from public.agent_metrics_default d
                           where d.period_start >= month and d.period_start < ((month at time zone 'UTC') + interval '1 month') at time zone 'UTC');
    execute format('create table public.%I partition of public.agent_metrics for values from (%L) to (%L)',
                   name, month, ((month at time zone 'UTC') + interval '1 month') at time zone 'UTC');
    execute format('alter table public.%I enable row level security', name);
    execute format('revoke all on public.%I from public', name);
    execute (select coalesce(string_agg(format('revoke all on public.%I from %I', name, r.rolname), '; '), 'select')
               from pg_roles r where r.rolname in ('anon', 'authenticated', 'service_role'));
    made := made || name;
  end loop;
  for old in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'public.agent_metrics'::regclass and c.relname ~ '^agent_metrics_[0-9]{6}$'
       and to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' <= (at - keep) at time zone 'UTC'
  loop
    execute format('drop table public.%I', old.relname);
    dropped := dropped || old.relname::text;
  end loop;
  delete from public.agent_metrics_default d where d.period_end <= at - keep;
  return next;
end $$;
