import { useCallback, useEffect, useRef, useSyncExternalStore } from 'react'
import type { ChannelMessage, ChannelOptions, ChannelState } from '../channels/live-channel.js'
import { useTidemark } from './tidemark-context.js'

export interface UseChannelOptions extends ChannelOptions {
  /** Called with each broadcast while the component is mounted. */
  readonly onMessage?: (message: ChannelMessage) => void
}

export interface ChannelResult {
  readonly state: ChannelState
  readonly error: Error | undefined
  /** Resolves to `ok`, or to what went wrong. */
  send(event: string, payload: object): Promise<string>
}

/** Nothing is joined where a page is rendered ahead. */
const onServer = (): ChannelState => 'connecting'

/** Broadcasts on a topic: what others say, and a way to say something. Components on one topic share one channel. */
export const useChannel = (topic: string, { onMessage, ...options }: UseChannelOptions = {}): ChannelResult => {
  const tidemark = useTidemark()
  const channel = tidemark.channel(topic, options)
  const listener = useRef(onMessage)
  useEffect(() => {
    listener.current = onMessage
  })
  useEffect(() => channel.onMessage((message) => listener.current?.(message)), [channel])
  const subscribe = useCallback((changed: () => void) => channel.onChange(changed), [channel])
  const state = useSyncExternalStore(subscribe, () => channel.state, onServer)
  const send = useCallback((event: string, payload: object) => channel.send(event, payload), [channel])
  return { state, error: channel.error, send }
}
