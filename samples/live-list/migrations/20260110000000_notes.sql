create table public.notes (
  id bigint generated always as identity primary key,
  text text not null check (length(text) between 1 and 200),
  -- Null for what is written by plain SQL.
  author uuid default auth.uid(),
  created_at timestamptz not null default now()
);

alter table public.notes enable row level security;
revoke all on public.notes from anon, authenticated, public;
grant select, insert, delete on public.notes to authenticated;
create policy everybody_reads on public.notes for select to authenticated using (true);
create policy authors_write on public.notes for insert to authenticated with check (author = (select auth.uid()));
create policy authors_delete on public.notes for delete to authenticated using (author = (select auth.uid()));

-- Changes are told.
do $$
begin
  if exists (select from pg_publication where pubname = 'supabase_realtime') then
    alter publication supabase_realtime add table public.notes;
  end if;
end $$;
