import { isTidemarkError, reasonOf, TidemarkError } from '../../errors.js'
import type { FeedReset, Follower, TransactionPiece } from '../../feed/feed.js'
import { formatPosition } from '../../feed/position.js'
import { type HealthFinding, type Logger, type Metrics, type Signals, silentLogger } from '../../observability/observability.js'
import { createBreaker } from '../../resilience/breaker.js'
import type { Breaker, BreakerRules } from '../../resilience/resilience.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { createMemoryQueue } from './memory-queue.js'
import type { Relay, RelayChange, RelayHandler, RelayMessage, RelayQueue, RelayRule, RelayStatus, RelayTarget } from './relay.js'
import { compileRules, gapMessage } from './relay-rules.js'
import { Sender } from './sender.js'

export interface RelayOptions {
  /** Names it in status, metrics and the database. Default `relay`. */
  readonly name?: string
  readonly target: RelayTarget
  readonly rules: readonly RelayRule[]
  /** Followed for handlers alone, as `schema.table`. */
  readonly tables?: readonly string[]
  /** Default: in memory. {@link createOutboxQueue} keeps what waits over restarts. */
  readonly queue?: RelayQueue
  /**
   * Whether this process forwards, asked at each transaction; for a queue in memory, where several processes follow. Default: always. With a queue
   * in Postgres all may: one of them sends.
   */
  readonly isActive?: () => boolean
  /** When the target is left alone, and for how long. Default: 5 failures within a minute, then 30 s, doubled with each probe that fails. */
  readonly breaker?: Partial<BreakerRules>
  /** An answer that takes longer counts as a failure of the target, though not of the message. Default 3 s. */
  readonly slowMs?: number
  /** Requests at a time. Default 4. */
  readonly lanes?: number
  /** How often a durable queue is looked at where nothing wakes it. Default 500 ms. */
  readonly pollMs?: number
  /** Called when realtime goes off, and when it is back (R60). */
  readonly onSwitch?: (isOn: boolean) => void
  readonly signals?: Signals
  readonly metrics?: Metrics
  readonly log?: Logger
  readonly clock?: Clock
  /** From 0 up to 1. */
  readonly random?: () => number
}

/** What a target gets at a time is small, and one that is back takes all of it: one probe tells. */
const whenLeftAlone: Partial<BreakerRules> = {
  failureThreshold: 5,
  windowMs: 60_000,
  recoveryTimeoutMs: 30_000,
  maxRecoveryTimeoutMs: 600_000,
  jitter: 0,
  successesToClose: 1,
}

type Outcome = 'sent' | 'repeated' | 'dropped' | 'refused' | 'failed'

class FeedRelay implements Relay {
  readonly name: string
  readonly follower: Follower
  readonly healthCheck: Relay['healthCheck']
  readonly #options: RelayOptions
  readonly #queue: RelayQueue
  readonly #rules: ReturnType<typeof compileRules>
  readonly #breaker: Breaker
  readonly #sender: Sender
  readonly #clock: Clock
  readonly #log: Logger
  readonly #handlers = new Map<string, Set<RelayHandler>>()
  readonly #counts: Record<Outcome, number> = { sent: 0, repeated: 0, dropped: 0, refused: 0, failed: 0 }
  readonly #measure: (outcome: Outcome, by: number) => void
  readonly #stopping = new AbortController()
  #sending: Promise<void> | undefined
  #lastError: string | null = null
  #lastSentAt: number | null = null
  #lagMs: number | null = null
  #wasActive = true

