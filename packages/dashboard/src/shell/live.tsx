import { createContext, type ReactNode, use, useEffect, useMemo, useState } from 'react'

export interface Live {
  /** False while the operator has paused the page, or it is hidden. */
  readonly isLive: boolean
  readonly isPaused: boolean
  toggle(): void
}

const LiveContext = createContext<Live>({ isLive: true, isPaused: false, toggle: () => undefined })

const useIsHidden = (): boolean => {
  const [isHidden, setHidden] = useState(() => document.hidden)
  useEffect(() => {
    const changed = (): void => setHidden(document.hidden)
    document.addEventListener('visibilitychange', changed)
    return () => document.removeEventListener('visibilitychange', changed)
  }, [])
  return isHidden
}

/** Everything that refreshes by itself asks here whether it may. */
export const LiveProvider = ({ children }: { readonly children: ReactNode }) => {
  const [isPaused, setPaused] = useState(false)
  const isHidden = useIsHidden()
  const live = useMemo(
    () => ({ isLive: !isPaused && !isHidden, isPaused, toggle: () => setPaused((paused) => !paused) }),
    [isPaused, isHidden],
  )
  return <LiveContext value={live}>{children}</LiveContext>
}

export const useLive = (): Live => use(LiveContext)
