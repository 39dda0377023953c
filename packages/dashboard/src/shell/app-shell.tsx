import { Outlet, useLocation, useNavigate } from '@tanstack/react-router'
import { Keyboard, Link, LogOut, MoonStar, Pause } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { useSession, useSignOut } from '../api/session.ts'
import { useCopy } from '../parts/copy-text.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { ErrorNote } from '../parts/error-note.tsx'
import { screens } from '../screens/screens.ts'
import { CommandPalette, type PaletteCommand } from './command-palette.tsx'
import { useLive } from './live.tsx'
import { Navigation } from './navigation.tsx'
import { type Shortcut, useShortcuts } from './shortcuts.ts'
import { SignIn } from './sign-in.tsx'
import { toggleTheme } from './theme.ts'
import { TopBar } from './top-bar.tsx'

const useCommands = (showKeys: () => void) => {
  const navigate = useNavigate()
  const { toggle } = useLive()
  const copy = useCopy()
  const signOut = useSignOut()
  const commands: readonly PaletteCommand[] = [
    ...screens.map(({ title, icon, path, key }) => ({
      title: `Go to ${title}`,
      icon,
      keys: `g ${key}`,
      run: () => void navigate({ to: path }),
    })),
    ...screens.flatMap(({ title, icon, path, places = [] }) =>
      places.map((place) => ({
        title: `${title}: ${place.title}`,
        icon,
        run: () => void navigate({ to: path, search: place.search as never }),
      })),
    ),
    { title: 'Pause or resume', icon: Pause, keys: 'p', run: toggle },
    { title: 'Switch between light and dark', icon: MoonStar, keys: 't', run: toggleTheme },
    { title: 'Copy the link to what is shown', icon: Link, run: () => void copy(location.href, 'Link') },
    { title: 'Show keyboard shortcuts', icon: Keyboard, keys: '?', run: showKeys },
    { title: 'Sign out', icon: LogOut, run: () => signOut.mutate() },
  ]
  return commands
}

const KeysDialog = ({
  isOpen,
  onClose,
  shortcuts,
}: {
  readonly isOpen: boolean
  readonly onClose: () => void
  readonly shortcuts: readonly Shortcut[]
}) => (
  <Dialog title="Keyboard shortcuts" isOpen={isOpen} onClose={onClose}>
    <dl className="keys">
      {shortcuts.map(({ keys, what }) => (
        <div key={keys} style={{ display: 'contents' }}>
          <dt>
            <kbd>{keys.replace('mod', 'Ctrl')}</kbd>
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  </Dialog>
)

/** Another screen: its name in the tab, and the focus at its beginning, as after a page load. */
const useScreenTitle = (title: string) => {
  const main = useRef<HTMLElement>(null)
  const before = useRef(title)
  useEffect(() => {
    document.title = `${title} · Tidemark`
    if (before.current !== title) main.current?.focus({ preventScroll: true })
    before.current = title
  }, [title])
  return main
}

/** The frame around every screen, or the way in where nobody is signed in. */
export const AppShell = () => {
  const { data: session, error, refetch } = useSession()
  const { pathname } = useLocation()
  const [isSearching, setSearching] = useState(false)
  const [isShowingKeys, setShowingKeys] = useState(false)
  const title = screens.find(({ path }) => path === pathname)?.title ?? 'Not found'
  const main = useScreenTitle(title)
  const commands = useCommands(() => setShowingKeys(true))
  const shortcuts: readonly Shortcut[] = [
    { keys: 'mod+k', what: 'Search commands', run: () => setSearching(true) },
    ...commands.flatMap(({ keys, title: what, run }) => (keys === undefined ? [] : [{ keys, what, run }])),
  ]
  useShortcuts(session === null ? [] : shortcuts)
  if (session === null) return <SignIn />
  return (
    <div className="shell">
      <a className="skip" href="#screen">
        Skip to the screen
      </a>
      <Navigation />
      <div className="main">
        <TopBar title={title} onSearch={() => setSearching(true)} />
        <main className="screen" id="screen" tabIndex={-1} ref={main}>
          {error && <ErrorNote error={error} onRetry={() => void refetch()} />}
          <Outlet />
        </main>
      </div>
      <CommandPalette isOpen={isSearching} onClose={() => setSearching(false)} commands={commands} />
      <KeysDialog isOpen={isShowingKeys} onClose={() => setShowingKeys(false)} shortcuts={shortcuts} />
    </div>
  )
}