  constructor(options: RelayOptions) {
    const { name = 'relay', clock = systemClock, log = silentLogger, random = Math.random } = options
    this.name = name
    this.#options = options
    this.#clock = clock
    this.#log = log
    this.#queue = options.queue ?? createMemoryQueue()
    const counter = options.metrics?.counter('tidemark_relay_events_total', 'Events that relays forward.', ['relay', 'outcome'])
    this.#measure = (outcome, by) => counter?.add(by, { relay: name, outcome })
    this.#rules = compileRules(options.rules, options.tables ?? [], (error, { table, id }) => {
      this.#lastError = reasonOf(error)
      this.#count('refused', 1)
      log.error('a rule of the relay failed; its change is not told', { table, id, err: error })
    })
    this.#breaker = this.#makeBreaker()
    this.#sender = new Sender({
      queue: this.#queue,
      target: options.target,
      breaker: this.#breaker,
      lanes: options.lanes ?? 4,
      slowMs: options.slowMs ?? 3_000,
      pollMs: this.#queue.isDurable ? (options.pollMs ?? 500) : 60_000,
      clock,
      log,
      random,
      onSent: (messages) => this.#sent(messages),
      onRefused: () => this.#count('refused', 1),
      onFailed: (reason) => {
        this.#lastError = reason
        this.#count('failed', 1)
      },
    })
    this.follower = this.#makeFollower()
    this.healthCheck = { name: `relay ${name}`, critical: false, check: () => this.#finding() }
  }

  #makeBreaker(): Breaker {
    const { breaker, signals, onSwitch } = this.#options
    return createBreaker({
      ...whenLeftAlone,
      ...breaker,
      service: `relay ${this.name}`,
      isFailure: (error) => !isTidemarkError(error, 'TM_REALTIME_RELAY_REFUSED'),
      onTransition: ({ from, to }) => {
        if (to === 'CLOSED') onSwitch?.(true)
        if (from === 'CLOSED' && to === 'OPEN') onSwitch?.(false)
        this.#sender.wake()
      },
      clock: this.#clock,
      log: this.#log,
      ...(signals && { signals }),
    })
  }

  #makeFollower(): Follower {
    const shared = {
      name: `relay:${this.name}`,
      tables: this.#rules.tables,
      apply: (piece: TransactionPiece) => this.#apply(piece),
      reset: (reset: FeedReset) => this.#reset(reset),
    }
    if (!this.#queue.isDurable) return shared
    return {
      ...shared,
      stored: () => this.#queue.stored(),
      passed: async (position) => void (await this.#queue.add([], position)),
    }
  }

  async #apply(piece: TransactionPiece): Promise<void> {
    const isActive = this.#options.isActive?.() ?? true
    if (isActive && !this.#wasActive) await this.#announce('resumed', `${formatPosition(piece.position)}`)
    this.#wasActive = isActive
    if (!isActive) return
    const { messages, changes } = this.#rules.apply(piece, (table) => this.#handlers.has(table))
    // Where nothing is told nothing need be written; a quiet relay stores how far it is in `passed`.
    // A piece of a large transaction that is not its end leaves the position where it is: all of it comes again after a crash.
    if (messages.length > 0) await this.#add(messages, piece.last ? piece.position : undefined)
    for (const change of changes) this.#handle(change)
  }

  async #add(messages: readonly RelayMessage[], position?: TransactionPiece['position']): Promise<void> {
    const { added, dropped } = await this.#queue.add(messages, position)
    this.#count('repeated', messages.length - added)
    this.#count('dropped', dropped)
    this.#sender.wake()
  }

  /** Channels whose name is known beforehand hear that something may be missing. */
  async #announce(reason: string, id: string): Promise<void> {
    await this.#add(this.#rules.channels().map((channel) => gapMessage(channel, reason, `${reason}-${id}`)))
  }

  async #reset({ reason, position }: FeedReset): Promise<void> {
    if (reason === 'purgesChanged') return
    // A durable relay that has never read begins here; one in memory may have been away.
    if (reason === 'start' && this.#queue.isDurable) return
    if (!(this.#options.isActive?.() ?? true)) {
      this.#wasActive = false
      return
    }
    await this.#announce('lost', formatPosition({ epoch: position.epoch, number: position.number }))
  }

  #handle(change: RelayChange): void {
    for (const handler of this.#handlers.get(`${change.schema}.${change.table}`) ?? []) {
      void (async () => handler(change))().catch((err: unknown) => {
        this.#log.error('a handler of the relay failed', { table: change.table, err })
      })
    }
  }

  #sent(messages: readonly RelayMessage[]): void {
    this.#lastSentAt = this.#clock.now()
    const committedAt = messages.at(-1)?.committedAt
    if (committedAt) this.#lagMs = Math.max(0, this.#lastSentAt - committedAt.getTime())
    this.#count('sent', messages.length)
  }

  #count(outcome: Outcome, by: number): void {
    if (by <= 0) return
    this.#counts[outcome] += by
    this.#measure(outcome, by)
  }

  start(): void {
    if (this.#sending) throw new TidemarkError('TM_INTERNAL', { reason: 'a relay is started once' })
    this.#sending = this.#sender.run(this.#stopping.signal)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#sending
    await this.#queue.release().catch((err: unknown) => this.#log.debug('the lease of the relay runs out by itself', { err }))
  }

  async getStatus(): Promise<RelayStatus> {
    const { state } = this.#breaker.read()
    const queued = await this.#queue.size()
    const { sent, repeated, dropped, refused, failed } = this.#counts
    const isRunning = this.#sending !== undefined && !this.#stopping.signal.aborted
    return {
      name: this.name,
      target: this.#options.target.name,
      state: !isRunning ? 'stopped' : state === 'CLOSED' ? 'running' : 'off',
      durable: this.#queue.isDurable,
      breaker: state,
      queued,
      sent,
      repeated,
      dropped,
      refused,
      failures: failed,
      lastError: this.#lastError,
      lastSentAt: this.#lastSentAt === null ? null : new Date(this.#lastSentAt).toISOString(),
      lagMs: this.#lagMs,
      handlers: [...this.#handlers.values()].reduce((sum, { size }) => sum + size, 0),
    }
  }

  async #finding(): Promise<HealthFinding> {
    const { state, target, queued, lagMs } = await this.getStatus()
    if (state === 'stopped') return { status: 'down', detail: 'it does not run' }
    if (state === 'off') return { status: 'degraded', detail: `${target} is left alone for a while; ${queued} events wait` }
    return { status: 'up', detail: lagMs === null ? 'nothing sent yet' : `the last event took ${lagMs} ms` }
  }

  addEventHandler(table: string, handler: RelayHandler): () => void {
    if (!this.#rules.tables.includes(table))
      throw new TidemarkError('TM_REALTIME_RELAY_TABLE', { relay: this.name, table, tables: this.#rules.tables.join(', ') })
    const handlers = this.#handlers.get(table) ?? new Set()
    this.#handlers.set(table, handlers)
    handlers.add(handler)
    return () => void handlers.delete(handler)
  }

  publish(messages: readonly RelayMessage[]): Promise<void> {
    return this.#add(messages)
  }

  wake(): void {
    this.#sender.wake()
  }
}

/** Makes the relay of one target. It is told of changes by `follower`, and sends from `start` to `stop`. */
export const createRelay = (options: RelayOptions): Relay => new FeedRelay(options)
