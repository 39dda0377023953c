export {
  type SupabaseAgent,
  type SupabaseAgentActions,
  type SupabaseAgentOptions,
  useSupabaseAgent,
} from './use-supabase-agent.js'
