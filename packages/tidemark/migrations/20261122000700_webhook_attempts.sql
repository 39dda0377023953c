-- What became of each attempt of an event, the oldest first, and how many of the oldest were left out. Kept in the row, so that a failure
-- writes it in the statement that it writes anyway, and it goes with its event. An event that succeeds at once says by `worker` and
-- `processed_at` what there is to be said of it.

alter table public.webhook_events
  add column attempt_log jsonb,
  add column attempts_left_out integer not null default 0 check (attempts_left_out >= 0),
  add column worker text,
  add constraint webhook_events_attempt_log check (attempt_log is null or jsonb_typeof(attempt_log) = 'array');
