import type { SupabaseClient } from '@supabase/supabase-js'

/**
 * A channel that ended with its token is joined again with the next one: supabase-js would join with the one that it has. `reason` is what the
 * server said.
 */
export const renewToken = ({ realtime }: Pick<SupabaseClient, 'realtime'>, reason: string | undefined): void => {
  // Whoever cannot get one is refused again, which says so.
  if (reason !== undefined && /expired/i.test(reason)) void realtime.setAuth().catch(() => undefined)
}
