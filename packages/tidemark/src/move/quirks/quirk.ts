/** What a quirk is: a file that holds something a move can get wrong, and all that must come of it. Read by the tests only. */
import type { Database } from 'better-sqlite3'
import type { ErrorCode } from '../../errors.js'
import type { ObjectDecision } from '../move.js'

/** What verification says of a table; what is not named is 0, and the rest of its rows are equal. */
export interface ExpectedAccount {
  readonly rows: number
  readonly mapped?: number
  readonly rejected?: number
}

/** A question to Postgres, with search_path at the move's schema. */
export interface Probe {
  readonly sql: string
  /** The answer, as Postgres writes it; needless for a statement that only has to succeed. */
  readonly rows?: readonly (readonly (string | null)[])[]
  /** The SQLSTATE with which Postgres must refuse the statement. */
  readonly refused?: string
}

export interface QuirkExpectation {
  /** Target types by `table.column` of the file. */
  readonly types?: Readonly<Record<string, string>>
  /** Target names by `table` or `table.column` of the file. */
  readonly names?: Readonly<Record<string, string | RegExp>>
  /** The hazards above `info`, each as `code table.column` or `code table`; all of them. */
  readonly hazards?: readonly string[]
  /** Outcomes by `type table.name`, or `type name` where there is no table. */
  readonly objects?: Readonly<Record<string, ObjectDecision['outcome']>>
  /** Objects that cannot be made of these rows: reported, and the copy is not ok. */
  readonly failed?: readonly string[]
  /** Constraints that hold for new rows only. */
  readonly unvalidated?: readonly string[]
  readonly account?: Readonly<Record<string, ExpectedAccount>>
  readonly probes?: readonly Probe[]
  /** Where planning or copying ends at once, with what the message must say. */
  readonly error?: { readonly code: ErrorCode; readonly says?: RegExp }
}

export interface Quirk {
  /** A sentence; unique. */
  readonly name: string
  /** SQL that fills a new file, or what does. */
  readonly make: string | ((database: Database) => void)
  readonly encoding?: 'UTF-16le' | 'UTF-16be'
  /** Keeps the maker's connection open while the file is moved. */
  readonly heldOpen?: true
  /** Runs after the file was closed, for what can only be done to its bytes. */
  readonly damage?: (path: string) => void
  /** The file of choices, without its version. */
  readonly choices?: object
  readonly identifiers?: 'exact' | 'lower'
  readonly expect: QuirkExpectation
}
