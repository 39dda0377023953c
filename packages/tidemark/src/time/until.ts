import { TidemarkError } from '../errors.js'
import { type Clock, systemClock } from './clock.js'

export interface UntilOptions {
  readonly timeoutMs?: number
  readonly intervalMs?: number
  /** Names what is waited for, in the error. */
  readonly what?: string
  readonly fix?: string
  readonly clock?: Clock
  readonly signal?: AbortSignal
}

/** Asks again and again until the answer is neither false, null nor undefined, and gives that answer. Raises TM_TIME_TIMEOUT. */
export const until = async <T>(
  ask: () => T | Promise<T>,
  {
    timeoutMs = 20_000,
    intervalMs = 20,
    what = 'The condition',
    fix = 'See what it waits for.',
    clock = systemClock,
    signal,
  }: UntilOptions = {},
): Promise<Exclude<T, false | null | undefined>> => {
  const deadline = clock.monotonicMs() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (answer !== false && answer !== null && answer !== undefined) return answer as Exclude<T, false | null | undefined>
    if (clock.monotonicMs() >= deadline) throw new TidemarkError('TM_TIME_TIMEOUT', { what, timeoutMs, fix })
    await clock.sleep(intervalMs, signal)
  }
}
