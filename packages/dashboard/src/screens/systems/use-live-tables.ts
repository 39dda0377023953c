import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import type { SystemPlace } from 'tidemark/admin'
import { useEvents } from '../../api/use-events.ts'
import { useLive } from '../../shell/live.tsx'

/** However much changes: the answer is asked for so often at most. */
const atMostEveryMs = 500

/**
 * Asks anew for `path` whenever one of the tables changed. Tells whether that is listened to; where it is not, as in another database than the
 * project's, whose changes the feed does not tell, the screen looks now and then.
 */
export const useLiveTables = (path: string, tables: readonly string[], place: SystemPlace | undefined): boolean => {
  const isFollowed = place?.isPresent === true && place.database === null
  const client = useQueryClient()
  const { isLive } = useLive()
  const [isOpen, setOpen] = useState(false)
  const waiting = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(waiting.current), [])
  useEvents({
    url: isLive && isFollowed ? `/admin/v1/feed/tail?${new URLSearchParams({ tables: tables.join(',') })}` : undefined,
    types: ['change', 'reset', 'error'],
    onState: (state) => setOpen(state === 'open'),
    onEvents: (events) => {
      if (events.some(({ type }) => type === 'error')) setOpen(false)
      if (waiting.current !== undefined || events.every(({ type }) => type === 'error')) return
      waiting.current = setTimeout(() => {
        waiting.current = undefined
        void client.invalidateQueries({ queryKey: [path] })
      }, atMostEveryMs)
    },
  })
  return isOpen && isLive && isFollowed
}
