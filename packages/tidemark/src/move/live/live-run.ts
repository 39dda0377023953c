/** A live move as its record in Postgres tells it. Who works on it does so under a fencing epoch. */
import type { MovePlan } from '../move.js'
import type { MoveState } from './live-state.js'

export interface LiveRun {
  readonly id: string
  readonly path: string
  readonly targetSchema: string
  readonly plan: MovePlan
  readonly state: MoveState
  /** Of the record; whoever took the move over last has it. */
  readonly epoch: bigint
  readonly captureId: string | null
  /** Changes of the log up to here are in Postgres … */
  readonly appliedSeq: bigint
  /** … and were found equal on both sides. */
  readonly checkedSeq: bigint
  readonly readsPercent: number
  readonly slotName: string | null
  /** Positions as the feed writes them. */
  readonly cutPosition: string | null
  readonly mirroredPosition: string | null
  readonly cutOverAt: Date | null
  readonly holder: { readonly pid: number; readonly host: string; readonly seenAt: Date } | null
}

/** A run, and the epoch under which this process works on it. Every write for the move checks it in its own transaction. */
export interface HeldRun {
  readonly run: LiveRun
  readonly epoch: bigint
}
