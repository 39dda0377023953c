import { type Logger, type Signals, silentLogger } from '../observability/observability.js'
import { fullJitter } from '../resilience/backoff.js'
import { type Clock, systemClock } from '../time/clock.js'

export interface ConnectionOptions {
  /** What the server's list of clients shows. Default `tidemark`. */
  readonly name?: string
  /** A server that leaves a command unanswered for this long is taken for down. Default 1000. */
  readonly commandTimeoutMs?: number
  /** For the connection, the greeting and the login together. Default 2000. */
  readonly connectTimeoutMs?: number
  /** Pauses between attempts to connect again: a random part of this, doubled each time. Default 50. */
  readonly retryBaseMs?: number
  /** The longest pause. Default 5000. */
  readonly retryMaxMs?: number
  readonly log?: Logger
  readonly signals?: Signals
  readonly clock?: Clock
  readonly random?: () => number
}

export interface ResolvedConnectionOptions extends Required<Omit<ConnectionOptions, 'signals'>> {
  readonly signals: Signals | undefined
}

export const resolveConnectionOptions = (options: ConnectionOptions): ResolvedConnectionOptions => ({
  name: options.name ?? 'tidemark',
  commandTimeoutMs: options.commandTimeoutMs ?? 1000,
  connectTimeoutMs: options.connectTimeoutMs ?? 2000,
  retryBaseMs: options.retryBaseMs ?? 50,
  retryMaxMs: options.retryMaxMs ?? 5000,
  log: (options.log ?? silentLogger).child('redis'),
  signals: options.signals,
  clock: options.clock ?? systemClock,
  random: options.random ?? Math.random,
})

const shortestPauseMs = 10

/** How long to wait after that many failures in a row before connecting again. */
export const pauseMs = (failures: number, { retryBaseMs, retryMaxMs, random }: ResolvedConnectionOptions): number =>
  shortestPauseMs + fullJitter(failures, { baseMs: retryBaseMs, maxMs: retryMaxMs, random })
