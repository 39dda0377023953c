import { useEffect, useEffectEvent } from 'react'

export interface Shortcut {
  /** One key, or two after each other: `g m`. `mod+k` is Ctrl or Command. */
  readonly keys: string
  readonly what: string
  run(): void
}

const waitMs = 1_200

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))

/** Listens on the whole page, and stays out of fields and of the browser's own keys. */
export const useShortcuts = (shortcuts: readonly Shortcut[]): void => {
  const find = useEffectEvent((keys: string) => shortcuts.find((shortcut) => shortcut.keys === keys))
  useEffect(() => {
    let first: { readonly key: string; readonly at: number } | undefined
    const pressed = (event: KeyboardEvent): void => {
      const isMod = event.metaKey || event.ctrlKey
      if (event.defaultPrevented || event.altKey || (!isMod && isTyping(event.target))) return
      const key = isMod ? `mod+${event.key.toLowerCase()}` : event.key
      const pair = first && event.timeStamp - first.at < waitMs ? `${first.key} ${key}` : undefined
      const found = (pair === undefined ? undefined : find(pair)) ?? find(key)
      first = found ? undefined : { key, at: event.timeStamp }
      if (!found) return
      event.preventDefault()
      found.run()
    }
    window.addEventListener('keydown', pressed)
    return () => window.removeEventListener('keydown', pressed)
  }, [])
}
