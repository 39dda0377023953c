/** The options of following, resolved. */
import { type Clock, systemClock } from '../../time/clock.js'
import type { MoveListener } from '../move.js'
import type { FollowOptions } from './follow.js'

export interface FollowSettings {
  readonly onEvent: MoveListener
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly maxReadMs: number
  readonly maxBatchBytes: number
  readonly busyTimeoutMs: number
}

export const followSettings = (options: FollowOptions): FollowSettings => ({
  onEvent: options.onEvent ?? (() => {}),
  signal: options.signal ?? new AbortController().signal,
  clock: options.clock ?? systemClock,
  maxReadMs: options.maxReadMs ?? 30,
  maxBatchBytes: options.maxBatchBytes ?? 8 * 1024 * 1024,
  busyTimeoutMs: options.busyTimeoutMs ?? 2000,
})
