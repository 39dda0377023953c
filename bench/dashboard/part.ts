import type { Figure, Measure, Target } from '../measuring/report.ts'
import type { DashboardStage } from './stage.ts'

export interface PartOptions {
  readonly rounds: number
  /** Of one round. */
  readonly changes: number
  /** A second. */
  readonly rows: number
  /** In the table that is scrolled. */
  readonly table: number
  readonly signal: AbortSignal
}

export interface RoomyTarget extends Target {
  /** It says nothing on a machine that does other things: frames and times of a browser are the first to suffer. */
  readonly needsRoom?: boolean
}

export interface PartReport {
  readonly figures: readonly Figure[]
  readonly measures: readonly Measure[]
  readonly targets: readonly RoomyTarget[]
}

export type Part = (stage: DashboardStage, options: PartOptions) => Promise<PartReport>

export const inTurns = async (rounds: number, signal: AbortSignal, turn: (round: number) => Promise<void>): Promise<void> => {
  for (let round = 0; round < rounds; round++) {
    signal.throwIfAborted()
    await turn(round)
  }
}
