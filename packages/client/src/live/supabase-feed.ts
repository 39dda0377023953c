import type { RealtimeChannel, SupabaseClient } from '@supabase/supabase-js'
import type { Position } from '../position.js'
import { renewToken } from '../renew-token.js'
import type { AnyRow } from '../schema.js'
import type { RowChange } from './live-rows.js'
import type { ResolvedSpec } from './live-spec.js'
import type { Feed, FeedListener, OpenFeed } from './ports.js'

interface Payload {
  readonly eventType: 'INSERT' | 'UPDATE' | 'DELETE'
  readonly new: AnyRow
  readonly old: AnyRow
  readonly errors?: readonly string[] | null
}

/** What servers say besides changes. Those of Supabase say less. */
interface SystemMessage {
  readonly extension?: string
  readonly status?: string
  readonly message?: string
  readonly position?: Position
  readonly until?: Position
  readonly gap?: { readonly position: Position }
}

const reopenMs = { first: 1_000, most: 30_000 }

/** `Error 206`: what an update did not touch is left out. Of anything else that is left out nobody knows what it is. */
const changeOf = ({ eventType, new: row, old, errors }: Payload): RowChange => {
  if (eventType === 'DELETE') return { kind: 'gone', row: old }
  const inserted = eventType === 'INSERT'
  if (!errors || errors.length === 0) return { kind: 'put', row, inserted }
  return errors.every((error) => error.startsWith('Error 206'))
    ? { kind: 'put', row, inserted, partial: true }
    : { kind: 'unknown' }
}

const bindingsOf = ({ table, filter, tests, key }: ResolvedSpec) => {
  const all = { schema: 'public', table }
  if (filter === undefined) return [{ ...all, event: '*' as const }]
  // Of a row that is gone the log may tell nothing but the key.
  if (tests.every(({ column }) => key.includes(column))) return [{ ...all, event: '*' as const, filter }]
  return [
    { ...all, event: 'INSERT' as const, filter },
    { ...all, event: 'UPDATE' as const, filter },
    { ...all, event: 'DELETE' as const },
  ]
}

let channels = 0

class SupabaseFeed implements Feed {
  readonly #supabase: SupabaseClient
  readonly #spec: ResolvedSpec
  readonly #listener: FeedListener
  #channel: RealtimeChannel | undefined
  /** Sent with each join, as it is then. */
  #broadcast: { readonly self: false; position: Position | true } = { self: false, position: true }
  #isJoined = false
  /** Told since the last position; undefined where the server tells none. */
  #turn: RowChange[] | undefined
  #reopening: ReturnType<typeof setTimeout> | undefined
  #closed = 0

  constructor(supabase: SupabaseClient, spec: ResolvedSpec, listener: FeedListener) {
    this.#supabase = supabase
    this.#spec = spec
    this.#listener = listener
  }

  get isJoined(): boolean {
    return this.#isJoined
  }

  join(position: Position | undefined): void {
    if (this.#channel || this.#reopening !== undefined) return
    this.#broadcast = { self: false, position: position ?? true }
    this.#open()
  }

  moveTo(position: Position | undefined): void {
    // What a join said that is under way must not be forgotten.
    if (this.#isJoined && position !== undefined) this.#broadcast.position = position
  }

  leave(): void {
    clearTimeout(this.#reopening)
    this.#reopening = undefined
    this.#isJoined = false
    const channel = this.#channel
    this.#channel = undefined
    if (channel) void this.#supabase.removeChannel(channel)
  }

  #open(): void {
    this.#reopening = undefined
    channels += 1
    const config = { broadcast: this.#broadcast }
    const channel = this.#supabase.channel(`live:${this.#spec.table}:${channels}`, { config })
    this.#channel = channel
    const own =
      <T>(work: (told: T) => void) =>
      (told: T): void => {
        if (this.#channel === channel) work(told)
      }
    const took = own((payload: unknown) => this.#took(changeOf(payload as Payload)))
    // biome-ignore lint/suspicious/noExplicitAny: one overload for each event
    for (const binding of bindingsOf(this.#spec)) channel.on('postgres_changes', binding as any, took)
    channel.on(
      'system',
      {},
      own((message: SystemMessage) => this.#heard(message)),
    )
    channel.subscribe((status, error) => own((told: string) => this.#became(told, error))(status))
  }

  #became(status: string, error: Error | undefined): void {
    if (status === 'SUBSCRIBED') {
      this.#closed = 0
      this.#isJoined = true
      this.#turn = undefined
      this.#listener.joined(this.#broadcast.position !== true)
      return
    }
    this.#isJoined = false
    this.#turn = undefined
    renewToken(this.#supabase, error?.message)
    if (status === 'CLOSED') this.#reopen()
    // That the line is cut is no reason that anybody could do something about.
    this.#listener.lost(this.#supabase.realtime.isConnected() ? error : undefined)
  }

  /** A server that ends a channel means it: nobody else opens it again. */
  #reopen(): void {
    this.#channel = undefined
    const delayMs = Math.min(reopenMs.first * 2 ** this.#closed, reopenMs.most)
    this.#closed += 1
    this.#reopening = setTimeout(() => this.#open(), delayMs)
  }

  #took(change: RowChange): void {
    if (this.#turn) this.#turn.push(change)
    else this.#listener.turn([change], undefined)
  }

  #heard({ extension, status, message = '', position, until, gap }: SystemMessage): void {
    if (extension === 'tidemark' && position !== undefined) {
      const told = this.#turn ?? []
      this.#turn = []
      this.#listener.turn(told, position, until)
    } else if (extension === 'postgres_changes' && status === 'error') {
      if (gap || this.#turn) this.#turn = []
      if (message.startsWith('Unable to subscribe')) {
        this.#isJoined = false
        this.#listener.lost(new Error(message))
      } else this.#listener.gap(gap?.position)
    } else if (status === 'error') renewToken(this.#supabase, message)
  }
}

/** Changes by channels of supabase-js, of servers that tell positions and of those that do not. */
export const createSupabaseFeeds =
  (supabase: SupabaseClient): OpenFeed =>
  (spec, listener) =>
    new SupabaseFeed(supabase, spec, listener)
