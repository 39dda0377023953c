import { useEffect, useEffectEvent } from 'react'

export interface EventsOptions {
  /** Undefined: nothing is listened to. */
  readonly url: string | undefined
  readonly types: readonly string[]
  /** The event that says that nothing is missed from now on; without it, that the connection is open says so. */
  readonly readyType?: string
  /** All events since the last frame, the oldest first. What the server refuses is told as one of type `error`, and not asked for again. */
  onEvents(events: readonly ServerEvent[]): void
  onState?(state: 'connecting' | 'open' | 'closed'): void
}

export interface ServerEvent {
  readonly type: string
  readonly id: string
  readonly data: unknown
}

const againMs = 2_000
/** More within so long are a flood, of which nobody reads each: what follows is told together, so long after it. */
const flood = { events: 8, withinMs: 100 }

/** Of a stream that was not begun: an answer that asking again would not change. An EventSource keeps to itself what it was answered with. */
const refusalOf = async (url: string, signal: AbortSignal): Promise<unknown> => {
  const answer = await fetch(url, { headers: { accept: 'text/event-stream' }, signal }).catch(() => undefined)
  // Whoever has no session any more is asked to sign in by the page.
  if (!answer || answer.status < 400 || answer.status === 401 || answer.status === 429 || answer.status >= 500) {
    await answer?.body?.cancel().catch(() => undefined)
    return undefined
  }
  const told = (await answer.json().catch(() => ({}))) as { readonly error?: unknown }
  return told.error ?? { code: `HTTP_${answer.status}`, message: `The server answered with status ${answer.status}.` }
}

/** Listens to Server-Sent Events, and tells them at most once per frame, however many come; in a flood ten times a second. */
export const useEvents = ({ url, types, readyType, onEvents, onState }: EventsOptions): void => {
  const tell = useEffectEvent(onEvents)
  const tellState = useEffectEvent((state: 'connecting' | 'open' | 'closed') => onState?.(state))
  const names = types.join(',')
  useEffect(() => {
    if (url === undefined) return
    let waiting: ServerEvent[] = []
    let frame: number | undefined
    let resting: ReturnType<typeof setTimeout> | undefined
    // A flood comes in small parts, too: a few in each frame.
    let lately = { fromMs: 0, events: 0 }
    const flush = (): void => {
      frame = undefined
      const events = waiting
      waiting = []
      const now = performance.now()
      if (now - lately.fromMs > flood.withinMs) lately = { fromMs: now, events: 0 }
      lately.events += events.length
      if (lately.events > flood.events) resting = setTimeout(rested, flood.withinMs)
      tell(events)
    }
    const rested = (): void => {
      resting = undefined
      if (waiting.length > 0) frame = requestAnimationFrame(flush)
    }
    const over = new AbortController()
    let source: EventSource | undefined
    let again: ReturnType<typeof setTimeout> | undefined
    const heard = (type: string, event: MessageEvent<string>): void => {
      const { data, lastEventId } = event
      // An error of the connection itself has the same name, and no data.
      if (data === undefined) return
      waiting.push({ type, id: lastEventId, data: JSON.parse(data) as unknown })
      if (resting === undefined) frame ??= requestAnimationFrame(flush)
      if (type === 'end') source?.close()
      if (type !== 'error') return
      // What it said is final for the place where the stream was: it begins anew, from now on.
      source?.close()
      again = setTimeout(open, againMs)
    }
    const closed = async (): Promise<void> => {
      const refusal = await refusalOf(url, over.signal)
      if (over.signal.aborted) return
      if (refusal === undefined) again = setTimeout(open, againMs)
      else tell([{ type: 'error', id: '', data: refusal }])
    }
    const open = (): void => {
      const opened = new EventSource(url)
      source = opened
      tellState('connecting')
      if (readyType === undefined) opened.onopen = () => tellState('open')
      else opened.addEventListener(readyType, () => tellState('open'))
      opened.onerror = () => {
        const isClosed = opened.readyState === EventSource.CLOSED
        tellState(isClosed ? 'closed' : 'connecting')
        // As a server does that is still starting: for the browser that is final.
        if (isClosed) void closed()
      }
      for (const type of names.split(',')) opened.addEventListener(type, (event) => heard(type, event as MessageEvent<string>))
    }
    open()
    return () => {
      over.abort()
      source?.close()
      clearTimeout(again)
      clearTimeout(resting)
      if (frame !== undefined) cancelAnimationFrame(frame)
      if (waiting.length > 0) tell(waiting)
    }
  }, [url, names, readyType])
}
