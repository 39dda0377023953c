import { createTidemark } from '@tidemark/client'
import { TidemarkProvider } from '@tidemark/client/react'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import type { Database } from './database.js'
import { Notes } from './notes.js'

declare module '@tidemark/client' {
  interface Register {
    database: Database
  }
}

const { VITE_SUPABASE_URL, VITE_SUPABASE_ANON_KEY } = import.meta.env
const tidemark = createTidemark(VITE_SUPABASE_URL, VITE_SUPABASE_ANON_KEY)
const { data } = await tidemark.supabase.auth.getSession()
if (!data.session) await tidemark.supabase.auth.signInAnonymously()

createRoot(document.getElementById('app')!).render(
  <StrictMode>
    <TidemarkProvider client={tidemark}>
      <Notes />
    </TidemarkProvider>
  </StrictMode>,
)
