import { skipToken, useQuery } from '@tanstack/react-query'
import { createContext, type ReactNode, use, useEffect, useMemo, useState } from 'react'
import { answersKey } from '../api/query-client.ts'

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

/** False while the server does not answer: what is shown may be old. */
export const useAnswers = (): boolean =>
  useQuery<boolean>({ queryKey: answersKey, queryFn: skipToken, initialData: true, staleTime: Number.POSITIVE_INFINITY }).data !==
  false
