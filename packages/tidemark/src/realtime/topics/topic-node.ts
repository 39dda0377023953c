import { randomBytes } from 'node:crypto'
import type { Logger } from '../../observability/observability.js'
import type { Clock } from '../../time/clock.js'
import type { PresenceState, TopicListener, TopicMessage, TopicSubscription } from '../realtime.js'
import type { Bus } from './bus.js'
import { Occupancy, type OccupancyListener } from './occupancy.js'
import { deadAfterMs, type Elder, Peers } from './peers.js'
import { Sender } from './sender.js'
import type { TopicMetrics } from './topic-metrics.js'
import { TopicTable } from './topic-table.js'
import type { OpenTopics, Reach } from './topics.js'

export interface TopicNodeOptions {
  /** Undefined: there are no others. */
  readonly bus: Bus | undefined
  /** Why there are none. */
  readonly detail: string
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: TopicMetrics
  counted(topic: string): boolean
}

/** In no name of a topic. */
const separator = '\u0000'
const beatMs = 1_000
/** What is missed in one go is told in one. */
const gapAfterMs = 50
const answerAfterMs = 50
/** A start waits so long for what the others say of themselves before it takes itself for one that knows. */
const settleMs = 2 * beatMs
const settleAtLastMs = 30 * beatMs

/**
 * One node's part. Redis only carries: what each node says of itself lies with that node, and the others ask it. So a Redis that forgets
 * loses nothing, and a node that dies takes what it said along.
 */
export class TopicNode implements OpenTopics {
  readonly #options: TopicNodeOptions
  readonly #id = randomBytes(8).toString('hex')
  readonly #table: TopicTable
  readonly #occupancy: Occupancy
  /** Of keys, by topic and key. */
  readonly #keys: Occupancy
  readonly #sender: Sender | undefined
  readonly #peers: Peers | undefined
  readonly #ending = new AbortController()
  #refs = 0
  /** On the clock of Redis, so that who comes later is younger. Unknown until Redis answered for the first time. */
  #born: number | undefined
  #startedAtMs = 0
  #settled: boolean
  /** The last one that told. */
  #teller: Elder | undefined
  readonly #countListeners = new Set<(topic: string) => void>()
  #alone = false
  #aloneSinceMs = 0
  #gapDue = false
  #answerDue = false
  #beating: Promise<void> | undefined

