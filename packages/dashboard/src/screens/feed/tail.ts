import { useState } from 'react'
import type { ToldChange, ToldReset } from 'tidemark/admin'
import { type ServerEvent, useEvents } from '../../api/use-events.ts'
import { useLive } from '../../shell/live.tsx'

/** A change as the list keeps it; numbered, since one transaction has one position. */
export interface TailRow {
  readonly n: number
  readonly told: ToldChange | ToldReset
}

export interface Tail {
  /** The newest first. */
  readonly rows: readonly TailRow[]
  /** All that came since the screen was opened. */
  readonly seen: number
  readonly state: 'connecting' | 'open' | 'closed'
  readonly error: { readonly code: string; readonly message: string; readonly fix?: string } | undefined
  clear(): void
}

export const maxRows = 5_000

/** The requests of this very page make rows of their own: shown only to who asks for them. */
const ownTable = 'public.api_metrics'

/** Adds what came since the last frame, however much it is, in one step. */
export const added = (rows: readonly TailRow[], seen: number, events: readonly ServerEvent[]): readonly TailRow[] => {
  const fresh = events.map(({ data }, at): TailRow => ({ n: seen + at, told: data as TailRow['told'] }))
  return [...fresh.reverse(), ...rows].slice(0, maxRows)
}

/** That the reading began is said by the state. */
const isShown = ({ type, data }: ServerEvent, tables: string | undefined): boolean => {
  if (type === 'reset') return (data as ToldReset).reason !== 'start'
  return type === 'change' && (tables !== undefined || (data as ToldChange).table !== ownTable)
}

const types = ['change', 'reset', 'error']

/** The changes as they come. Paused, nothing is listened to; live again, it goes on where Redis still keeps what was missed, else from now on. */
export const useTail = (tables: string | undefined): Tail => {
  const { isLive } = useLive()
  const [kept, setKept] = useState<{ readonly rows: readonly TailRow[]; readonly seen: number }>({ rows: [], seen: 0 })
  const [state, setState] = useState<Tail['state']>('connecting')
  const [error, setError] = useState<Tail['error']>()
  const query = tables === undefined ? '' : `?${new URLSearchParams({ tables })}`
  useEvents({
    url: isLive ? `/admin/v1/feed/tail${query}` : undefined,
    types,
    readyType: 'listening',
    onState: (next) => {
      setState(next)
      if (next === 'open') setError(undefined)
    },
    onEvents: (events) => {
      const failed = events.find(({ type }) => type === 'error')
      if (failed) setError(failed.data as Tail['error'])
      const told = events.filter((event) => isShown(event, tables))
      setKept(({ rows, seen }) => ({ rows: added(rows, seen, told), seen: seen + told.length }))
    },
  })
  return { ...kept, state: isLive ? state : 'closed', error, clear: () => setKept({ rows: [], seen: 0 }) }
}
