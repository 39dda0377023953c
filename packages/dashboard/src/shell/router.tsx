import { createRootRoute, createRoute, createRouter, type ErrorComponentProps, type RouterHistory } from '@tanstack/react-router'
import { Compass } from 'lucide-react'
import { Empty } from '../parts/empty.tsx'
import { ErrorNote } from '../parts/error-note.tsx'
import { screens } from '../screens/screens.ts'
import { AppShell } from './app-shell.tsx'

const NotFound = () => (
  <Empty title="There is no such screen" icon={Compass} act="Ctrl K finds every screen.">
    <p>The address may be misspelt.</p>
  </Empty>
)

/** A fault of one screen leaves the frame around it as it is. */
const Failed = ({ error, reset }: ErrorComponentProps) => (
  <ErrorNote error={error instanceof Error ? error : new Error(String(error))} onRetry={reset} />
)

const Waiting = () => <div className="skeleton" style={{ height: 240 }} />

/** Made of the table of screens. */
export const createDashboardRouter = (history?: RouterHistory) => {
  const root = createRootRoute({ component: AppShell, notFoundComponent: NotFound })
  const routes = screens.map(({ path, load }) => createRoute({ getParentRoute: () => root, path, component: load }))
  return createRouter({
    routeTree: root.addChildren(routes),
    defaultPreload: 'intent',
    defaultErrorComponent: Failed,
    defaultPendingComponent: Waiting,
    defaultNotFoundComponent: NotFound,
    ...(history && { history }),
  })
}
