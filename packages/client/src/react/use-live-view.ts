import { skipToken, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useMemo } from 'react'
import type { LiveSnapshot } from '../live/live-query.js'
import type { LiveView } from '../live/live-view.js'
import { bindView } from './bind-view.js'

/** The snapshot of a view, which is kept live while the component is mounted. */
export const useLiveView = <Row extends object>(url: string, view: LiveView<Row>, enabled = true): LiveSnapshot<Row> => {
  const client = useQueryClient()
  const key = useMemo(() => ['tidemark', url, view.name], [url, view.name])
  const { data } = useQuery<LiveSnapshot<Row>>({
    queryKey: key,
    // Nobody fetches it: it is written when it changes.
    queryFn: skipToken,
    initialData: () => view.snapshot(),
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  })
  useEffect(() => (enabled ? bindView(client, key, view) : undefined), [client, key, view, enabled])
  return data ?? view.snapshot()
}
