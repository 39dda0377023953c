import type { FeedEvent } from '../../feed.js'
import { changesBytes } from '../../follow/piece-size.js'
import type { Position } from '../../position.js'
import type { FanOutRedis, LeasedSource } from '../fan-out.js'
import type { FanOutSettings } from '../fan-out-settings.js'
import { zeroId } from '../stream/entry-id.js'
import { BoundedQueue } from './bounded-queue.js'
import type { Publisher } from './publisher.js'
import { ReplayWindow } from './replay-window.js'

export interface ReaderOptions {
  /** Opened. */
  readonly source: LeasedSource
  readonly publisher: Publisher
  readonly redis: FanOutRedis
  readonly settings: FanOutSettings
  /** How far this node's followers were given the feed. */
  readonly delivered: () => Position | undefined
  /** How far they are done; undefined while they have said nothing. */
  readonly done: () => Position | undefined
}

/** Changes that may wait between the source and Redis, and between Redis and this node's followers; of large ones fewer. */
const maxWaiting = 20_000
/** A change counts once for so much of it: both queues together hold about 32 MiB at most. */
const bytesPerChange = 800

/** For so many replay windows the source keeps what Redis did not take; then the stream begins anew when Redis is back. */
const patience = 10

/** One reading of the source from a position on. */
class Session {
  readonly from: Position | undefined
  readonly controller = new AbortController()
  /** False once something of this session was not published: what follows must not be, or it would hide the gap. */
  publishes: boolean
  next: Position | undefined

  constructor(from: Position | undefined, publishes: boolean) {
    this.from = from
    this.publishes = publishes
  }

  endFor(next: Position | undefined): void {
    this.next = next
    this.controller.abort()
  }
}

const earlier = (a: Position | undefined, b: Position | undefined): Position | undefined => {
  if (!a || !b || a.epoch !== b.epoch) return a ?? b
  return a.number < b.number ? a : b
}

const weightOf = (event: FeedEvent): number =>
  event.type === 'transaction' ? Math.max(event.changes.length + 1, Math.ceil(changesBytes(event.changes) / bytesPerChange)) : 1

/**
 * The node that holds the source: publishes its events, then gives them to its own followers. While Redis is away its followers go on; when
 * it is back, the source gives again what was not published.
 */
export class Reader {
  readonly #options: ReaderOptions
  #session: Session | undefined
  #base: Position
  #awaySince: number | undefined
  #window: ReplayWindow | undefined

  /** `base`: what the source gives comes after it. */
  constructor(base: Position, options: ReaderOptions) {
    this.#base = base
    this.#options = options
  }

  /** Raises TM_FEED_FENCED once another node reads, and what the source raises. */
  async *events(signal: AbortSignal): AsyncGenerator<FeedEvent, void, undefined> {
    const out = new BoundedQueue<FeedEvent>(maxWaiting)
    const controller = new AbortController()
    const stop = () => {
      controller.abort()
      this.#session?.endFor(undefined)
      out.end()
    }
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    const end = () => controller.abort()
    const running = Promise.allSettled([
      this.#read(out, controller.signal).finally(end),
      this.#beatOn(controller.signal).finally(end),
    ]).then((outcomes) => {
      const failed = outcomes.find((outcome) => outcome.status === 'rejected')
      if (failed) out.end(failed.reason)
      else out.end()
    })
    try {
      yield* out.items()
    } finally {
      signal.removeEventListener('abort', stop)
      stop()
      await running
    }
  }

