/** What an attempt at a switch has at hand, in either direction. */
import type pg from 'pg'
import type { CaptureDatabase } from '../../sqlite/capture/capture.js'
import type { HeldRun } from './live-run.js'
import type { Steps } from './pause.js'
import type { SwitchOptions } from './switch-options.js'

export const defaultMaxPauseMs = 2_000

export interface Attempt {
  readonly client: pg.Client
  readonly file: CaptureDatabase
  readonly held: HeldRun
  readonly options: SwitchOptions
  readonly steps: Steps
  /** The caller's, or the loss of the move. */
  readonly signal: AbortSignal
}
