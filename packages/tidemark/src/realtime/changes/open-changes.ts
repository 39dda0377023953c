import type { Caller } from '../../auth/caller.js'
import { TidemarkError } from '../../errors.js'
import type { Follower } from '../../feed/feed.js'
import type { Position } from '../../feed/position.js'
import type { TableId } from '../../feed/table-id.js'
import { type Logger, type Metrics, silentLogger } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import type { ChangeSubscription, Changes, Gap, ListenOptions } from '../realtime.js'
import { createChangesMetrics } from './changes-metrics.js'
import { createAskPostgres } from './filters/ask-postgres.js'
import { createFilterCompiler } from './filters/compile-filter.js'
import { CarriedTables } from './keep/carried-tables.js'
import { ChangeRing } from './keep/change-ring.js'
import { nowhere } from './keep/cursor-rows.js'
import { type Cursor, type CursorStore, createCursorStore, type Recalled } from './keep/cursor-store.js'
import { createToldTables, type FollowTables, type ToldTables } from './keep/told-tables.js'
import { type Begin, Beginnings } from './listen/beginnings.js'
import { Beholders } from './listen/beholders.js'
import { Dispatcher } from './listen/dispatcher.js'
import { ListenerState } from './listen/listener-state.js'
import { ListenerSubscription, type SubscriptionHost } from './listen/listener-subscription.js'
import { createStartPoint } from './listen/start-point.js'
import { checkBindings, type ResolveContext, type Resolved, resolveBinding, Selections } from './resolve-binding.js'
import { RingWriter } from './ring-writer.js'
import { createForeignJson } from './values/foreign-json.js'
import { createFindFacts } from './values/relation-facts.js'
import { createTableCatalogue } from './values/table-catalogue.js'
import { createTypeCatalogue } from './values/type-catalogue.js'
import type { Visibility } from './visibility-port.js'

export interface ChangesSettings {
  /** Changes of this long are kept for clients that come back. Default 300,000. */
  readonly replayWindowMs?: number
  /** Roughly, of what is kept. Default 32 MiB. */
  readonly maxReplayBytes?: number
  /** Where a client was is remembered for so long after its socket has ended. Default 300,000. */
  readonly cursorKeptMs?: number
  /** The application puts tables into it. Default `supabase_realtime`; null for none. */
  readonly publication?: string | null
  /** Tables that are told of besides those of the publication. */
  readonly tables?: readonly TableId[]
  /** How often the publication is looked at. Default 1,000. */
  readonly pollMs?: number
  /** How often listeners hear how far all has been told while it is quiet. Default 5,000. */
  readonly passEveryMs?: number
}

export interface OpenChangesOptions {
  /** The database of the feed, its primary. */
  readonly pool: Pick<Pool, 'query' | 'batch' | 'withClient'>
  readonly visibility: Visibility
  /** Makes the feed carry tables. */
  readonly follow: FollowTables
  readonly settings?: ChangesSettings
  readonly clock?: Clock
  readonly log?: Logger
  readonly metrics?: Metrics
}

export interface OpenChanges extends Changes {
  /** Becomes part of the server's node of the feed. */
  readonly follower: Follower
  /** How it is, for /metrics. */
  refresh(): void
}

/** How long a listener waits for the feed to come up. */
const startTimeoutMs = 5_000

const unavailable = (reason: string) => new TidemarkError('TM_REALTIME_UNAVAILABLE', { reason })

