-- The audit's numbers are its triggers' own, also where new sequences are granted to everybody by default, as in a Supabase project.
revoke all on sequence public.chat_audit_id_seq from anon, authenticated, public;
