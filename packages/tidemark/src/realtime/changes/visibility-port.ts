/**
 * What changes/ asks of visibility/: one question for all the changes of a turn and all the callers that they may concern, one answer.
 * Nothing is sent that is not answered for (RT-1).
 */
import type { RowChange } from '../../feed/feed.js'
import type { TableId } from '../../feed/table-id.js'

/** Callers of one role and one canonical JSON of claims are one. The object is the same for as long as anybody listens as this caller. */
export interface Beholder {
  readonly role: string
  /** What `request.jwt.claims` is set to: JSON with its keys in order. */
  readonly claims: string
}

/** A change, and who may have to be told of it. */
export interface Candidate {
  /**
   * As the feed told it, but that values which an update did not touch are taken over from an old row that has them. A value that stays
   * undefined is not known; a policy that reads one cannot be decided.
   */
  readonly change: RowChange
  /** Indexes of {@link VisibilityQuestion.beholders}, ascending. */
  readonly beholders: readonly number[]
}

export interface VisibilityQuestion {
  readonly beholders: readonly Beholder[]
  /** In commit order. */
  readonly candidates: readonly Candidate[]
}

/** A sum of these. {@link undecided} stands alone. */
export type Verdict = number
/** The values that the row had before are the beholder's to see. Only of an update or delete whose old row the log holds as a whole. */
export const seesOld = 1
/** The values that the row has now are the beholder's to see. Of an insert or update. */
export const seesNew = 2
/** It could not be found out: nothing of the change is told. */
export const undecided = 4

/** What a role may read of a table, by grants. */
export interface ReadableColumns {
  /** The same object until the answer is another, so that what is made from it can be kept. */
  readonly columns: ReadonlySet<string>
  /** Whether row security counts for this role in this table. False for roles that bypass it. */
  readonly rowSecurity: boolean
}

export interface VisibilityAnswer {
  /** For each candidate: one verdict for each of its beholders, in their order. */
  readonly verdicts: readonly ArrayLike<Verdict>[]
  /** By the index of the beholder: why verdicts of it are undecided. One sentence, without values of rows. */
  readonly reasons: ReadonlyMap<number, string>
  /** By the index of the beholder: one whose policies raise or take too long, again and again. It is asked for no more. */
  readonly failed: ReadonlyMap<number, string>
  /** Of the roles and tables that were asked for, as of the moment in which the verdicts were found. */
  readable(role: string, table: TableId): ReadableColumns
}

/** Who may see a change. */
export interface Visibility {
  /**
   * Answers at once where nothing has to be asked (a role that bypasses row security, tables without it). Keeps a caller that raises or dawdles
   * from the others. Rejects only where Postgres cannot be asked at all: the same is asked again later, and nothing is told meanwhile.
   */
  judge(question: VisibilityQuestion): VisibilityAnswer | Promise<VisibilityAnswer>
  /**
   * Who certainly sees neither row of a change, as far as that takes no time: these need not be asked about. True for few or none of them now
   * and then, so that the rest can be held against Postgres. Undefined where nobody can be told apart.
   */
  seesNothing?(change: RowChange): ((beholder: Beholder) => boolean) | undefined
  /** Of one role and table, for whoever begins to listen. Columns are empty where there is no such table or role. */
  readable(role: string, table: TableId): Promise<ReadableColumns>
}
