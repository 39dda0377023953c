-- What may follow what:
--   tour   scheduled → in_progress → completed · scheduled, in_progress → cancelled
--   visit  scheduled → arrived → completed · scheduled → skipped, cancelled · arrived → cancelled
--   task   scheduled → in_progress → completed, failed · open → cancelled · failed → scheduled (again)

create trigger tours_states before update of status on public.tours
  for each row execute function tidemark.guard_states('status',
    '{"scheduled": ["in_progress", "cancelled"], "in_progress": ["completed", "cancelled"]}');

create trigger property_visits_states before update of status on public.property_visits
  for each row execute function tidemark.guard_states('status',
    '{"scheduled": ["arrived", "skipped", "cancelled"], "arrived": ["completed", "cancelled"]}');

create trigger tasks_states before update of status on public.tasks
  for each row execute function tidemark.guard_states('status',
    '{"scheduled": ["in_progress", "cancelled"], "in_progress": ["completed", "failed", "cancelled"], "failed": ["scheduled"]}');

create trigger tours_updated before update on public.tours
  for each row execute function tidemark.set_updated_at();
create trigger property_visits_updated before update on public.property_visits
  for each row execute function tidemark.set_updated_at();
create trigger tasks_updated before update on public.tasks
  for each row execute function tidemark.set_updated_at();
create trigger feedback_updated before update on public.feedback
  for each row execute function tidemark.set_updated_at();
