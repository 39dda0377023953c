import { isTidemarkError } from '../../../errors.js'
import { fullJitter } from '../../../resilience/backoff.js'
import { maskSecrets } from '../../../secrets.js'
import type { DeadReason } from '../../webhooks.js'
import type { WorkerSettings } from '../workers.js'

/** What follows from a failed attempt. */
export type Verdict =
  | { readonly kind: 'failed'; readonly retryInMs: number; readonly error: string }
  | { readonly kind: 'dead'; readonly reason: DeadReason; readonly error: string }

const longestError = 8_000

/** Text for the row: without secrets and without what Postgres' text cannot hold. */
export const storedText = (text: string, longest: number): string =>
  maskSecrets(text)
    .replaceAll('\0', '')
    .replace(/\p{Surrogate}/gu, '\ufffd')
    .slice(0, longest)
    // Where the cut went through a pair.
    .replace(/\p{Surrogate}$/u, '')

/** What was thrown, for the row: with its stack. */
export const errorText = (error: unknown): string =>
  storedText(error instanceof Error ? (error.stack ?? error.message) : String(error), longestError)

type Rules = Pick<WorkerSettings, 'maxAttempts' | 'retryBaseMs' | 'retryMaxMs'>

/** Judges an attempt that threw; `attempt` is 1 for the first. */
export const judge = (error: unknown, attempt: number, rules: Rules, random: () => number): Verdict => {
  const text = errorText(error)
  if (isTidemarkError(error, 'TM_WEBHOOKS_REFUSED')) return { kind: 'dead', reason: 'refused', error: text }
  if (attempt >= rules.maxAttempts) return { kind: 'dead', reason: 'attempts', error: text }
  const retryInMs = fullJitter(attempt, { baseMs: rules.retryBaseMs, maxMs: rules.retryMaxMs, random })
  return { kind: 'failed', retryInMs, error: text }
}
