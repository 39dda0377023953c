import type { SupabaseClient } from '@supabase/supabase-js'

/** As supabase-js keeps it: with tokens of the application's own nobody signs in here, and `auth` raises whatever is asked of it. */
const hasOwnTokens = (supabase: SupabaseClient): boolean =>
  typeof (supabase as unknown as { readonly accessToken?: unknown }).accessToken === 'function'

/** Calls when another user has signed in, or nobody is any more. Never where the application brings its own tokens. */
export const followUser = (supabase: SupabaseClient, changed: () => void): (() => void) => {
  if (hasOwnTokens(supabase)) return () => undefined
  let user: string | undefined
  const { data } = supabase.auth.onAuthStateChange((event, session) => {
    const now = session?.user.id
    const isOther = now !== user
    user = now
    if (isOther && event !== 'INITIAL_SESSION') changed()
  })
  return () => data.subscription.unsubscribe()
}
