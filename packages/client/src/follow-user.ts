import type { SupabaseClient } from '@supabase/supabase-js'

/** Calls when another user has signed in, or nobody is any more. */
export const followUser = (supabase: SupabaseClient, changed: () => void): (() => void) => {
  let user: string | undefined
  const { data } = supabase.auth.onAuthStateChange((event, session) => {
    const now = session?.user.id
    const isOther = now !== user
    user = now
    if (isOther && event !== 'INITIAL_SESSION') changed()
  })
  return () => data.subscription.unsubscribe()
}
