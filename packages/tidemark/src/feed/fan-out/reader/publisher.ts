import { reasonOf, TidemarkError } from '../../../errors.js'
import type { FeedEvent, FreshnessProof, ResetReason, TransactionPiece } from '../../feed.js'
import type { Position } from '../../position.js'
import type { FanOutOptions } from '../fan-out.js'
import type { FanOutSettings } from '../fan-out-settings.js'
import type { BeatProof } from '../stream/beat.js'
import { type EntryId, zeroId } from '../stream/entry-id.js'
import { PublishedStream } from '../stream/published-stream.js'
import { type StreamEntry, TransactionCollector } from '../stream/transaction-collector.js'
import { ReplayWindow } from './replay-window.js'

/** `behind`: Redis did not take it, and what follows is not published either until the source gives it again. */
export type Published = 'published' | 'behind'

interface Open {
  readonly stream: PublishedStream
  readonly collector: TransactionCollector
  readonly epoch: string
}

interface Acknowledged {
  readonly id: EntryId
  readonly at: number
}

type PublisherOptions = Pick<FanOutOptions, 'redis' | 'onBeforePublish' | 'purges' | 'onStreamEpoch'>

/** Publishes what the source gives, in its order, and says how far it came. Raises TM_FEED_FENCED once another node publishes. */
export class Publisher {
  readonly #options: PublisherOptions
  readonly #settings: FanOutSettings
  readonly #scope: string
  readonly #window: ReplayWindow
  #open: Open | undefined
  #lost = false
  #proof: FreshnessProof | undefined
  #proofTop: EntryId = zeroId
  #beaten: Acknowledged | undefined
  #confirmable: Position | undefined
  #complained = false
  #publishedTo = 0n