  async #read(out: BoundedQueue<FeedEvent>, signal: AbortSignal): Promise<void> {
    const { publisher, delivered } = this.#options
    const base = this.#base
    const before = delivered()
    const resume = await publisher.open(base)
    if (before?.epoch === base.epoch && before.number < base.number) {
      await out.push({ type: 'reset', reason: 'gap', epoch: base.epoch, position: base }, 1)
    }
    // A position of another epoch makes the source say why it is another.
    let from = before?.epoch === base.epoch ? earlier(before, resume) : before
    while (!signal.aborted) {
      const session = new Session(from, publisher.isOpen)
      this.#session = session
      await this.#run(session, out)
      if (!session.controller.signal.aborted) return
      from = session.next
    }
  }

  async #run(session: Session, out: BoundedQueue<FeedEvent>): Promise<void> {
    const { signal } = session.controller
    const incoming = new BoundedQueue<FeedEvent>(maxWaiting)
    const pulling = this.#pull(session, incoming)
    try {
      for (;;) {
        const batch = await incoming.takeAll()
        if (batch.length === 0 || signal.aborted) return
        await this.#take(session, batch, out)
      }
    } finally {
      session.controller.abort()
      incoming.end()
      await pulling
    }
  }

  async #pull({ from, controller }: Session, incoming: BoundedQueue<FeedEvent>): Promise<void> {
    try {
      for await (const event of this.#options.source.events(controller.signal, from)) {
        await incoming.push(event, weightOf(event))
      }
      incoming.end()
    } catch (error) {
      if (controller.signal.aborted) incoming.end()
      else incoming.end(error)
    }
  }

  async #take(session: Session, batch: readonly FeedEvent[], out: BoundedQueue<FeedEvent>): Promise<void> {
    let plain: FeedEvent[] = []
    for (const event of batch) {
      if (event.type === 'reset' && event.epoch !== this.#base.epoch) {
        await this.#give(session, plain, out)
        plain = []
        this.#base = event.position
        this.#window = undefined
        session.publishes = (await this.#options.publisher.open(event.position, event.reason)) !== undefined
      }
      plain.push(event)
    }
    await this.#give(session, plain, out)
  }

  async #give(session: Session, events: readonly FeedEvent[], out: BoundedQueue<FeedEvent>): Promise<void> {
    if (events.length === 0) return
    if (session.publishes && (await this.#options.publisher.publish(events)) === 'behind') session.publishes = false
    for (const event of events) await out.push(event, weightOf(event))
  }

  async #beatOn(signal: AbortSignal): Promise<void> {
    const { settings, publisher } = this.#options
    try {
      while (!signal.aborted) {
        if (publisher.isOpen) await publisher.beat()
        else await this.#reopen()
        this.#confirm()
        await settings.clock.sleep(settings.beatMs, signal).catch(() => undefined)
      }
    } catch (error) {
      this.#session?.endFor(undefined)
      throw error
    }
  }

  /** Redis is back: what it lacks is read again. */
  async #reopen(): Promise<void> {
    const { publisher, redis, delivered } = this.#options
    const session = this.#session
    if (!session || redis.redis.state !== 'up') return
    session.publishes = false
    const resume = await publisher.open(this.#base)
    if (resume) session.endFor(earlier(resume, delivered()))
  }

  #confirm(): void {
    const { source, done } = this.#options
    const finished = done()
    if (finished?.epoch !== this.#base.epoch) return
    const position = this.#leftWindow(earlier(this.#publishedTo(), finished))
    if (position?.epoch !== this.#base.epoch || position.number <= this.#base.number) return
    this.#base = position
    source.confirm(position)
  }

  /** Without Redis nobody else keeps what went by: then the source does, for those who begin at the oldest. */
  #leftWindow(position: Position | undefined): Position | undefined {
    const { redis, settings } = this.#options
    if (settings.begins !== 'oldest' || redis.redis.state !== 'absent' || !position) return position
    this.#window ??= new ReplayWindow({
      windowMs: settings.replayWindowMs,
      maxBytes: Number.POSITIVE_INFINITY,
      clock: settings.clock,
    })
    this.#window.acknowledged(position.number, zeroId, 0)
    const { confirmed } = this.#window.pass()
    return confirmed === undefined ? undefined : { epoch: position.epoch, number: confirmed }
  }

  /** Undefined: publishing holds nothing back, or everything, see `done`. */
  #publishedTo(): Position | undefined {
    const { publisher, redis, settings } = this.#options
    const { clock, replayWindowMs } = settings
    if (publisher.isOpen) {
      this.#awaySince = undefined
      return publisher.confirmable ?? this.#base
    }
    if (redis.redis.state === 'absent') return undefined
    this.#awaySince ??= clock.monotonicMs()
    if (clock.monotonicMs() - this.#awaySince < patience * replayWindowMs) return this.#base
    publisher.giveUp()
    return undefined
  }
}
