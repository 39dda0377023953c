import { useCallback, useEffect, useSyncExternalStore } from 'react'
import type { ChannelOptions, ChannelState, Present } from '../channels/live-channel.js'
import { useTidemark } from './tidemark-context.js'

export interface PresenceResult<Meta extends object> {
  readonly state: ChannelState
  /** By key, what each connection says of itself. */
  readonly present: Present<Meta>
}

const nobody: Present = {}

/** Who is on a topic. With `me` this client is there too while the component is mounted, and says that of itself. */
export const usePresence = <Meta extends object = Record<string, unknown>>(
  topic: string,
  me?: Meta,
  options: ChannelOptions = {},
): PresenceResult<Meta> => {
  const tidemark = useTidemark()
  const channel = tidemark.channel(topic, options)
  const subscribe = useCallback((changed: () => void) => channel.onChange(changed), [channel])
  const present = useSyncExternalStore(
    subscribe,
    () => channel.present,
    () => nobody,
  )
  const state = useSyncExternalStore(
    subscribe,
    () => channel.state,
    () => 'connecting' as const,
  )
  const said = me === undefined ? undefined : JSON.stringify(me)
  useEffect(() => {
    if (said === undefined) return
    void channel.track(JSON.parse(said))
    return () => void channel.track(undefined)
  }, [channel, said])
  return { state, present: present as Present<Meta> }
}
