/** The time in which nobody may write: what each step took of it, and what is left. */
import { TidemarkError } from '../../errors.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { MoveListener } from '../move.js'
import type { StepTime } from './switch-options.js'

export type SwitchKind = 'cutover' | 'rollback'

/** Takes the time of the steps of a switch, and tells them. */
export class Steps {
  readonly #clock: Clock
  readonly #onEvent: MoveListener
  readonly #startedMs: number
  readonly #taken: StepTime[] = []

  constructor(clock: Clock = systemClock, onEvent: MoveListener = () => {}) {
    this.#clock = clock
    this.#onEvent = onEvent
    this.#startedMs = clock.monotonicMs()
  }

  get taken(): readonly StepTime[] {
    return this.#taken
  }

  get elapsedMs(): number {
    return this.#clock.monotonicMs() - this.#startedMs
  }

  async take<T>(step: string, work: () => Promise<T>): Promise<T> {
    const startedMs = this.#clock.monotonicMs()
    this.#onEvent({ type: 'step', step, state: 'started', elapsedMs: 0 })
    const result = await work()
    const elapsedMs = this.#clock.monotonicMs() - startedMs
    this.#taken.push({ step, elapsedMs: Math.round(elapsedMs * 10) / 10 })
    this.#onEvent({ type: 'step', step, state: 'finished', elapsedMs })
    return result
  }
}

export interface PauseOptions {
  readonly kind: SwitchKind
  readonly path: string
  readonly maxPauseMs: number
  readonly clock?: Clock
  /** Ends the pause early: the caller was asked to stop, or lost the move. */
  readonly signal: AbortSignal
}

/** Runs from its making on. */
export class Pause {
  readonly #options: PauseOptions
  readonly #clock: Clock
  readonly #startedMs: number
  readonly #over = new AbortController()
  readonly #timer: NodeJS.Timeout
  /** Aborted when the pause is over, whatever ended it. */
  readonly signal: AbortSignal

  constructor(options: PauseOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#startedMs = this.#clock.monotonicMs()
    this.#timer = setTimeout(() => this.#over.abort(), options.maxPauseMs)
    this.signal = AbortSignal.any([this.#over.signal, options.signal])
  }

  get elapsedMs(): number {
    return this.#clock.monotonicMs() - this.#startedMs
  }

  /** At least 1, for timeouts in which 0 stands for none. */
  get remainingMs(): number {
    return Math.max(1, Math.floor(this.#options.maxPauseMs - this.elapsedMs))
  }

  get isOver(): boolean {
    return this.elapsedMs >= this.#options.maxPauseMs || this.#over.signal.aborted
  }

  /** Raises TM_MOVE_PAUSE once it is over. */
  check(doing: string): void {
    this.#options.signal.throwIfAborted()
    if (this.isOver) throw this.exceeded(doing)
  }

  exceeded(doing: string, cause?: unknown): TidemarkError {
    const { kind, path, maxPauseMs } = this.#options
    return new TidemarkError(
      'TM_MOVE_PAUSE',
      {
        step: kind,
        path,
        elapsedMs: Math.round(this.elapsedMs),
        maxPauseMs,
        reason: `it was ${doing}`,
        fix: 'Try again when less is going on, or give it longer with --max-pause.',
      },
      { cause },
    )
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
