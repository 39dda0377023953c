import { useEffect, useEffectEvent } from 'react'

export interface EventsOptions {
  /** Undefined: nothing is listened to. */
  readonly url: string | undefined
  readonly types: readonly string[]
  /** The event that says that nothing is missed from now on; without it, that the connection is open says so. */
  readonly readyType?: string
  /** All events since the last frame, the oldest first. */
  onEvents(events: readonly ServerEvent[]): void
  onState?(state: 'connecting' | 'open' | 'closed'): void
}

export interface ServerEvent {
  readonly type: string
  readonly id: string
  readonly data: unknown
}

const againMs = 2_000
/** More at once are a flood, of which nobody reads each: what follows is told together, so long after it. */
const flood = { events: 8, restMs: 100 }

/** Listens to Server-Sent Events, and tells them at most once per frame, however many come; in a flood ten times a second. */
export const useEvents = ({ url, types, readyType, onEvents, onState }: EventsOptions): void => {
  const tell = useEffectEvent(onEvents)
  const tellState = useEffectEvent((state: 'connecting' | 'open' | 'closed') => onState?.(state))
  const names = types.join(',')
  useEffect(() => {
    if (url === undefined) return
    let waiting: ServerEvent[] = []
    let frame: number | undefined
    let restsUntil = 0
    const flush = (): void => {
      if (performance.now() < restsUntil) {
        frame = requestAnimationFrame(flush)
        return
      }
      frame = undefined
      const events = waiting
      waiting = []
      if (events.length > flood.events) restsUntil = performance.now() + flood.restMs
      tell(events)
    }
    let source: EventSource | undefined
    let again: ReturnType<typeof setTimeout> | undefined
    const heard = (type: string, event: MessageEvent<string>): void => {
      const { data, lastEventId } = event
      // An error of the connection itself has the same name, and no data.
      if (data === undefined) return
      waiting.push({ type, id: lastEventId, data: JSON.parse(data) as unknown })
      frame ??= requestAnimationFrame(flush)
      if (type === 'end') source?.close()
      if (type !== 'error') return
      // What it said is final for the place where the stream was: it begins anew, from now on.
      source?.close()
      again = setTimeout(open, againMs)
    }
    const open = (): void => {
      const opened = new EventSource(url)
      source = opened
      tellState('connecting')
      if (readyType === undefined) opened.onopen = () => tellState('open')
      else opened.addEventListener(readyType, () => tellState('open'))
      opened.onerror = () => tellState(opened.readyState === EventSource.CLOSED ? 'closed' : 'connecting')
      for (const type of names.split(',')) opened.addEventListener(type, (event) => heard(type, event as MessageEvent<string>))
    }
    open()
    return () => {
      source?.close()
      clearTimeout(again)
      if (frame !== undefined) cancelAnimationFrame(frame)
      if (waiting.length > 0) tell(waiting)
    }
  }, [url, names, readyType])
}
