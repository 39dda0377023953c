import { CircleUser, LogOut, Menu as MenuIcon, Moon, Pause, Play, Search, Sun } from 'lucide-react'
import { Dialog, DropdownMenu } from 'radix-ui'
import { useState } from 'react'
import { useSession, useSignOut } from '../api/session.ts'
import { Button, IconButton } from '../parts/button.tsx'
import { Status } from '../parts/status.tsx'
import { useAnswers, useLive } from './live.tsx'
import { Navigation } from './navigation.tsx'
import { toggleTheme, useIsDark } from './theme.ts'

/** Screens for where there is no room beside. */
const Drawer = () => {
  const [isOpen, setOpen] = useState(false)
  return (
    <Dialog.Root open={isOpen} onOpenChange={setOpen}>
      <span className="only-narrow">
        <Dialog.Trigger asChild>
          <IconButton icon={MenuIcon} label="Screens" />
        </Dialog.Trigger>
      </span>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay" />
        <Dialog.Content className="drawer" aria-describedby={undefined}>
          <Dialog.Title className="hidden">Screens</Dialog.Title>
          <Navigation onChosen={() => setOpen(false)} />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

const Operator = () => {
  const { data: session } = useSession()
  const signOut = useSignOut()
  if (!session) return null
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <IconButton icon={CircleUser} label="Operator" />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="end" sideOffset={4}>
          <DropdownMenu.Label className="label">
            {session.operator.name}
            <br />
            Role: {session.operator.role}
          </DropdownMenu.Label>
          <DropdownMenu.Item onSelect={() => signOut.mutate()}>
            <LogOut size={15} aria-hidden /> Sign out
          </DropdownMenu.Item>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

/** Whether the page follows by itself, and can. */
const LiveMark = () => {
  const { isPaused, toggle } = useLive()
  const answers = useAnswers()
  return (
    <span className="pause">
      <Button kind="quiet" icon={isPaused ? Play : Pause} aria-pressed={isPaused} onClick={toggle} title="Live or paused (p)">
        <Status kind={answers ? (isPaused ? 'warn' : 'ok') : 'bad'}>
          {isPaused ? 'Paused' : answers ? 'Live' : 'No answer'}
        </Status>
      </Button>
    </span>
  )
}

/** Where one is, whether it is live, and what can be done from anywhere. */
export const TopBar = ({ title, onSearch }: { readonly title: string; readonly onSearch: () => void }) => {
  const isDark = useIsDark()
  return (
    <header className="bar">
      <Drawer />
      <h1>{title}</h1>
      <button type="button" className="search-button" onClick={onSearch} title="Search commands">
        <Search size={14} aria-hidden />
        <span>Search</span>
        <kbd>Ctrl K</kbd>
      </button>
      <LiveMark />
      <IconButton icon={isDark ? Sun : Moon} label={isDark ? 'Light theme' : 'Dark theme'} onClick={toggleTheme} />
      <Operator />
    </header>
  )
}
