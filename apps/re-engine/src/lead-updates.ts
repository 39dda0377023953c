/**
 * Changes of leads, as they are committed, whoever makes them: out of the feed of the database that holds the leads (C28), not through a service that
 * cannot see it.
 */
import { type Follower, formatPosition, onTables, type Position } from 'tidemark'
import type { Lead } from './rows.js'
import { leadColumns } from './tables.js'

export interface LeadUpdate {
  /** Of its position and its place in it. */
  readonly id: string
  readonly event: 'INSERT' | 'UPDATE' | 'DELETE'
  /** Of a DELETE that of the row that was (C29). */
  readonly leadId: string
  /** Null of a DELETE. Whoever keeps leads keeps the highest `version` (C30). */
  readonly record: Lead | null
  readonly old: Partial<Lead> | null
  readonly position: Position
  readonly committedAt: Date
}

/** `lost`: changes may be missing, fetch again. */
export interface LeadListener {
  update(update: LeadUpdate): void | Promise<void>
  gap?(reason: 'lost'): void
}

export interface LeadUpdates {
  /** For the feed. */
  readonly follower: Follower
  /** Called with each change from here on, in the order of commits. Gives what ends it. One that fails harms nobody else. */
  subscribeToLeadUpdates(callback: LeadListener['update'] | LeadListener): () => void
  readonly listeners: number
}

const times: ReadonlySet<string> = new Set([
  'status_changed_at',
  'converted_at',
  'last_contacted_at',
  'created_at',
  'updated_at',
] satisfies (keyof Lead)[])

type Row = Readonly<Record<string, unknown>>

/** As the API shows it; what is not known of an old row is left out. */
const leadOf = (row: Row | null): Partial<Lead> | null => {
  if (row === null) return null
  const columns = leadColumns.filter((name) => row[name] !== undefined)
  return Object.fromEntries(
    columns.map((name) => [name, times.has(name) && row[name] !== null ? new Date(String(row[name])).toISOString() : row[name]]),
  ) as Partial<Lead>
}

const events = { insert: 'INSERT', update: 'UPDATE', delete: 'DELETE' } as const

export const createLeadUpdates = (onFailure: (error: unknown) => void = () => {}): LeadUpdates => {
  const listeners = new Set<LeadListener>()

  const tell = async (call: (listener: LeadListener) => unknown): Promise<void> => {
    for (const listener of listeners) {
      try {
        await call(listener)
      } catch (error) {
        onFailure(error)
      }
    }
  }
  const tellGap = () => tell((listener) => listener.gap?.('lost'))

  let place = { of: '', next: 0 }
  const onLeads = onTables<{ 'public.leads': Row }>()({
    'public.leads': async ({ kind, old, new: record }, { position, committedAt }) => {
      if (kind === 'truncate' || kind === 'changed') return tellGap()
      const at = formatPosition(position)
      place = { of: at, next: place.of === at ? place.next + 1 : 0 }
      const leadId = String((record ?? old)?.['id'])
      const update: LeadUpdate = {
        ...{ id: `${at}-${place.next}`, event: events[kind], leadId, position, committedAt },
        record: leadOf(record) as Lead | null,
        old: leadOf(old),
      }
      await tell((listener) => listener.update(update))
    },
  })

  return {
    follower: {
      name: 'lead-updates',
      ...onLeads,
      reset: async ({ reason }) => {
        if (reason !== 'purgesChanged') await tellGap()
      },
    },
    subscribeToLeadUpdates: (callback) => {
      const listener: LeadListener = typeof callback === 'function' ? { update: callback } : { ...callback }
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    get listeners() {
      return listeners.size
    },
  }
}
