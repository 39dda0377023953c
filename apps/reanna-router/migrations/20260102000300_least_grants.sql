-- TRUNCATE asks no policy, and neither it nor REFERENCES and TRIGGER is of use to an agent: taken away where new tables are granted to
-- everybody by default, as in a Supabase project.
revoke truncate, references, trigger on public.tours, public.property_visits, public.tasks, public.feedback from authenticated;
