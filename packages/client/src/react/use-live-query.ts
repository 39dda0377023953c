import { useMemo } from 'react'
import type { LiveSnapshot } from '../live/live-query.js'
import type { LiveSpec } from '../live/live-spec.js'
import type { RegisteredDatabase } from '../register.js'
import type { RowOf, TableName } from '../schema.js'
import { useTidemark } from './tidemark-context.js'
import { useLiveView } from './use-live-view.js'
import { useView } from './use-view.js'

export interface LiveQueryResult<Row extends object> extends LiveSnapshot<Row> {
  /** Reads everything anew. */
  refresh(): Promise<void>
}

export interface UseLiveQueryOptions {
  /** False: nothing is asked, and nothing told. Default true. */
  readonly enabled?: boolean
}

/** Rows of a table, kept live while the component is mounted. Components that ask for the same share one channel. */
export const useLiveQuery = <Name extends TableName<RegisteredDatabase>>(
  table: Name,
  spec: LiveSpec<RowOf<RegisteredDatabase, Name>> = {},
  { enabled = true }: UseLiveQueryOptions = {},
): LiveQueryResult<RowOf<RegisteredDatabase, Name>> => {
  const tidemark = useTidemark()
  const view = useView(tidemark, table, spec)
  const snapshot = useLiveView(tidemark.url, view, enabled)
  return useMemo(() => ({ ...snapshot, refresh: view.refresh }), [snapshot, view])
}
