/** How far the file has come, and the transaction that brings it further. */
import { comparePositions, formatPosition, isSameEpoch, type Position } from '../../feed/position.js'
import type { CaptureDatabase } from '../../sqlite/capture/capture.js'
import type { Clock } from '../../time/clock.js'
import type { PieceApplier } from './apply-piece.js'
import type { Differences } from './differences.js'
import type { FileTransaction } from './file-transaction.js'
import type { Included } from './included.js'
import type { Narrowed } from './narrowed.js'

/** Changes of small transactions that become durable together. */
const changesPerCommit = 5_000
/** How often the position is stored while nothing changes. */
const idleStoreMs = 5_000

export interface Start {
  readonly position: Position
  /** False where it is only the place of the cutover, to which Postgres itself may not be durable yet. */
  readonly isStored: boolean
  /** True where the file is an older copy: it held a later position before, and what lies in between is not given again. */
  readonly isOlder: boolean
}

export interface FileProgressParts {
  readonly file: CaptureDatabase
  readonly transaction: FileTransaction
  readonly applier: PieceApplier
  readonly included: Included
  readonly differences: Differences
  readonly narrowed: Narrowed
  readonly clock: Clock
  readonly start: Start
  /** Told of each position once it is durable in the file. */
  readonly onStored: (position: Position) => void
}

export class FileProgress {
  readonly #parts: FileProgressParts
  #stored: Position
  #isStored: boolean
  #reached: Position
  /** What the open transaction brings the file to. */
  #target: Position | undefined
  #changes = 0
  #storedAtMs: number

  constructor(parts: FileProgressParts) {
    this.#parts = parts
    this.#stored = parts.start.position
    this.#isStored = parts.start.isStored
    this.#reached = parts.start.position
    this.#storedAtMs = parts.clock.monotonicMs()
  }

  /** In the file, durably. */
  get stored(): Position {
    return this.#stored
  }

  /** The file has everything up to here. */
  get reached(): Position {
    return this.#reached
  }

  /** Where reading goes on after an interruption. */
  get resumeFrom(): Position | undefined {
    return this.#isStored ? this.#stored : undefined
  }

  get isOpen(): boolean {
    return this.#parts.transaction.isOpen
  }

  get isLarge(): boolean {
    return this.#changes >= changesPerCommit
  }

  has(position: Position): boolean {
    return comparePositions(position, this.#stored) <= 0 || comparePositions(position, this.#reached) <= 0
  }

  /** Raises what FileTransaction.begin raises. */
  begin(): Promise<void> {
    return this.#parts.transaction.begin()
  }

  add(changes: number): void {
    this.#changes += changes
  }

  /** The open transaction holds everything up to a position. */
  aim(position: Position): void {
    this.#target = position
  }

  /** There was nothing else up to a position. */
  async prove(position: Position): Promise<void> {
    if (!isSameEpoch(position, this.#reached)) return
    // A proof speaks of a moment that has passed; what was given since lies behind it.
    if (this.isOpen) {
      if (comparePositions(position, this.#target ?? this.#reached) > 0) this.aim(position)
      return
    }
    if (comparePositions(position, this.#reached) > 0) this.#reached = position
    const isIdle = this.#parts.clock.monotonicMs() - this.#storedAtMs >= idleStoreMs
    if (!isIdle || comparePositions(this.#reached, this.#stored) <= 0) return
    await this.begin()
    await this.commit()
  }

  /** Makes what was applied durable, differences first: nothing that the file lacks is ever left unsaid. */
  async commit(position: Position = this.#target ?? this.#reached): Promise<void> {
    const { differences, narrowed, applier, included, transaction, file, clock, onStored } = this.#parts
    await differences.flush()
    await narrowed.flush()
    applier.writeLog()
    included.prune(file.db, position)
    await transaction.commit(formatPosition(position))
    this.#stored = position
    this.#isStored = true
    this.#reached = position
    this.#target = undefined
    this.#changes = 0
    this.#storedAtMs = clock.monotonicMs()
    onStored(position)
  }

  rollback(): void {
    this.#parts.transaction.rollback()
  }

  /** Everything is as it was last made durable. */
  undo(): void {
    const { applier, included, file } = this.#parts
    this.rollback()
    applier.forget()
    this.#target = undefined
    this.#changes = 0
    this.#reached = this.#stored
    included.load(file.db)
  }
}
