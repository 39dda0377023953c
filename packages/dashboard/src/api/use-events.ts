import { useEffect, useEffectEvent } from 'react'

export interface EventsOptions {
  /** Undefined: nothing is listened to. */
  readonly url: string | undefined
  readonly types: readonly string[]
  /** All events since the last frame, the oldest first. */
  onEvents(events: readonly ServerEvent[]): void
  onState?(state: 'connecting' | 'open' | 'closed'): void
}

export interface ServerEvent {
  readonly type: string
  readonly id: string
  readonly data: unknown
}

/** Listens to Server-Sent Events, and tells them at most once per frame, however many come. */
export const useEvents = ({ url, types, onEvents, onState }: EventsOptions): void => {
  const tell = useEffectEvent(onEvents)
  const tellState = useEffectEvent((state: 'connecting' | 'open' | 'closed') => onState?.(state))
  const names = types.join(',')
  useEffect(() => {
    if (url === undefined) return
    let waiting: ServerEvent[] = []
    let frame: number | undefined
    const flush = (): void => {
      frame = undefined
      const events = waiting
      waiting = []
      tell(events)
    }
    const source = new EventSource(url)
    tellState('connecting')
    source.onopen = () => tellState('open')
    source.onerror = () => tellState(source.readyState === EventSource.CLOSED ? 'closed' : 'connecting')
    for (const type of names.split(',')) {
      source.addEventListener(type, (event) => {
        const { data, lastEventId } = event as MessageEvent<string>
        // An error of the connection itself has the same name, and no data.
        if (data === undefined) return
        waiting.push({ type, id: lastEventId, data: JSON.parse(data) as unknown })
        frame ??= requestAnimationFrame(flush)
        if (type === 'end') source.close()
      })
    }
    return () => {
      source.close()
      if (frame !== undefined) cancelAnimationFrame(frame)
      if (waiting.length > 0) tell(waiting)
    }
  }, [url, names])
}
