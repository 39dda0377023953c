import { useMutation as useTask } from '@tanstack/react-query'
import type { LiveSpec } from '../live/live-spec.js'
import type { RegisteredDatabase } from '../register.js'
import type { RowOf, TableName } from '../schema.js'
import { useTidemark } from './tidemark-context.js'
import type { LiveQueryResult, UseLiveQueryOptions } from './use-live-query.js'
import { useLiveView } from './use-live-view.js'
import { useView } from './use-view.js'

export interface InfiniteRowsOptions<Row extends object> extends Omit<LiveSpec<Row>, 'limit'>, UseLiveQueryOptions {
  /** Default 50. */
  readonly pageSize?: number
}

export interface InfiniteRowsResult<Row extends object> extends Omit<LiveQueryResult<Row>, 'hasMore'> {
  readonly hasNextPage: boolean
  readonly isFetchingNextPage: boolean
  fetchNextPage(): void
}

/** Rows page by page, all of them live, also those that were fetched before. */
export const useInfiniteRows = <Name extends TableName<RegisteredDatabase>>(
  table: Name,
  { pageSize = 50, enabled = true, ...spec }: InfiniteRowsOptions<RowOf<RegisteredDatabase, Name>> = {},
): InfiniteRowsResult<RowOf<RegisteredDatabase, Name>> => {
  const tidemark = useTidemark()
  const asked = { ...spec, limit: pageSize } as LiveSpec<RowOf<RegisteredDatabase, Name>>
  const view = useView(tidemark, table, asked)
  const { hasMore, ...snapshot } = useLiveView(tidemark.url, view, enabled)
  const { mutate, isPending } = useTask({ mutationFn: () => view.loadMore(pageSize), networkMode: 'always' })
  return {
    ...snapshot,
    refresh: view.refresh,
    hasNextPage: hasMore,
    isFetchingNextPage: isPending,
    fetchNextPage: () => {
      if (hasMore && !isPending) mutate()
    },
  }
}
