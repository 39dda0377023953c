import type { LiveSpec } from '../live/live-spec.js'
import type { RegisteredDatabase } from '../register.js'
import type { RowOf, TableName } from '../schema.js'
import { type LiveQueryResult, type UseLiveQueryOptions, useLiveQuery } from './use-live-query.js'

export interface RowResult<Row extends object> extends Omit<LiveQueryResult<Row>, 'rows' | 'hasMore' | 'isPending' | 'idOf'> {
  /** Undefined while it is not known; null where there is none. */
  readonly row: Row | null | undefined
  /** It is shown before the server has said so. */
  readonly isPending: boolean
}

/** One row, kept live. `key`: the primary key, as `{ id: 7 }`, or the bare value of `id`. */
export const useRow = <Name extends TableName<RegisteredDatabase>>(
  table: Name,
  key: string | number | Partial<RowOf<RegisteredDatabase, Name>>,
  options?: UseLiveQueryOptions,
): RowResult<RowOf<RegisteredDatabase, Name>> => {
  const where = typeof key === 'object' ? key : { id: key }
  const spec = { where, key: Object.keys(where) } as unknown as LiveSpec<RowOf<RegisteredDatabase, Name>>
  const { rows, state, isLoading, error, refresh, isPending } = useLiveQuery(table, spec, options)
  const [row] = rows
  return {
    row: row ?? (isLoading ? undefined : null),
    isPending: row !== undefined && isPending(row),
    state,
    isLoading,
    error,
    refresh,
  }
}
