-- What was asked for, who ran it and what came of it, each step with what was before. Copies of rows are not steps.
create trigger agent_executions_3_audit after insert or update or delete on public.agent_executions
  for each row when (not tidemark.is_move_apply()) execute function tidemark.audit();
