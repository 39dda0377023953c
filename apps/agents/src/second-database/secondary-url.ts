import { resolveConfig } from 'tidemark'

/** By which the documents name the second database (R96). */
const names = /^(?:SECONDARY_DATABASE_URL|SUPABASE_URL|SUPABASE_DB_\w+|ENABLE_SUPABASE_INTEGRATION)$/

/** The second database: the address that is given, or what the variables of a Supabase project come to. Raises TM_CONFIG_BAD_VALUE. */
export const secondaryUrlOf = (env: NodeJS.ProcessEnv): string | undefined => {
  const ours = Object.entries(env).filter(([name]) => names.test(name))
  return resolveConfig({ env: Object.fromEntries(ours) }).postgres.secondaryUrl
}
