/** What becomes of a call to another system that came to nothing; of those who write calls down and make them again. */
import { isTidemarkError } from '../errors.js'
import { CallError } from './http-service.js'

export interface FailedCall {
  /** `put off`: it was not made after all, since its service is known to be sick or has had enough for now. No attempt is counted. */
  readonly end: 'failed' | 'retrying' | 'put off'
  /** May be shown: nothing of what was sent, or what came back. */
  readonly error: string
  /** Until the next try. */
  readonly waitMs: number
}

export interface FailedCallOptions {
  /** How often it failed before. */
  readonly failures: number
  /** No further attempt is left. */
  readonly isLast: boolean
  /** The pause after the first failure, doubled with each up to `maxMs`; a random part is taken off. */
  readonly baseMs: number
  readonly maxMs: number
  /** Of errors of which nothing may be told. */
  readonly otherwise: string
}

const notMade: readonly string[] = ['TM_RESILIENCE_BREAKER_OPEN', 'TM_RESILIENCE_RATE_LIMITED', 'TM_RESILIENCE_THROTTLED']

/** What may be told of an error. */
export const wordsOfFailure = (error: unknown, otherwise: string): string => {
  if (error instanceof CallError) return error.message
  return isTidemarkError(error) ? `${error.code}: ${error.message}` : otherwise
}

/** How long the other side, or what stands before it, asks to be left alone. */
const askedMs = (error: unknown): number => {
  const asked =
    error instanceof CallError ? error.retryAfterMs : isTidemarkError(error) ? Number(error.parameters['retryAfterMs'] ?? 0) : 0
  return Number.isFinite(asked) ? asked : 0
}

/** What becomes of a call that raised `error`: made again after `waitMs`, put off without an attempt counted, or over. */
export const failedCall = (error: unknown, { failures, isLast, baseMs, maxMs, otherwise }: FailedCallOptions): FailedCall => {
  const [words, asked] = [wordsOfFailure(error, otherwise), askedMs(error)]
  if (isTidemarkError(error) && notMade.includes(error.code))
    return { end: 'put off', error: words, waitMs: Math.max(asked, baseMs / 2) }
  const isOver = isLast || (error instanceof CallError && !error.retryable)
  const backoffMs = Math.min(maxMs, baseMs * 2 ** failures) * (0.5 + Math.random() / 2)
  return { end: isOver ? 'failed' : 'retrying', error: words, waitMs: Math.max(asked, backoffMs) }
}