  constructor(options: TopicNodeOptions) {
    this.#options = options
    const { log, clock, bus, counted } = options
    const now = () => clock.monotonicMs()
    this.#occupancy = new Occupancy({ log, now })
    this.#keys = new Occupancy({ log, now })
    this.#settled = bus === undefined
    this.#table = new TopicTable({
      log,
      watched: counted,
      newRef: () => `${this.#id}-${(++this.#refs).toString(36)}`,
      events: {
        member: (change) => this.#sender?.member(change),
        count: (topic, count) => {
          if (counted(topic)) this.#sender?.count(topic, count)
        },
        countElsewhere: (topic) => {
          for (const listener of this.#countListeners) listener(topic)
        },
        crossed: (topic, occupied) => {
          if (counted(topic)) this.#occupancy.crossed(topic, occupied)
        },
        keyCrossed: (topic, key, present) => this.#keys.crossed(`${topic}${separator}${key}`, present),
      },
    })
    if (bus === undefined) {
      this.#take(Number.NEGATIVE_INFINITY)
      return
    }
    const sender = new Sender({ node: this.#id, bus })
    this.#sender = sender
    this.#peers = new Peers({
      node: this.#id,
      table: this.#table,
      log,
      now,
      missed: () => this.#missed(),
      ask: (node) => sender.record({ type: 'ask', of: node }),
      asked: () => this.#answer(),
      message: (message) => this.#received(message),
    })
  }

  async start(): Promise<void> {
    const { bus, clock } = this.#options
    if (bus === undefined) return
    this.#startedAtMs = clock.monotonicMs()
    this.#aloneSinceMs = this.#startedAtMs
    await bus.start({
      hear: (frame) => this.#peers?.hear(frame),
      opened: () => this.#opened(),
      closed: () => this.#closed(),
    })
    if (!bus.open) this.#closed()
    this.#sender?.record({ type: 'ask', of: null })
    this.#beating = this.#beat()
  }

  subscribe(topic: string, listener: TopicListener): TopicSubscription {
    return this.#table.subscribe(topic, listener)
  }

  async publish(message: TopicMessage): Promise<void> {
    this.#options.metrics.published()
    this.#table.deliver(message)
    await this.#sender?.message(message)
  }

  async count(topic: string): Promise<number> {
    return this.#table.count(topic)
  }

  async occupied(prefix: string): Promise<ReadonlyMap<string, number>> {
    return this.#table.occupied(prefix)
  }

  onCountElsewhere(listener: (topic: string) => void): () => void {
    const own = (topic: string): void => listener(topic)
    this.#countListeners.add(own)
    return () => void this.#countListeners.delete(own)
  }

  onOccupancy(listener: OccupancyListener): () => void {
    return this.#occupancy.listen(listener)
  }

  onPresence(listener: (topic: string, key: string, present: boolean) => void): () => void {
    return this.#keys.listen((name, present) => {
      const [topic = '', key = ''] = name.split(separator)
      listener(topic, key, present)
    })
  }

  presence(topic: string): PresenceState {
    return this.#table.presence(topic)
  }

  /** Who is present through this node. */
  ownPresence(topic: string): PresenceState {
    return this.#table.ownPresence(topic)
  }

  reach(): Reach {
    const { bus, detail } = this.#options
    const others = this.#peers?.alive ?? 0
    if (bus === undefined) return { reach: 'process', others, detail }
    if (this.#alone) return { reach: 'alone', others, detail: 'Redis is down: broadcast and presence reach this server alone' }
    if (this.#peers?.deaf) return { reach: 'alone', others, detail: 'nothing is heard of Redis: other servers are not heard' }
    return {
      reach: 'nodes',
      others,
      detail: `broadcast and presence reach ${others === 1 ? 'one other server' : `${others} other servers`}`,
    }
  }

  async stop(): Promise<void> {
    if (this.#ending.signal.aborted) return
    this.#ending.abort()
    await this.#beating
    this.#sender?.record({ type: 'bye' })
    await this.#sender?.flush().catch(() => {})
    await this.#options.bus?.stop()
  }

  #received(message: TopicMessage): void {
    this.#options.metrics.received()
    this.#table.deliver(message)
  }

  async #beat(): Promise<void> {
    const { clock, bus } = this.#options
    while (!this.#ending.signal.aborted) {
      if (bus?.open) await this.#sendBeat(bus)
      else bus?.retry()
      this.#peers?.check()
      this.#settle()
      await clock.sleep(beatMs, this.#ending.signal).catch(() => {})
    }
  }

  async #sendBeat(bus: Bus): Promise<void> {
    this.#born ??= await bus.now().catch(() => undefined)
    if (this.#born !== undefined) this.#sender?.record({ type: 'beat', born: this.#born, tells: this.#occupancy.tells })
  }

  /** Who tells for all what is told once: the oldest of those who know all others. */
  #settle(): void {
    const peers = this.#peers
    if (peers === undefined) return
    const { bus } = this.#options
    const now = this.#options.clock.monotonicMs()
    const knows = peers.hearsForMs >= settleMs && peers.synced
    const apart = this.#alone && peers.alive === 0 && now - this.#aloneSinceMs >= deadAfterMs
    // Who does not answer for long is waited for no longer.
    const waited = now - this.#startedAtMs >= settleAtLastMs
    this.#settled ||= knows || apart || waited
    const elder = peers.elder(this.#born ?? Number.POSITIVE_INFINITY)
    if (elder) this.#follow(elder, now)
    else if (this.#settled && !this.#occupancy.tells) {
      this.#take(this.#teller?.heardAtMs ?? Number.NEGATIVE_INFINITY)
      // Should it die, the next one knows from when on.
      if (bus) void this.#sendBeat(bus)
    }
  }

  #follow(elder: Elder, now: number): void {
    if (elder.tells) this.#teller = elder
    for (const each of [this.#occupancy, this.#keys]) {
      each.leave()
      if (elder.tells) each.forget(now - 2 * deadAfterMs)
    }
  }

  #take(sinceMs: number): void {
    this.#occupancy.take(sinceMs)
    this.#keys.take(sinceMs)
  }

  #opened(): void {
    if (!this.#alone) return
    this.#alone = false
    this.#options.log.info('broadcast and presence reach all servers again')
    this.#missed()
  }

  #closed(): void {
    if (this.#alone || this.#ending.signal.aborted) return
    this.#alone = true
    this.#aloneSinceMs = this.#options.clock.monotonicMs()
    this.#options.log.warn('Redis is away: broadcast and presence reach this server alone')
  }

  #missed(): void {
    if (this.#gapDue) return
    this.#gapDue = true
    void this.#later(gapAfterMs, () => {
      this.#gapDue = false
      this.#options.metrics.missed()
      this.#table.gap()
    })
  }

  #answer(): void {
    if (this.#answerDue) return
    this.#answerDue = true
    void this.#later(answerAfterMs, () => {
      this.#answerDue = false
      const { counted } = this.#options
      this.#sender?.state(
        this.#table.own,
        [...this.#table.counts()].filter(([topic]) => counted(topic)),
      )
    })
  }

  async #later(ms: number, run: () => void): Promise<void> {
    await this.#options.clock.sleep(ms, this.#ending.signal).then(run, () => {})
  }
}
