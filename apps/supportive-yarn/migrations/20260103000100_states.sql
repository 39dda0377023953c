-- A session goes on by one step at a time; goals may also lead straight to the free conversation, as older ones have it.

create trigger sessions_states before update of fsm_state on public.sessions
  for each row execute function tidemark.guard_states('fsm_state',
    '{"welcome": ["support_people"], "support_people": ["strengths"], "strengths": ["worries"], "worries": ["goals"],
      "goals": ["summary", "llm_conversation"], "summary": ["llm_conversation"]}');

create trigger user_responses_updated before update on public.user_responses
  for each row execute function tidemark.set_updated_at();
