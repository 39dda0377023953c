import type { Clock } from '../../time/clock.js'
import type { CheckDirection } from './checks.js'
import type { Doubts } from './doubts.js'
import type { Findings } from './findings.js'
import type { TableCheck } from './table-check.js'

/** What keys and ranges are checked with, and what they leave behind. */
export interface CheckParts {
  readonly direction: CheckDirection
  /** By the file's names. */
  readonly tables: ReadonlyMap<string, TableCheck>
  /** Those of which the record does not tell all yet. */
  readonly changed: Set<TableCheck>
  readonly doubts: Doubts
  readonly findings: Findings
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Looked at since the work began. */
  readonly work: { rows: number; keys: number }
}
