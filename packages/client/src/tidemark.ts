import { createClient, type SupabaseClient, type SupabaseClientOptions } from '@supabase/supabase-js'
import { type ChannelOptions, type LiveChannel, LiveChannels } from './channels/live-channel.js'
import { followUser } from './follow-user.js'
import { LiveQueries } from './live/live-queries.js'
import { type LiveSpec, resolveSpec } from './live/live-spec.js'
import { createLiveView, type LiveView } from './live/live-view.js'
import type { LiveState } from './live/states.js'
import { createSupabaseFeeds } from './live/supabase-feed.js'
import { createSupabasePages } from './live/supabase-pages.js'
import { type MutateOptions, Mutations } from './mutations/mutations.js'
import { followPage } from './page-events.js'
import { createPositionFetch, type Fetch } from './position-fetch.js'
import type { RegisteredDatabase } from './register.js'
import type { AnyDatabase, AnyRow, InsertOf, RowOf, TableName, UpdateOf } from './schema.js'

export interface TidemarkOptions {
  /** Of supabase-js: `auth`, `global`, `realtime`, `accessToken`. */
  readonly supabase?: SupabaseClientOptions<'public'>
  /** How often rows are read while no changes are told. Default 30,000. */
  readonly pollMs?: number
  /** How long a lost channel is waited for before that. Default 5,000. */
  readonly graceMs?: number
  /** A page that nobody sees for so long is told nothing until somebody does. Default 10,000; `Infinity`: it is told always. */
  readonly hiddenMs?: number
  /** So long after the last one has gone who looked, a channel is left. Default 1,000. */
  readonly lingerMs?: number
  /** So long after that rows are kept for whoever comes back. Default 300,000. */
  readonly keptMs?: number
  /** What one answer of the server holds at most, its `rest.maxRows`. Default 1,000. */
  readonly maxRows?: number
}

/** How the connection is: that of the live query which is worst off, and without one that of the socket. */
export type ConnectionState = LiveState

/** A server of Tidemark, or of Supabase, as an application has it. */
export interface Tidemark<Db = RegisteredDatabase> {
  readonly url: string
  /** For everything that is not live: auth, storage, other reads and writes. */
  readonly supabase: SupabaseClient<Db>
  /** The server's own routes (`/chats`): brings key, token and the position of the last write. */
  readonly fetch: Fetch
  /** Rows that stay live. */
  live<Name extends TableName<Db>>(table: Name, spec?: LiveSpec<RowOf<Db, Name>>): LiveView<RowOf<Db, Name>>
  /** Gives the row as it is in the database. Raises MutationError, and shows the row no more. */
  insert<Name extends TableName<Db>>(table: Name, row: InsertOf<Db, Name>, options?: MutateOptions): Promise<RowOf<Db, Name>>
  /** `key`: the columns of the primary key. Raises MutationError, PGRST116 where there is no such row. */
  update<Name extends TableName<Db>>(
    table: Name,
    key: Partial<RowOf<Db, Name>>,
    values: UpdateOf<Db, Name>,
    options?: MutateOptions,
  ): Promise<RowOf<Db, Name>>
  /** Raises MutationError, PGRST116 where there is no such row. */
  delete<Name extends TableName<Db>>(table: Name, key: Partial<RowOf<Db, Name>>, options?: MutateOptions): Promise<void>
  channel(topic: string, options?: ChannelOptions): LiveChannel
  readonly connection: ConnectionState
  onConnection(listener: (state: ConnectionState) => void): () => void
  /** Leaves all channels. */
  stop(): Promise<void>
}

const defaults = {
  pollMs: 30_000,
  graceMs: 5_000,
  paceMs: 16,
  hiddenMs: 10_000,
  lingerMs: 1_000,
  keptMs: 300_000,
  maxRows: 1_000,
}

const longestMs = 2 ** 31 - 1

class Client implements Tidemark<AnyDatabase> {
  readonly url: string
  readonly supabase: SupabaseClient<AnyDatabase>
  readonly fetch: Fetch
  readonly #queries: LiveQueries
  readonly #mutations: Mutations
  readonly #channels: LiveChannels
  readonly #unfollow: readonly (() => void)[]

