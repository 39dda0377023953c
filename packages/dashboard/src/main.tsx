import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { createQueryClient } from './api/query-client.ts'
import { Dashboard } from './shell/dashboard.tsx'
import { applyTheme } from './shell/theme.ts'
import './styles/tokens.css'
import './styles/base.css'
import './styles/shell.css'
import './styles/parts/buttons.css'
import './styles/parts/panels.css'
import './styles/parts/status.css'
import './styles/parts/notes.css'
import './styles/parts/fields.css'
import './styles/parts/tables.css'
import './styles/parts/dialogs.css'
import './styles/parts/tabs.css'
import './styles/parts/texts.css'

// What locks scrolling behind a dialog adds a sheet; the page's policy lets only those with this in.
const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content
Object.assign(globalThis, { __webpack_nonce__: nonce })

applyTheme()
const app = document.getElementById('app')
if (!app) throw new Error('the page has no place for the dashboard')
createRoot(app).render(
  <StrictMode>
    <Dashboard client={createQueryClient()} />
  </StrictMode>,
)
