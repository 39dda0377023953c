-- What a day board shows is told live to whoever may see it, where there is somebody who tells: tours, their stops, tasks and feedback. The
-- journal is not: each of its entries is a change of one of these. Leads are the server's own notes of what CRMs know.

-- By the old row it is decided who saw it, so that a tour that another agent gets leaves the board of the one before.
alter table public.tours replica identity full;
alter table public.property_visits replica identity full;
alter table public.tasks replica identity full;
alter table public.feedback replica identity full;

do $$
begin
  if exists (select from pg_publication where pubname = 'supabase_realtime') then
    alter publication supabase_realtime add table public.tours, public.property_visits, public.tasks, public.feedback;
  end if;
end $$;
