import { useEffect, useEffectEvent, useLayoutEffect, useRef, useState } from 'react'
import { type AskError, ask } from '../../api/ask.ts'

/** So long after they were asked for words are gone from the page. */
export const shownForMs = 5 * 60_000

interface Shown {
  readonly reason: string
  readonly untilMs: number
  /** By the number of their message. */
  readonly texts: ReadonlyMap<string, string>
}

export interface YarnWordsView {
  readonly shown: Shown | undefined
  readonly error: AskError | undefined
  readonly isBusy: boolean
  show(reason: string): void
  hide(): void
}

/**
 * The words of a yarn, for as long as they may be seen: they are in this component's state and nowhere else, neither in the cache of answers nor in
 * anything that the browser keeps. What is said meanwhile is asked for as it comes, each time under the same reason; `newest` is the number of the
 * last message. What is refused takes along what was shown.
 */
export const useYarnWords = (key: string, newest: string | undefined): YarnWordsView => {
  const [shown, setShown] = useState<Shown>()
  const [error, setError] = useState<AskError>()
  const [isBusy, setBusy] = useState(false)
  const asking = useRef<AbortController>(undefined)

  const hide = (): void => {
    asking.current?.abort()
    asking.current = undefined
    setBusy(false)
    setShown(undefined)
  }
  const fetchWords = async (reason: string, untilMs: number): Promise<void> => {
    asking.current?.abort()
    const own = new AbortController()
    asking.current = own
    setBusy(true)
    setError(undefined)
    try {
      const { words } = await ask('POST /systems/yarn/words', { body: { key, reason } }, { signal: own.signal })
      if (own.signal.aborted) return
      setShown({ reason, untilMs, texts: new Map(words.map(({ number, text }) => [number, text])) })
      setBusy(false)
    } catch (refusal) {
      if (own.signal.aborted) return
      hide()
      setError(refusal as AskError)
    }
  }

  const isMissing = shown !== undefined && newest !== undefined && !shown.texts.has(newest)
  const askAgain = useEffectEvent(() => shown && void fetchWords(shown.reason, shown.untilMs))
  useEffect(() => {
    if (newest !== undefined && isMissing) askAgain()
  }, [newest, isMissing])

  const hideNow = useEffectEvent(hide)
  const untilMs = shown?.untilMs
  // Before they are painted, so that there is no moment at which they are shown and nothing would hide them.
  useLayoutEffect(() => {
    if (untilMs === undefined) return
    // A page that slept, or was put aside, shows nothing of it when it is back.
    const look = (): void => void (Date.now() >= untilMs && hideNow())
    const timer = setTimeout(hideNow, untilMs - Date.now())
    const leave = (): void => hideNow()
    document.addEventListener('visibilitychange', look)
    window.addEventListener('pagehide', leave)
    return () => {
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', look)
      window.removeEventListener('pagehide', leave)
    }
  }, [untilMs])
  useEffect(() => () => asking.current?.abort(), [])

  return { shown, error, isBusy, show: (reason) => void fetchWords(reason, Date.now() + shownForMs), hide }
}
