-- Who changed what people said, and whom the CRMs know. What a move carries is in the move's own record.
create trigger feedback_audit after insert or update or delete on public.feedback
  for each row when (not tidemark.is_move_apply()) execute function tidemark.audit();
create trigger leads_audit after insert or update or delete on public.leads
  for each row when (not tidemark.is_move_apply()) execute function tidemark.audit();
