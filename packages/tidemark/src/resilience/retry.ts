import { isTidemarkError } from '../errors.js'
import { type Clock, systemClock } from '../time/clock.js'
import { fullJitter } from './backoff.js'
import { positive } from './checks.js'
import { withTimeout } from './with-timeout.js'

export interface RetryAttempt {
  /** 1 for the first. */
  readonly number: number
  /** Aborted at the deadline and with the caller's own signal. */
  readonly signal: AbortSignal
}

export interface RetryNotice {
  /** The attempt that failed. */
  readonly attempt: number
  readonly error: unknown
  /** How long until the next one. */
  readonly delayMs: number
}

export interface RetryOptions {
  /** Attempts in all, the first included. Default 5. */
  readonly attempts?: number
  /** The first pause is a random part of this; each next one of twice as much. Default 100. */
  readonly baseMs?: number
  /** A pause is a random part of this at most. Default 10 s. */
  readonly maxMs?: number
  /** All attempts and pauses together. Default: none. */
  readonly deadlineMs?: number
  /** Whether another attempt may help. Default: what the error itself says ({@link isRetryable}). */
  readonly retryable?: (error: unknown) => boolean
  /** Asked before each further attempt, such as a budget that many calls share: false ends it with the error. */
  readonly mayRetry?: () => boolean
  readonly onRetry?: (notice: RetryNotice) => void
  /** Names what is tried, in the error of the deadline. */
  readonly what?: string
  readonly signal?: AbortSignal
  readonly clock?: Clock
  /** From 0 up to 1. */
  readonly random?: () => number
}

/** What a TidemarkError says of itself; false for anything else, since repeating the unknown may do harm twice. */
export const isRetryable = (error: unknown): boolean => isTidemarkError(error) && error.retryable

/** How long the error asks to wait (its `retryAfterMs`, own or among its parameters); 0 where it does not. */
export const retryAfterMsOf = (error: unknown): number => {
  const own = typeof error === 'object' && error !== null && 'retryAfterMs' in error ? error.retryAfterMs : undefined
  const asked = Number(own ?? (isTidemarkError(error) ? error.parameters.retryAfterMs : undefined))
  return Number.isFinite(asked) && asked > 0 ? asked : 0
}

/** The value of a `Retry-After` header, seconds or a date, in milliseconds from now; undefined where it is neither. */
export const parseRetryAfter = (header: string, clock: Clock = systemClock): number | undefined => {
  const text = header.trim()
  if (/^\d+$/.test(text)) return Number(text) * 1000
  const at = /[a-z]/i.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.max(0, at - clock.now())
}

interface Attempts<T> extends Required<Omit<RetryOptions, 'signal' | 'what' | 'deadlineMs'>> {
  readonly work: (attempt: RetryAttempt) => Promise<T>
  readonly endsAt: number
}

const pauseAfter = (error: unknown, failed: number, { baseMs, maxMs, random }: Attempts<unknown>): number =>
  Math.max(fullJitter(failed, { baseMs, maxMs, random }), retryAfterMsOf(error))

const tryAgainAndAgain = async <T>(tries: Attempts<T>, signal: AbortSignal, failed: (error: unknown) => void): Promise<T> => {
  const { work, attempts, retryable, mayRetry, onRetry, clock, endsAt } = tries
  for (let number = 1; ; number++) {
    signal.throwIfAborted()
    try {
      return await work({ number, signal })
    } catch (error) {
      signal.throwIfAborted()
      failed(error)
      if (number >= attempts || !retryable(error)) throw error
      const delayMs = pauseAfter(error, number, tries)
      // A pause past the deadline cannot end well: the caller hears of it now.
      if (clock.monotonicMs() + delayMs >= endsAt || !mayRetry()) throw error
      onRetry({ attempt: number, error, delayMs })
      await clock.sleep(delayMs, signal)
    }
  }
}

/**
 * Calls `work` until it succeeds, pausing between attempts with full jitter, never shorter than the error asks for.
 *
 * Raises the last error where the attempts are used up, where the error is not retryable, or where the pause would pass the
 * deadline; TM_TIME_TIMEOUT (with the last error as its cause) where the deadline passes during an attempt; and the reason
 * of `signal` where that is aborted. Only repeat what is safe to do twice.
 */
export const retry = async <T>(work: (attempt: RetryAttempt) => Promise<T>, options: RetryOptions = {}): Promise<T> => {
  const { attempts = 5, baseMs = 100, maxMs = 10_000, deadlineMs = Infinity, clock = systemClock, signal } = options
  positive({ attempts, baseMs, maxMs, deadlineMs })
  const tries: Attempts<T> = {
    work,
    attempts,
    baseMs,
    maxMs,
    clock,
    retryable: options.retryable ?? isRetryable,
    mayRetry: options.mayRetry ?? (() => true),
    onRetry: options.onRetry ?? (() => {}),
    random: options.random ?? Math.random,
    endsAt: clock.monotonicMs() + deadlineMs,
  }
  let lastError: unknown
  const failed = (error: unknown) => {
    lastError = error
  }
  if (deadlineMs === Infinity) return tryAgainAndAgain(tries, signal ?? new AbortController().signal, failed)
  return withTimeout((inner) => tryAgainAndAgain(tries, inner, failed), {
    timeoutMs: deadlineMs,
    clock,
    cause: () => lastError,
    ...(options.what !== undefined && { what: options.what }),
    ...(signal && { signal }),
  })
}
