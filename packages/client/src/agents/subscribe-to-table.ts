import type { SupabaseClient } from '@supabase/supabase-js'
import { jsonEqual } from '../json-equal.js'
import type { RowChange } from '../live/live-rows.js'
import { resolveSpec } from '../live/live-spec.js'
import { createSupabaseFeeds } from '../live/supabase-feed.js'
import type { AnyRow } from '../schema.js'

export interface TableUpdate<Row extends object> {
  /** `GAP`: changes may be missing, fetch again what you show. */
  readonly eventType: 'INSERT' | 'UPDATE' | 'DELETE' | 'GAP'
  readonly table: string
  /** Empty for a DELETE and a GAP. */
  readonly new: Row | Record<string, never>
  /** The key of a row that is gone. */
  readonly old: Partial<Row>
}

export interface Subscription {
  /** Nothing is told after it returned. */
  unsubscribe(): void
}

/** Versions go up: what comes late, or once more, is nothing new (C60). */
const isNew = (seen: AnyRow | undefined, row: AnyRow): boolean => {
  if (!seen) return true
  const [before, now] = [Number(seen['version']), Number(row['version'])]
  return now > before || (!(now < before) && !jsonEqual(seen, row))
}

/** Tells each change of a table once, from now on, over lost connections too. */
export const subscribeToTable = <Row extends object>(
  supabase: SupabaseClient,
  table: string,
  callback: (update: TableUpdate<Row>) => void,
): Subscription => {
  const seen = new Map<unknown, AnyRow>()
  const tell = (eventType: TableUpdate<Row>['eventType'], row: AnyRow = {}, old: AnyRow = {}): void =>
    callback({ eventType, table, new: row as TableUpdate<Row>['new'], old: old as Partial<Row> })

  const put = (row: AnyRow, inserted: boolean): void => {
    if (!isNew(seen.get(row['id']), row)) return
    seen.set(row['id'], row)
    tell(inserted ? 'INSERT' : 'UPDATE', row)
  }

  const take = (change: RowChange): void => {
    if (change.kind === 'put') put(change.row, change.inserted === true)
    else if (change.kind === 'unknown') tell('GAP')
    else {
      seen.delete(change.row['id'])
      tell('DELETE', {}, change.row)
    }
  }

  let wasJoined = false
  const feed = createSupabaseFeeds(supabase)(resolveSpec(table, {}), {
    joined: (named) => {
      if (wasJoined && !named) tell('GAP')
      wasJoined = true
    },
    turn: (changes, position) => {
      for (const change of changes) take(change)
      feed.moveTo(position)
    },
    gap: (position) => {
      tell('GAP')
      feed.moveTo(position)
    },
    lost: () => undefined,
  })
  feed.join(undefined)
  return { unsubscribe: () => feed.leave() }
}
