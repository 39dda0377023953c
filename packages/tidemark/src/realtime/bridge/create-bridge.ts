import { reasonOf, TidemarkError } from '../../errors.js'
import {
  type Change,
  type FeedReset,
  type Follower,
  isRowChange,
  ordinalOf,
  type Source,
  type TransactionPiece,
  tableName,
} from '../../feed/feed.js'
import { createFeed } from '../../feed/follow/create-feed.js'
import type { Feed } from '../../feed/follow/follow.js'
import { typedChange } from '../../feed/follow/on-tables.js'
import { formatPosition } from '../../feed/position.js'
import { type HealthFinding, type Logger, silentLogger } from '../../observability/observability.js'
import { fullJitter } from '../../resilience/backoff.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { ChangeEvent } from '../realtime.js'
import type {
  BridgeConnection,
  BridgeEvent,
  BridgeGap,
  BridgeState,
  BridgeSubscription,
  EventHandler,
  RealtimeBridge,
  SubscribeOptions,
} from './bridge.js'

export interface BridgeOptions {
  /** Opens the source of changes of the database that holds the tables; called again after it gave up. */
  readonly connect: () => Source | Promise<Source>
  /** What else is told, such as a relay to Broadcast. */
  readonly followers?: readonly Follower[]
  /** The pause before the next attempt is a random part of `baseMs`, then of twice as much …. Default 250 and 30,000. */
  readonly reconnect?: { readonly baseMs?: number; readonly maxMs?: number }
  /** A source that proves how fresh it is and has not for so long is opened anew. Default 30,000. */
  readonly heartbeatMs?: number
  readonly clock?: Clock
  readonly log?: Logger
  /** From 0 up to 1. */
  readonly random?: () => number
}

interface Subscribed {
  readonly subscription: BridgeSubscription
  readonly key: string
  readonly when: ((event: BridgeEvent) => boolean) | undefined
  readonly onGap: SubscribeOptions<unknown>['onGap']
  readonly callback: EventHandler
}

const events = { insert: 'INSERT', update: 'UPDATE', delete: 'DELETE' } as const satisfies Record<string, ChangeEvent>

const qualified = (table: string): string => (table.includes('.') ? table : `public.${table}`)

const keyOf = (record: object | null, column: string): string | null => {
  const value = (record as Record<string, unknown> | null)?.[column]
  return value === undefined || value === null ? null : String(value)
}

type Unkeyed = Omit<BridgeEvent, 'key'>

const eventOf = (change: Change, ordinal: number, { position, committedAt }: TransactionPiece): Unkeyed | undefined => {
  if (!isRowChange(change)) return undefined
  const { old, new: record } = typedChange(change)
  return {
    id: `${formatPosition({ epoch: position.epoch, number: position.number })}-${ordinal}`,
    event: events[change.kind],
    schema: change.relation.schema,
    table: change.relation.table,
    record: record as BridgeEvent['record'],
    old: old as BridgeEvent['old'],
    position,
    ordinal,
    committedAt,
  }
}

class FeedBridge implements RealtimeBridge {
  readonly healthCheck: RealtimeBridge['healthCheck']
  readonly #options: Required<Omit<BridgeOptions, 'connect' | 'reconnect'>> & Pick<BridgeOptions, 'connect'>
  readonly #reconnect: { readonly baseMs: number; readonly maxMs: number }
  readonly #subscribed = new Map<string, Subscribed>()
  readonly #handlers = new Map<string, Set<EventHandler>>()
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #feed: Feed | undefined
  #connection: BridgeConnection = 'idle'
  #attempts = 0
  #lastError: string | null = null
  #lastEventAt: number | null = null
  #provesFreshness = false

