import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'

const key = 'tidemark.theme'
const listeners = new Set<() => void>()

const read = (): Theme => {
  const kept = localStorage.getItem(key)
  return kept === 'light' || kept === 'dark' ? kept : 'system'
}

/** Puts what was chosen last on the page. */
export const applyTheme = (): void => {
  const theme = read()
  if (theme === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
}

const isDark = (): boolean => (read() === 'system' ? matchMedia('(prefers-color-scheme: dark)').matches : read() === 'dark')

const subscribe = (listener: () => void): (() => void) => {
  const system = matchMedia('(prefers-color-scheme: dark)')
  listeners.add(listener)
  system.addEventListener('change', listener)
  return () => {
    listeners.delete(listener)
    system.removeEventListener('change', listener)
  }
}

/** The other of light and dark; back on the system's own, it is followed again. */
export const toggleTheme = (): void => {
  const wanted = isDark() ? 'light' : 'dark'
  const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
  if (wanted === system) localStorage.removeItem(key)
  else localStorage.setItem(key, wanted)
  applyTheme()
  for (const listener of listeners) listener()
}

export const useIsDark = (): boolean => useSyncExternalStore(subscribe, isDark)
