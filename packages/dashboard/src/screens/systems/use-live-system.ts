import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import type { SystemName, SystemPlace } from 'tidemark/admin'
import { useEvents } from '../../api/use-events.ts'
import { useLive } from '../../shell/live.tsx'

/** However much changes: the answer is asked for so often at most. */
const atMostEveryMs = 500

const types = ['listening', 'changed', 'error']

/**
 * Asks anew for what is shown of a system whenever its tables changed. Tells whether that is listened to; where it is not, as in another database than
 * the project's, whose changes the feed does not tell, the screen looks now and then.
 */
export const useLiveSystem = (system: SystemName, place: SystemPlace | undefined): boolean => {
  const client = useQueryClient()
  const { isLive } = useLive()
  const [heard, setHeard] = useState<readonly SystemName[]>([])
  const waiting = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(waiting.current), [])
  const isListened = isLive && place?.isPresent === true && place.database === null
  useEvents({
    url: isListened ? '/admin/v1/systems/changes' : undefined,
    types,
    onState: (state) => state !== 'open' && setHeard([]),
    onEvents: (events) => {
      const named = (name: string): readonly SystemName[] =>
        events.flatMap(({ type, data }) => (type === name ? (data as { readonly systems: readonly SystemName[] }).systems : []))
      if (events.some(({ type }) => type === 'error')) setHeard([])
      else if (events.some(({ type }) => type === 'listening')) setHeard(named('listening'))
      // What was committed before the listening began is asked for once more.
      if (waiting.current !== undefined || ![...named('changed'), ...named('listening')].includes(system)) return
      waiting.current = setTimeout(() => {
        waiting.current = undefined
        void client.invalidateQueries({ predicate: ({ queryKey: [path] }) => String(path).startsWith(`GET /systems/${system}`) })
      }, atMostEveryMs)
    },
  })
  return isListened && heard.includes(system)
}
