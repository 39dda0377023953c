import { reasonOf } from '../../errors.js'
import { type Logger, silentLogger } from '../../observability/observability.js'
import { exponential } from '../../resilience/backoff.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { FeedEvent, Source, SourceLag } from '../feed.js'
import type { Position } from '../position.js'
import type { FanOut, FeedNodeState } from './fan-out.js'

export interface SoloFanOutOptions {
  /** Made anew after it has failed. */
  readonly source: () => Source
  /** What this node goes on without, for people. */
  readonly problem: string | null
  readonly clock?: Clock
  readonly log?: Logger
}

const retry = { baseMs: 100, maxMs: 30_000 }
const nothing: SourceLag = { head: null, confirmed: null, behind: 0, headroomBytes: null }

/** A node that reads for itself alone, from a source that each node may have one of: nothing is shared, so nobody takes over. */
export const createSoloFanOut = (options: SoloFanOutOptions): FanOut => {
  const { clock = systemClock, problem } = options
  const log = (options.log ?? silentLogger).child('feed')
  const listeners = new Set<(state: FeedNodeState) => void>()
  const stopping = new AbortController()
  let source: Source | undefined
  let state: FeedNodeState = { role: 'away', epoch: null, streamEpoch: null, redisEpoch: null, problem: 'it has not started yet' }
  let ended = Promise.resolve()

  const change = (next: Partial<FeedNodeState>): void => {
    const before = state
    state = { ...state, ...next }
    if (before.role !== state.role) for (const listener of listeners) listener(state)
  }

  async function* once(signal: AbortSignal, from: Position | undefined): AsyncGenerator<FeedEvent, void, undefined> {
    source = options.source()
    try {
      for await (const event of source.events(signal, from)) {
        change({ role: 'apart', epoch: event.position.epoch, problem })
        yield event
      }
    } finally {
      await source.stop()
    }
  }

  async function* events(outer: AbortSignal, from?: Position): AsyncGenerator<FeedEvent, void, undefined> {
    const signal = AbortSignal.any([outer, stopping.signal])
    let end: () => void = () => {}
    ended = new Promise((resolve) => {
      end = resolve
    })
    try {
      for (let failures = 0; !signal.aborted; ) {
        try {
          for await (const event of once(signal, from)) {
            failures = 0
            yield event
          }
        } catch (error) {
          if (signal.aborted) return
          failures += 1
          const reason = reasonOf(error)
          if (reason !== state.problem) log.warn('no changes come', { reason })
          change({ role: 'away', problem: reason })
        }
        await clock.sleep(exponential(Math.max(failures, 1), retry), signal).catch(() => undefined)
      }
    } finally {
      end()
    }
  }

  const lag = (): Promise<SourceLag> => source?.lag() ?? Promise.resolve(nothing)
  const stop = async (): Promise<void> => {
    stopping.abort()
    await ended
  }
  return {
    source: { kind: 'supabase', guarantee: 'atMostOnce', events, confirm: (position) => source?.confirm(position), lag, stop },
    state: () => state,
    onRole: (listener) => {
      const own = (next: FeedNodeState) => listener(next)
      listeners.add(own)
      return () => void listeners.delete(own)
    },
    lag,
    stop,
  }
}
