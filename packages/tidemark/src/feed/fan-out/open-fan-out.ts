import { isTidemarkError, reasonOf } from '../../errors.js'
import { exponential } from '../../resilience/backoff.js'
import type { FeedEvent, Source, SourceLag } from '../feed.js'
import type { Position } from '../position.js'
import type { FanOut, FanOutOptions, FeedNodeState } from './fan-out.js'
import { type FanOutSettings, resolveSettings } from './fan-out-settings.js'
import { DeliveredCursor } from './reader/delivered-cursor.js'
import { Lookout, type Turn } from './reader/lookout.js'
import { Publisher } from './reader/publisher.js'
import { Reader } from './reader/reader.js'
import { aborted, type Stint, type Taken } from './reader/stint.js'
import { Watch } from './reader/watch.js'
import { createStreamSource } from './stream/stream-source.js'

const retry = { baseMs: 100, maxMs: 30_000 }
const nothing: SourceLag = { head: null, confirmed: null, behind: 0, headroomBytes: null }

class FanOutNode implements FanOut {
  readonly source: Source
  readonly #options: FanOutOptions
  readonly #settings: FanOutSettings
  readonly #listeners = new Set<(state: FeedNodeState) => void>()
  #scope: string | undefined
  #watch: Watch | undefined
  #lookout: Lookout | undefined
  #stint: Stint | undefined
  #next: Turn | undefined
  #cursor = new DeliveredCursor()
  #done: Position | undefined
  #epoch: string | null = null
  #freshAt = -Infinity
  #problem: string | null = 'it has not started yet'
  #ended: Promise<void> = Promise.resolve()
  #stopping = new AbortController()

  constructor(options: FanOutOptions) {
    this.#options = options
    this.#settings = resolveSettings(options)
    this.source = {
      kind: 'wal',
      guarantee: 'exact',
      events: (signal, from) => this.#events(signal, from),
      confirm: (position) => {
        this.#done = position
      },
      lag: () => this.lag(),
      stop: () => this.stop(),
    }
  }

  state(): FeedNodeState {
    return {
      role: this.#stint?.role ?? 'away',
      epoch: this.#epoch,
      streamEpoch: this.#stint?.streamEpoch() ?? null,
      redisEpoch: this.#stint?.redisEpoch() ?? null,
      problem: this.#problem ?? this.#refusal ?? this.#stint?.lacks?.() ?? null,
    }
  }