  constructor(scope: string, options: PublisherOptions, settings: FanOutSettings) {
    this.#scope = scope
    this.#options = options
    this.#settings = settings
    this.#window = new ReplayWindow({
      windowMs: settings.replayWindowMs,
      maxBytes: settings.maxStreamBytes,
      clock: settings.clock,
    })
  }

  get isOpen(): boolean {
    return this.#open !== undefined
  }

  get streamEpoch(): string | null {
    return this.#open?.stream.isWhole ? this.#open.stream.epoch : null
  }

  /** The number of the position up to which other nodes can hear of everything, and Redis holds nothing older. */
  get publishedTo(): bigint {
    return this.#publishedTo
  }

  /** Acknowledged, and older than the replay window. */
  get confirmable(): Position | undefined {
    return this.#confirmable
  }

  /**
   * Begins to publish what comes after `base`, of which the source gives everything. Gives from where the stream lacks it; undefined while
   * Redis is away.
   */
  async open(base: Position, reason?: ResetReason): Promise<Position | undefined> {
    this.#open = undefined
    // Of another history, whose numbers say nothing in this one.
    if (this.#confirmable?.epoch !== base.epoch) this.#confirmable = undefined
    try {
      const stream = await PublishedStream.claim({
        redis: this.#options.redis.redis,
        scope: this.#scope,
        epoch: base.epoch,
        base: base.number,
        purges: this.#options.purges ?? '',
        force: this.#lost,
        ...(this.#lost && { reason: 'streamLost' as const }),
        ...(reason && !this.#lost && { reason }),
      })
      if (stream === 'fenced') throw this.#fenced()
      if (stream.isNew) await this.#options.onStreamEpoch?.(stream.epoch)
      // What another stream acknowledged has to be acknowledged by this one before Postgres may forget it.
      if (stream.isNew) this.#window.clear()
      this.#lost = false
      this.#complained = false
      this.#beaten = undefined
      this.#proof = undefined
      this.#open = { stream, epoch: base.epoch, collector: new TransactionCollector(this.#settings.limits, stream.top) }
      this.#settings.log.info('publishing', { stream: stream.epoch, isNew: stream.isNew })
      this.#publishedTo = resumeAt(stream, base.number)
      return { epoch: base.epoch, number: this.#publishedTo }
    } catch (error) {
      return this.#failed(error)
    }
  }

  /** Takes events of one epoch in order. */
  async publish(events: readonly FeedEvent[]): Promise<Published> {
    const open = this.#open
    if (!open) return 'behind'
    try {
      return await this.#publish(open, events)
    } catch (error) {
      this.#failed(error, open)
      return 'behind'
    }
  }

  async #publish(open: Open, events: readonly FeedEvent[]): Promise<Published> {
    const { stream, collector, epoch } = open
    const pieces = events.filter((event): event is TransactionPiece => event.type === 'transaction')
    const unpublished = pieces.filter((piece) => !collector.isPublished(piece))
    if (unpublished.length > 0) await this.#options.onBeforePublish?.(unpublished)
    const entries = pieces.flatMap((piece) => collector.add(piece))
    const answer = await stream.append(entries)
    if (answer !== 'ok') return this.#refused(open, answer)
    if (this.#open !== open) return 'behind'
    const whole = events.findLast((event) => event.type === 'fresh' || (event.type === 'transaction' && event.last))
    if (whole) {
      this.#publishedTo = whole.position.number
      this.#window.acknowledged(whole.position.number, stream.last, sizeOf(entries))
    }
    const proof = events.findLast((event) => event.type === 'fresh')
    if (proof?.position.epoch === epoch) {
      this.#proof = proof
      this.#proofTop = stream.last
    }
    return 'published'
  }

  /** One beat, and what is due besides. Call it every `beatMs`. */
  async beat(bye = false): Promise<void> {
    const open = this.#open
    if (!open) return
    try {
      const { answer, id } = await open.stream.beat({ bye, proof: this.#beatProof() })
      if (answer !== 'ok') return void this.#refused(open, answer)
      if (this.#open !== open) return
      if (id !== zeroId) this.#beaten = { id, at: this.#settings.clock.monotonicMs() }
      await this.#leaveWindow(open)
    } catch (error) {
      this.#failed(error, open)
    }
  }

  /** Takes the window's end further although Redis is away for long: its stream will have to begin anew. */
  giveUp(): void {
    this.#lost = true
  }

  #beatProof(): BeatProof | undefined {
    const proof = this.#proof
    const beaten = this.#beaten
    if (!proof || !beaten) return undefined
    return { from: beaten.id, distanceMs: proof.asOf - beaten.at, number: proof.position.number, top: this.#proofTop }
  }

  async #leaveWindow({ stream, epoch }: Open): Promise<void> {
    const { confirmed, trimmed } = this.#window.pass()
    if (confirmed !== undefined) this.#confirmable = { epoch, number: confirmed }
    if (trimmed && trimmed.number > 0n) await stream.trim(trimmed)
  }

  #refused(open: Open, answer: 'fenced' | 'lost'): Published {
    // What was still on its way to a stream that has been given up since.
    if (this.#open !== open) return 'behind'
    this.#open = undefined
    if (answer === 'fenced') throw this.#fenced()
    this.#lost = true
    this.#settings.log.warn('Redis has lost what it had taken; publishing again, as a new stream')
    return 'behind'
  }

  /** Whatever Redis, or what is done before publishing, failed with: the feed goes on without it for now. */
  #failed(error: unknown, open?: Open): undefined {
    if (error instanceof TidemarkError && error.code === 'TM_FEED_FENCED') throw error
    if (open !== this.#open) return undefined
    const known = this.#complained && this.#open === undefined
    this.#open = undefined
    this.#complained = true
    if (!known) this.#settings.log.warn('not published for now; other nodes go on without this feed', { reason: reasonOf(error) })
    return undefined
  }

  #fenced(): TidemarkError {
    return new TidemarkError('TM_FEED_FENCED', { stream: this.#scope })
  }
}

/** The stream is whole up to its newest transaction, unless that one is only there in part: then it is needed once more. */
const resumeAt = ({ isNew, top, completeTo }: PublishedStream, base: bigint): bigint => {
  if (isNew) return base
  return top.last ? completeTo : top.id.number - 1n
}

const sizeOf = (entries: readonly StreamEntry[]): number => entries.reduce((sum, { body }) => sum + body.length + 100, 0)