  constructor(options: BridgeOptions) {
    const { followers = [], heartbeatMs = 30_000, clock = systemClock, log = silentLogger, random = Math.random } = options
    const { baseMs = 250, maxMs = 30_000 } = options.reconnect ?? {}
    this.#options = { connect: options.connect, followers, heartbeatMs, clock, log, random }
    this.#reconnect = { baseMs, maxMs }
    this.healthCheck = { name: 'realtime bridge', critical: false, check: () => this.#finding() }
  }

  get subscriptions(): ReadonlyMap<string, BridgeSubscription> {
    return new Map([...this.#subscribed].map(([name, { subscription }]) => [name, subscription]))
  }

  get eventHandlers(): ReadonlyMap<string, ReadonlySet<EventHandler>> {
    return this.#handlers
  }

  start(): void {
    if (this.#running) throw new TidemarkError('TM_INTERNAL', { reason: 'a bridge is started once' })
    this.#running = this.#stayConnected()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
    this.#connection = 'stopped'
  }

  async #stayConnected(): Promise<void> {
    const { clock, log, random } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      this.#connection = 'connecting'
      try {
        await this.#session()
      } catch (error) {
        this.#lastError = reasonOf(error)
      }
      if (signal.aborted) return
      this.#attempts += 1
      this.#connection = 'waiting'
      const delayMs = fullJitter(this.#attempts, { ...this.#reconnect, random })
      log.warn('the bridge lost its source; it connects again', { attempts: this.#attempts, delayMs, reason: this.#lastError })
      await clock.sleep(delayMs, signal).catch(() => undefined)
    }
  }

  /** Until the source gives up, falls silent, or the bridge is stopped. */
  async #session(): Promise<void> {
    const { connect, followers, clock, log, random } = this.#options
    const source = await connect()
    this.#provesFreshness = source.guarantee === 'exact'
    const feed = createFeed({ source, followers: [this.#follower(), ...followers], clock, log, random })
    this.#feed = feed
    const ended = new AbortController()
    try {
      await feed.start(this.#stopping.signal)
      await Promise.race([feed.done, this.#watch(feed, ended.signal)])
    } finally {
      ended.abort()
      await feed.stop()
      this.#feed = undefined
    }
  }

  /** Raises when nothing was proven for too long: a connection may be dead without anybody having said so. */
  async #watch(feed: Feed, signal: AbortSignal): Promise<void> {
    const { clock, heartbeatMs } = this.#options
    const since = clock.monotonicMs()
    while (!signal.aborted) {
      await clock.sleep(heartbeatMs / 3, signal).catch(() => undefined)
      if (signal.aborted || !this.#provesFreshness) continue
      const silentMs = Math.min(feed.freshness('bridge'), clock.monotonicMs() - since)
      const isWorking = feed.health().followers.some(({ workingMs, queuedChanges }) => workingMs > 0 || queuedChanges > 0)
      if (silentMs > heartbeatMs && !isWorking)
        throw new TidemarkError('TM_REALTIME_BRIDGE_SILENT', { silentMs: Math.round(silentMs) })
    }
  }

  #follower(): Follower {
    return {
      name: 'bridge',
      // Whatever the source tells of: subscriptions come and go.
      tables: 'all',
      apply: async (piece) => {
        this.#connected()
        for (const [index, change] of piece.changes.entries()) await this.#tell(change, ordinalOf(piece, index), piece)
      },
      reset: async (reset: FeedReset) => {
        this.#connected()
        if (reset.reason !== 'purgesChanged') await this.#tellGap({ reason: 'lost' })
      },
      fresh: () => this.#connected(),
    }
  }

  #connected(): void {
    this.#connection = 'connected'
    this.#attempts = 0
  }

  async #tell(change: Change, ordinal: number, piece: TransactionPiece): Promise<void> {
    const table = tableName(change.relation)
    const told = eventOf(change, ordinal, piece)
    if (!told) return this.#tellGap({ reason: 'tableChanged', table })
    this.#lastEventAt = this.#options.clock.now()
    const withKey = (key: string): BridgeEvent => ({ ...told, key: keyOf(told.record, key) ?? keyOf(told.old, key) })
    for (const handler of this.#handlers.get(table) ?? []) await this.#call(table, () => handler(withKey('id')))
    for (const { subscription, key, when, callback } of this.#subscribed.values()) {
      if (subscription.table !== table || (subscription.event !== '*' && subscription.event !== told.event)) continue
      const event = withKey(key)
      await this.#call(subscription.name, () => (when && !when(event) ? undefined : callback(event)))
    }
  }

  async #tellGap(gap: BridgeGap): Promise<void> {
    for (const { subscription, onGap } of this.#subscribed.values())
      if (onGap && (gap.table === undefined || gap.table === subscription.table))
        await this.#call(subscription.name, () => onGap(gap))
  }

  /** One that fails harms nobody else. */
  async #call(name: string, call: () => unknown): Promise<void> {
    try {
      await call()
    } catch (err) {
      this.#options.log.error('a listener of the bridge failed', { name, err })
    }
  }

  subscribe<Row>(name: string, options: SubscribeOptions<Row>, callback: EventHandler<Row>): BridgeSubscription {
    const subscription: BridgeSubscription = {
      name,
      table: qualified(options.table),
      event: options.event ?? '*',
      unsubscribe: () => {
        if (this.#subscribed.get(name)?.subscription === subscription) this.#subscribed.delete(name)
      },
    }
    this.#subscribed.delete(name)
    this.#subscribed.set(name, {
      subscription,
      key: options.key ?? 'id',
      when: options.when as Subscribed['when'],
      onGap: options.onGap,
      callback: callback as unknown as EventHandler,
    })
    // What came before it is not told: whoever shows something fetches it now.
    if (this.#connection === 'connected' && options.onGap) void this.#call(name, () => options.onGap?.({ reason: 'lost' }))
    return subscription
  }

  addEventHandler(table: string, handler: EventHandler): () => void {
    const name = qualified(table)
    const handlers = this.#handlers.get(name) ?? new Set()
    this.#handlers.set(name, handlers)
    handlers.add(handler)
    return () => {
      handlers.delete(handler)
      if (handlers.size === 0) this.#handlers.delete(name)
    }
  }

  state(): BridgeState {
    const freshnessMs = this.#provesFreshness ? (this.#feed?.freshness('bridge') ?? Infinity) : Infinity
    return {
      connection: this.#connection,
      attempts: this.#attempts,
      subscriptions: this.#subscribed.size,
      lastError: this.#lastError,
      lastEventAt: this.#lastEventAt,
      freshnessMs: Number.isFinite(freshnessMs) ? Math.round(freshnessMs) : null,
    }
  }

  #finding(): HealthFinding {
    const { connection, attempts, freshnessMs } = this.state()
    if (connection !== 'connected')
      return { status: 'down', detail: attempts > 0 ? `${connection}, attempt ${attempts}` : connection }
    if (!this.#provesFreshness) return { status: 'degraded', detail: 'connected to a source that may lose changes' }
    if (freshnessMs === null || freshnessMs > this.#options.heartbeatMs) return { status: 'degraded', detail: 'not proven fresh' }
    return { status: 'up', detail: `fresh as of ${freshnessMs} ms ago` }
  }
}

/** Makes the bridge to one database. */
export const createBridge = (options: BridgeOptions): RealtimeBridge => new FeedBridge(options)
