-- Each alert that begins, changes its state, is taken on or goes is in the audit log, whoever or whatever did it. How often it came, and when it was
-- last told, is in the alert itself.
drop trigger alerts_audit on public.alerts;
create trigger alerts_audit after insert or delete on public.alerts for each row execute function tidemark.audit();
create trigger alerts_audit_states after update on public.alerts
  for each row when ((new.status, new.severity) is distinct from (old.status, old.severity)
    or new.acknowledged_by is distinct from old.acknowledged_by or new.resolved_by is distinct from old.resolved_by)
  execute function tidemark.audit();
