import type { HealthCheck } from '../../observability/observability.js'

/** One thing that must not be lost. `id` makes writing it twice the same as writing it once. */
export interface JournalEntry<T> {
  readonly id: string
  /** When it was appended: wall time in milliseconds since 1970. */
  readonly at: number
  readonly data: T
}

export interface JournalBacklog {
  /** Entries that are on disk and were not written on yet. */
  readonly entries: number
  /** What the journal takes on disk. */
  readonly bytes: number
  /** When the oldest of them was appended; null where none waits. */
  readonly oldestAt: number | null
  /** Entries that could not be written on for what is in them; they are kept in a file of their own. */
  readonly refused: number
}

/**
 * Keeps on this machine's disk what must not be lost while the store it belongs to is away, and writes it on, in order, once that answers.
 * Several processes may have a journal of one name in one folder: what a dead one left is written on by another.
 */
export interface Journal<T> {
  readonly name: string
  /**
   * Resolves when the entry is on disk. Entries of the same moment share one flush. What is appended under an id that already waits
   * comes to the writer twice. Raises TM_RESILIENCE_JOURNAL_FULL and TM_STATE_FOLDER_UNUSABLE.
   */
  append(data: T, id?: string): Promise<void>
  backlog(): JournalBacklog
  /** The store answers again: what waits is tried now. */
  wake(): void
  /** Resolves when nothing waits any more. */
  drained(): Promise<void>
  /** Never critical: what waits is safe. */
  readonly healthCheck: HealthCheck
  /** Ends writing on. What waits stays on disk. */
  stop(): Promise<void>
}