  constructor(url: string, key: string, { supabase: given = {}, ...rest }: TidemarkOptions) {
    this.url = url.replace(/\/+$/, '')
    const settings = { ...defaults, ...rest }
    const carried = createPositionFetch(this.url, given.global?.fetch)
    const supabase = createClient(this.url, key, { ...given, global: { ...given.global, fetch: carried.fetch } })
    this.supabase = supabase as unknown as SupabaseClient<AnyDatabase>
    this.fetch = this.#createFetch(key, carried.fetch, given)
    this.#queries = new LiveQueries({
      readPage: createSupabasePages(supabase, carried.positionOf),
      openFeed: createSupabaseFeeds(supabase),
      settings,
      lingerMs: settings.lingerMs,
      keptMs: settings.keptMs,
    })
    this.#mutations = new Mutations({ supabase, positionOf: carried.positionOf, stage: this.#queries })
    this.#channels = new LiveChannels(supabase)
    const network = (event: 'networkDown' | 'networkUp') => this.#queries.network(event)
    this.#unfollow = [
      followPage({ hidden: (isHidden) => this.#hidden(isHidden), network }, Math.min(settings.hiddenMs, longestMs)),
      followUser(supabase, () => this.#queries.reset()),
    ]
  }

  live(table: string, spec: LiveSpec = {}): LiveView<AnyRow> {
    return createLiveView(this.#queries, resolveSpec(table, spec))
  }

  insert(table: string, row: AnyRow, options?: MutateOptions): Promise<AnyRow> {
    return this.#mutations.insert(table, row, options)
  }

  update(table: string, key: AnyRow, values: AnyRow, options?: MutateOptions): Promise<AnyRow> {
    return this.#mutations.update(table, key, values, options)
  }

  delete(table: string, key: AnyRow, options?: MutateOptions): Promise<void> {
    return this.#mutations.delete(table, key, options)
  }

  channel(topic: string, options?: ChannelOptions): LiveChannel {
    return this.#channels.get(topic, options)
  }

  get connection(): ConnectionState {
    return this.#queries.state ?? (this.supabase.realtime.isConnected() ? 'live' : 'connecting')
  }

  onConnection(listener: (state: ConnectionState) => void): () => void {
    let last = this.connection
    return this.#queries.watch(() => {
      const now = this.connection
      if (now === last) return
      last = now
      listener(now)
    })
  }

  async stop(): Promise<void> {
    for (const unfollow of this.#unfollow) unfollow()
    this.#queries.stop()
    this.#channels.stop()
    await this.supabase.removeAllChannels()
    await this.supabase.realtime.disconnect()
  }

  #hidden(isHidden: boolean): void {
    for (const part of [this.#queries, this.#channels]) {
      if (isHidden) part.pause()
      else part.resume()
    }
  }

  #createFetch(key: string, inner: Fetch, { accessToken }: SupabaseClientOptions<'public'>): Fetch {
    const tokenOf = async () =>
      (accessToken ? await accessToken() : (await this.supabase.auth.getSession()).data.session?.access_token) ?? key
    return async (input, init) => {
      const target = typeof input === 'string' ? new URL(input, this.url) : input
      const isOurs = new URL(target instanceof Request ? target.url : target).origin === new URL(this.url).origin
      const headers = new Headers(init?.headers ?? (target instanceof Request ? target.headers : undefined))
      // Keys are nobody else's business.
      if (isOurs && !headers.has('apikey')) headers.set('apikey', key)
      if (isOurs && !headers.has('authorization')) headers.set('authorization', `Bearer ${await tokenOf()}`)
      return inner(target, { ...init, headers })
    }
  }
}

/**
 * Opens a client of a server; nothing is asked before somebody looks.
 *
 * ```ts
 * const tidemark = createTidemark<Database>('http://localhost:8080', anonKey)
 * const stop = tidemark.live('notes', { order: { id: 'desc' }, limit: 50 }).subscribe(({ rows, state }) => show(rows, state))
 * await tidemark.insert('notes', { text: 'hello' })
 * ```
 */
export const createTidemark = <Db = RegisteredDatabase>(url: string, key: string, options: TidemarkOptions = {}): Tidemark<Db> =>
  new Client(url, key, options) as unknown as Tidemark<Db>