class FollowedChanges implements OpenChanges {
  readonly follower: Follower
  readonly #clock: Clock
  readonly #ring: ChangeRing
  readonly #dispatcher: Dispatcher
  readonly #tables: ToldTables
  readonly #cursors: CursorStore
  readonly #beholders = new Beholders()
  readonly #selections = new Selections()
  readonly #beginnings: Beginnings
  readonly #context: ResolveContext
  readonly #metrics: ReturnType<typeof createChangesMetrics> | undefined
  readonly #carried = new CarriedTables()
  readonly #host: SubscriptionHost = {
    setCaller: (state, bindings, caller) => this.#setCaller(state, bindings, caller),
    ended: (state) => {
      if (!state.closed) this.#beholders.release(state.beholder)
      this.#dispatcher.remove(state)
    },
  }
  #stopped = false

  constructor(options: OpenChangesOptions) {
    const { pool, visibility, follow, settings = {}, clock = systemClock, log = silentLogger, metrics } = options
    const { replayWindowMs = 300_000, maxReplayBytes = 32 * 1024 ** 2, cursorKeptMs = 300_000 } = settings
    const { publication = 'supabase_realtime', tables: named = [], pollMs, passEveryMs = 5_000 } = settings
    this.#clock = clock
    this.#metrics = metrics && createChangesMetrics(metrics)
    this.#ring = new ChangeRing({ maxBytes: maxReplayBytes, maxAgeMs: replayWindowMs })
    this.#dispatcher = new Dispatcher({
      ring: this.#ring,
      visibility,
      ask: createAskPostgres(pool),
      maxWaitingBytes: maxReplayBytes,
      clock,
      log,
      onGap: ({ reason }) => this.#metrics?.gap(reason),
      onTold: (lagMs) => this.#metrics?.told(lagMs),
      ended: (state) => {
        this.#metrics?.failed()
        this.#beholders.release(state.beholder)
      },
    })
    const types = createTypeCatalogue(pool)
    const catalogue = createTableCatalogue(pool, types, clock)
    this.#beginnings = new Beginnings({ ring: this.#ring, findStartPoint: createStartPoint(pool, clock) })
    this.#cursors = createCursorStore({ pool, keptMs: cursorKeptMs, clock, log })
    const added = (tables: readonly TableId[]) => writer.added(tables)
    this.#tables = createToldTables({
      pool,
      publication: publication ?? undefined,
      named,
      follow,
      added,
      clock,
      log,
      ...(pollMs !== undefined && { pollMs }),
    })
    this.#context = { tables: this.#tables, catalogue, compile: createFilterCompiler(pool), visibility }
    const writer = new RingWriter({
      ring: this.#ring,
      tables: this.#tables,
      carried: this.#carried,
      dispatcher: this.#dispatcher,
      beginnings: this.#beginnings,
      findFacts: createFindFacts(catalogue, types),
      foreignJson: createForeignJson(pool, log),
      passEveryMs,
      clock,
      log,
    })
    this.follower = writer.follower
  }

  async listen(options: ListenOptions): Promise<ChangeSubscription> {
    const { caller, bindings, from, cursor: name, returning, number } = options
    if (this.#stopped) throw unavailable('the server stops')
    checkBindings(bindings)
    await this.#begun()
    const resolved = await this.#resolve(caller.role, bindings)
    if (name === undefined) return this.#register(options, resolved, await this.#begin(options, from, resolved), undefined)
    const recalled = from || returning === false ? undefined : await this.#cursors.recall(name, number)
    const begin = await this.#begin(options, from ?? this.#remembered(recalled, returning === true), resolved)
    if (options.listener.isGone?.()) throw unavailable('the client is gone')
    // What comes while it is written is in the ring. Whoever has lost something is remembered as having it only once it knows.
    const position = begin.lost ? undefined : begin.start
    return this.#register(options, resolved, begin, await this.#cursors.open(name, { position, number, recalled }))
  }

  async #begin({ from, ordinal }: ListenOptions, wanted: Position | undefined, resolved: readonly Resolved[]): Promise<Begin> {
    if (wanted === undefined) return this.#beginnings.now()
    const own = from ? ordinal : undefined
    const isCarried = resolved.every(({ schema, table }) => table === undefined || this.#carried.has(schema, table, wanted))
    const begin = isCarried ? this.#beginnings.at(wanted, own) : undefined
    return begin ?? this.#beginnings.lost({ from: wanted, ordinal: own })
  }

  /**
   * The first of the places that are remembered; nowhere, where one is of another history. Where there is none, that is nowhere for who was here
   * before, and nothing for who perhaps was not.
   */
  #remembered(recalled: Recalled | undefined, wasHere: boolean): Position | undefined {
    const { epoch } = this.#head()
    let first: Position | undefined
    for (const position of recalled?.positions ?? []) {
      if (position.epoch !== epoch) return nowhere
      if (!first || position.number < first.number) first = position
    }
    return first ?? (wasHere ? nowhere : undefined)
  }

  #resolve(role: string, bindings: ListenOptions['bindings']): Promise<readonly Resolved[]> {
    return Promise.all(bindings.map((binding) => resolveBinding(this.#context, this.#selections, role, binding)))
  }

  async #begun(): Promise<void> {
    if (this.#ring.head) return
    await until(() => this.#ring.head, { timeoutMs: startTimeoutMs, clock: this.#clock }).catch(() => {
      throw unavailable('the feed does not run')
    })
  }

  #head(): Position {
    const { head } = this.#ring
    if (!head) throw unavailable('the feed does not run')
    return head
  }

  async #register(
    options: ListenOptions,
    resolved: readonly Resolved[],
    begin: Begin,
    cursor: Cursor | undefined,
  ): Promise<ChangeSubscription> {
    const given = await this.#inPresentHistory(begin).catch((error: unknown) => {
      cursor?.close(true)
      throw error
    })
    const { caller, listener } = options
    const {
      state: { from, ordinal },
      start,
      replaysFrom,
      lost,
      birth,
    } = given
    const state = new ListenerState({ listener, beholder: this.#beholders.take(caller), from, ordinal, start })
    state.bounds = boundsOf(state, resolved)
    state.birth = birth
    state.replaysFrom = replaysFrom
    if (lost) this.#tellLost(state, start)
    this.#dispatcher.add(state)
    const head = this.#ring.head ?? start
    return new ListenerSubscription({ start, head, beginsWithGap: lost, host: this.#host, state, cursor })
  }

  /** The feed may have begun anew since it was found. */
  async #inPresentHistory(begin: Begin): Promise<Begin> {
    let found = begin
    while (!this.#stopped && this.#head().epoch !== found.start.epoch) found = await this.#beginnings.lost(undefined)
    if (this.#stopped) throw unavailable('the server stops')
    return found
  }

  /** Once whoever listens has got its subscription, and before anything else. */
  #tellLost(state: ListenerState, position: Position): void {
    const gap: Gap = { reason: 'lost', position, message: 'What was changed since is not kept any more.' }
    setImmediate(() => {
      if (state.closed) return
      this.#metrics?.gap(gap.reason)
      state.listener.gap(gap)
      // Once it knows of that it has everything up to here.
      state.listener.passed(position)
    })
  }

  async #setCaller(state: ListenerState, bindings: ListenOptions['bindings'], caller: Caller): Promise<void> {
    const resolved = await this.#resolve(caller.role, bindings)
    if (state.closed) return
    const before = state.beholder
    this.#dispatcher.rebind(state, boundsOf(state, resolved), this.#beholders.take(caller))
    this.#beholders.release(before)
  }

  refresh(): void {
    const { listeners, waiting } = this.#dispatcher
    this.#metrics?.refresh({ listeners, waiting, bytes: this.#ring.bytes })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#dispatcher.stop()
    await this.#tables.stop()
    await this.#cursors.stop()
  }
}

const boundsOf = (state: ListenerState, resolved: readonly Resolved[]): ListenerState['bounds'] =>
  // Written out: objects of one shape cost less than those that were copied.
  resolved.map(({ event, schema, table, tests, selection }, binding) => ({
    listener: state,
    binding,
    event,
    schema,
    table,
    tests,
    selection,
  }))

/** Opens the part of realtime that tells changes of tables. Nothing is told before its follower is part of a feed. */
export const openChanges = (options: OpenChangesOptions): OpenChanges => new FollowedChanges(options)
