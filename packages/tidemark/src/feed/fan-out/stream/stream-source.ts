import { isTidemarkError, TidemarkError } from '../../../errors.js'
import type { Redis } from '../../../redis/redis.js'
import { exponential } from '../../../resilience/backoff.js'
import type { FeedEvent, ResetReason, Source, SourceLag } from '../../feed.js'
import { formatPosition, type Position } from '../../position.js'
import { type FanOutSettings, shortestPollMs } from '../fan-out-settings.js'
import { type Beat, BeatClock } from './beat.js'
import { compareIds, type EntryId, endOf, zeroId } from './entry-id.js'
import { PieceDecoder } from './piece-decoder.js'
import { type CurrentStream, type RawEntry, readBeginning, readCurrent, readStream, readTop } from './stream-reading.js'

export interface StreamSourceOptions {
  /** A connection of its own: reads on it block. */
  readonly redis: Redis
  readonly scope: string
  readonly settings: Pick<FanOutSettings, 'maxSilenceMs' | 'clock' | 'log'> & Partial<Pick<FanOutSettings, 'begins'>>
  /** Raises TM_FEED_NOT_KEPT where the position that was asked for is not in the stream, instead of a reset. Default false. */
  readonly strict?: boolean
}

const maxEntries = 100
const retryMs = { baseMs: 50, maxMs: 1000 }

/** One stream, from where this node joined it. */
interface Joined {
  readonly current: CurrentStream
  after: EntryId
  afterBeat: EntryId
  /** False until an entry was read here: before, `after` is a place between entries. */
  chained: boolean
  readonly beats: BeatClock
  waiting: Beat | undefined
}

const positionOf = ({ epoch }: CurrentStream, number: bigint): Position => ({ epoch, number })

/** The feed as another node publishes it. */
class StreamSource implements Source {
  readonly kind = 'stream'
  readonly guarantee = 'exact'
  readonly #options: StreamSourceOptions
  readonly #decoder = new PieceDecoder()
  #joined: Joined | undefined
  #at: Position | undefined

  constructor(options: StreamSourceOptions) {
    this.#options = options
  }

  /** The epoch of the stream that is read. */
  get streamEpoch(): string | null {
    return this.#joined?.current.stream ?? null
  }

  /** What the node that publishes takes out of Redis. */
  get purges(): string | null {
    return this.#joined?.current.purges ?? null
  }

  /** Of the Redis that is published to. */
  get run(): string | null {
    return this.#joined?.current.run ?? null
  }

  async *events(signal: AbortSignal, from?: Position): AsyncGenerator<FeedEvent, void, undefined> {
    this.#at = from
    this.#joined = undefined
    for (let failures = 0; !signal.aborted; ) {
      try {
        for await (const event of this.#attempt(signal)) {
          failures = 0
          yield event
        }
      } catch (error) {
        if (signal.aborted) return
        if (!isTidemarkError(error) || !error.code.startsWith('TM_REDIS_')) throw error
        failures += 1
        await this.#sleep(exponential(failures, retryMs), signal)
      }
    }
  }

  confirm(): void {
    // What is in the stream is kept by time, not by what its readers say.
  }