  get #refusal(): string | null {
    return this.#staleMs() > this.#settings.maxSilenceMs ? (this.#lookout?.refusal ?? null) : null
  }

  #staleMs(): number {
    return this.#settings.clock.monotonicMs() - this.#freshAt
  }

  onRole(listener: (state: FeedNodeState) => void): () => void {
    const own = (state: FeedNodeState) => listener(state)
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  lag(): Promise<SourceLag> {
    return this.#stint?.lag() ?? Promise.resolve(nothing)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#ended
  }

  /** One role after the other, as one sequence: nothing twice, nothing left out but by a reset. */
  async *#events(outer: AbortSignal, from?: Position): AsyncGenerator<FeedEvent, void, undefined> {
    const signal = AbortSignal.any([outer, this.#stopping.signal])
    let end: () => void = () => {}
    this.#ended = new Promise((resolve) => {
      end = resolve
    })
    this.#cursor = new DeliveredCursor(from)
    let failures = 0
    try {
      while (!signal.aborted) {
        try {
          for await (const event of this.#serve(signal)) {
            failures = 0
            yield event
          }
        } catch (error) {
          if (signal.aborted) return
          failures += 1
          if (isTidemarkError(error, 'TM_FEED_FENCED') || isTidemarkError(error, 'TM_FEED_SLOT_BUSY')) {
            this.#settings.log.info('another node reads the feed now', { reason: reasonOf(error) })
          } else this.#say('away', reasonOf(error))
          await this.#settings.clock.sleep(exponential(failures, retry), signal).catch(() => undefined)
        }
      }
    } finally {
      // Taken in the moment in which it was to end: nobody else would let go of it.
      if (this.#next?.due === 'reading') await this.#next.taken.source.stop().catch(() => undefined)
      end()
    }
  }

  /** One stint. */
  async *#serve(signal: AbortSignal): AsyncGenerator<FeedEvent, void, undefined> {
    const stint = await this.#begin()
    this.#stint = stint
    this.#say(stint.role, null)
    const ending = new AbortController()
    const both = AbortSignal.any([signal, ending.signal])
    const watching = stint.role === 'reading' ? undefined : this.#lookOut(stint, ending, both)
    try {
      for await (const event of stint.events(both)) {
        const admitted = this.#admit(event)
        if (admitted) yield admitted
      }
    } finally {
      ending.abort()
      this.#stint = undefined
      await Promise.all([watching, stint.stop()])
    }
  }

  #admit(event: FeedEvent): FeedEvent | undefined {
    const admitted = this.#cursor.admit(event)
    if (admitted?.type === 'reset') this.#epoch = admitted.epoch
    if (admitted?.type === 'fresh') this.#freshAt = Math.max(this.#freshAt, admitted.asOf)
    return admitted
  }

  async #lookOut(stint: Stint, ending: AbortController, signal: AbortSignal): Promise<void> {
    const tails = stint.role === 'tailing'
    // A slot of its own keeps a node fresh, but says nothing of the reader that all the others need.
    const staleMs = () => (tails ? this.#staleMs() : Number.POSITIVE_INFINITY)
    this.#next = await this.#lookout?.wait(tails, staleMs, signal)
    ending.abort()
  }

  async #begin(): Promise<Stint> {
    const { sources, redis } = this.#options
    this.#scope ??= await sources.scope()
    this.#watch ??= new Watch(redis.redis, this.#scope, this.#settings.clock)
    this.#lookout ??= new Lookout({ sources, watch: this.#watch, settings: this.#settings })
    const next = this.#next
    this.#next = undefined
    if (next?.due === 'reading') return this.#reading(this.#scope, next.taken)
    if (next?.due === 'tailing') return this.#tailing(this.#scope)
    if (next === undefined) {
      const taken = await this.#lookout.take().catch((error: unknown) => {
        // Others may be able to read what this node cannot.
        if (redis.redis.state !== 'up') throw error
        return undefined
      })
      if (taken) return this.#reading(this.#scope, taken)
      if (redis.redis.state === 'up') return this.#tailing(this.#scope)
    }
    return this.#apart()
  }

  #reading(scope: string, { source, base }: Taken): Stint {
    const publisher = new Publisher(scope, this.#options, this.#settings)
    const reader = new Reader(base, {
      source,
      publisher,
      redis: this.#options.redis,
      settings: this.#settings,
      delivered: () => this.#cursor.position,
      done: () => this.#done,
    })
    return {
      role: 'reading',
      streamEpoch: () => publisher.streamEpoch,
      redisEpoch: () => (this.#cursor.reached <= publisher.publishedTo ? publisher.streamEpoch : null),
      events: (signal) => reader.events(signal),
      lag: () => source.lag(),
      stop: async () => {
        await source.stop()
        await publisher.beat(true).catch(() => undefined)
      },
    }
  }

  async #tailing(scope: string): Promise<Stint> {
    const redis = await this.#options.redis.connect('tidemark-feed')
    const source = createStreamSource({ redis, scope, settings: this.#settings })
    const { purges, redis: shared } = this.#options
    const isPurged = () => purges === undefined || source.purges === null || source.purges === purges
    // Of a cluster only while this node asks the very masters that the reader purges, each in the same life (S12).
    const isSame = () => !shared.redis.cluster || source.run === shared.redis.cluster.masters
    return {
      role: 'tailing',
      streamEpoch: () => source.streamEpoch,
      redisEpoch: () => (isPurged() && isSame() ? source.streamEpoch : null),
      lacks: () => (isPurged() ? null : unpurged),
      events: (signal) => source.events(signal, this.#cursor.position),
      lag: () => source.lag(),
      stop: () => source.stop(),
    }
  }

  #apart(): Stint {
    const source = this.#options.sources.temporary?.()
    return {
      role: source ? 'apart' : 'away',
      streamEpoch: () => null,
      redisEpoch: () => null,
      events: (signal) => source?.events(signal, this.#cursor.position) ?? silence(signal),
      lag: async () => source?.lag() ?? nothing,
      stop: async () => source?.stop(),
    }
  }

  #say(role: FeedNodeState['role'], problem: string | null): void {
    const before = this.#problem
    this.#problem = problem ?? withoutWords[role] ?? null
    if (role === 'away' && this.#problem !== before) this.#settings.log.warn('no changes come', { reason: this.#problem })
    if (role !== 'away') this.#settings.log.info('the feed of this node', { role })
    for (const listener of this.#listeners) listener(this.state())
  }
}

const unpurged =
  'the node that reads the feed keeps other values in Redis than this one, which goes without Redis until they agree'

const withoutWords: Readonly<Partial<Record<FeedNodeState['role'], string>>> = {
  apart: 'Redis does not answer: this node reads the log by itself',
  away: 'another process reads the log, and Redis does not answer',
}

/** No events until the signal. */
const silence = (signal: AbortSignal): AsyncIterable<FeedEvent> => ({
  [Symbol.asyncIterator]: () => ({
    next: async () => {
      await aborted(signal)
      return { done: true, value: undefined }
    },
  }),
})

/** Makes a node of the feed. Nothing happens before its source is followed. */
export const createFanOut = (options: FanOutOptions): FanOut => new FanOutNode(options)