  async lag(): Promise<SourceLag> {
    const joined = this.#joined
    if (!joined) return { head: null, confirmed: this.#at ?? null, behind: 0, headroomBytes: null }
    const top = await readTop(this.#options.redis, joined.current.stream)
    const number = top.number > joined.after.number ? top.number : joined.after.number
    return {
      head: positionOf(joined.current, number),
      confirmed: this.#at ?? null,
      behind: Math.max(0, Number(top.number - joined.after.number)),
      headroomBytes: null,
    }
  }

  async stop(): Promise<void> {
    await this.#options.redis.stop()
  }

  /** Tails the present stream until another one takes its place. */
  async *#attempt(signal: AbortSignal): AsyncGenerator<FeedEvent, void, undefined> {
    const { redis, scope } = this.#options
    const current = await readCurrent(redis, scope)
    if (!current) {
      await this.#sleep(this.#pauseMs, signal)
      return
    }
    if (this.#joined?.current.stream !== current.stream) yield* this.#join(current)
    const joined = this.#joined
    if (joined) yield* this.#tail(joined, signal)
  }

  async *#join(current: CurrentStream): AsyncGenerator<FeedEvent, void, undefined> {
    const before = this.#joined
    const at = this.#at
    const known = at?.epoch === current.epoch
    const fresh = { current, afterBeat: zeroId, beats: new BeatClock(), waiting: undefined }
    if (!at && this.#options.settings.begins === 'oldest') {
      const { after, chained, number } = await readBeginning(this.#options.redis, current)
      this.#joined = { ...fresh, after, chained }
      yield this.#reset('start', number)
      return
    }
    if (!at) {
      const top = await readTop(this.#options.redis, current.stream)
      this.#joined = { ...fresh, after: top, chained: compareIds(top, zeroId) > 0 }
      yield this.#reset('start', top.number > current.base ? top.number : current.base)
      return
    }
    const covered = known && at.number >= current.base
    if (!covered && this.#options.strict) {
      const reason = known ? 'the stream begins later' : `the feed goes on as ${current.epoch}`
      throw new TidemarkError('TM_FEED_NOT_KEPT', { position: formatPosition(at), reason })
    }
    this.#joined = { ...fresh, after: covered ? endOf(at.number) : zeroId, chained: false }
    // Nothing is missing where the stream before ended for what Redis holds alone.
    if (covered && (!before || current.reason === 'purgesChanged')) return
    const reason = known
      ? 'streamLost'
      : current.reason === 'start' || current.reason === 'streamLost'
        ? 'newHistory'
        : current.reason
    yield this.#reset(reason, covered ? at.number : current.base)
  }

  async *#tail(joined: Joined, signal: AbortSignal): AsyncGenerator<FeedEvent, void, undefined> {
    const { redis, settings } = this.#options
    const { clock } = settings
    const blocks = redis.driver === 'tcp'
    let heardAt = clock.monotonicMs()
    while (!signal.aborted) {
      const reading = await readStream(redis, {
        stream: joined.current.stream,
        after: joined.after,
        afterBeat: joined.afterBeat,
        maxEntries,
        blockMs: blocks ? this.#pauseMs : 0,
        monotonicMs: () => clock.monotonicMs(),
        signal,
      })
      joined.beats.saw(reading.newestBeat, reading.askedAt)
      for (const entry of reading.entries) yield* this.#take(joined, entry)
      for (const beat of reading.beats) {
        joined.afterBeat = beat.id
        yield* this.#prove(joined, beat)
      }
      if (reading.entries.length > 0 && joined.waiting) yield* this.#prove(joined, joined.waiting)
      if (reading.beats.length > 0) heardAt = clock.monotonicMs()
      // A stream that has fallen silent may have a successor.
      if (clock.monotonicMs() - heardAt > settings.maxSilenceMs / 2) return
      if (!blocks && reading.entries.length < maxEntries) await this.#sleep(this.#pauseMs, signal)
    }
  }

  *#take(joined: Joined, { id, prev, body }: RawEntry): Generator<FeedEvent, void, undefined> {
    const expected = prev && (joined.chained ? compareIds(prev, joined.after) === 0 : compareIds(prev, joined.after) <= 0)
    const piece = this.#decoded(joined, id, body)
    if (!expected || !piece) {
      if (this.#options.strict) {
        const position = formatPosition(this.#at ?? positionOf(joined.current, joined.after.number))
        throw new TidemarkError('TM_FEED_NOT_KEPT', { position, reason: 'entries of the stream are missing' })
      }
      this.#options.settings.log.warn('entries of the stream are missing', {
        stream: joined.current.stream,
        id: String(id.number),
      })
      yield this.#reset('gap', piece ? id.number - 1n : id.number)
    }
    joined.after = id
    joined.chained = true
    if (!piece) return
    yield piece
    if (piece.last) this.#at = piece.position
  }

  #decoded({ current }: Joined, { number }: EntryId, body: Buffer) {
    try {
      return this.#decoder.decode(body, positionOf(current, number))
    } catch (err) {
      this.#options.settings.log.error('an entry of the stream cannot be read', { err })
      return undefined
    }
  }

  /** A proof counts once everything that it speaks of has been given. */
  *#prove(joined: Joined, beat: Beat): Generator<FeedEvent, void, undefined> {
    joined.waiting = undefined
    const { proof } = beat
    if (!proof) return
    if (compareIds(joined.after, proof.top) < 0) {
      joined.waiting = beat
      return
    }
    const asOf = joined.beats.momentOf(proof)
    const position = positionOf(joined.current, proof.number)
    if (this.#at?.epoch === position.epoch && position.number > this.#at.number) this.#at = position
    if (asOf !== undefined) yield { type: 'fresh', position, asOf }
  }

  #reset(reason: ResetReason, number: bigint): FeedEvent {
    const current = this.#joined?.current as CurrentStream
    const position = positionOf(current, number)
    this.#at = position
    return { type: 'reset', epoch: current.epoch, reason, position }
  }

  get #pauseMs(): number {
    const { redis, settings } = this.#options
    const third = settings.maxSilenceMs / 3
    return redis.driver === 'tcp' ? third : Math.max(shortestPollMs, third)
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#options.settings.clock.sleep(ms, signal).catch(() => undefined)
  }
}

export type { StreamSource }

/** Tails what another node publishes. Nothing is read before `events`; the connection is stopped with the source. */
export const createStreamSource = (options: StreamSourceOptions): StreamSource => new StreamSource(options)
