/**
 * Columns that the application may drop while a trigger of ours still names them. SQLite lets nobody drop a column that a trigger names, unless
 * its name still means something: it is looked for in the innermost query first, then in the row that the trigger is about, and so on
 * outwards, and finds NULL there. A trigger on such a column does nothing any more, until it is taken away.
 */
import { quoteSqliteName } from '../tokenize.js'

export class AbsentColumns {
  readonly #nulls: string

  constructor(columns: readonly string[]) {
    this.#nulls = columns.map((name) => `NULL AS ${quoteSqliteName(name)}`).join(', ')
  }

  /** What stands behind FROM, around a query that names the columns of the row so. */
  as(row: 'new' | 'old'): string {
    return `(SELECT ${this.#nulls}) AS ${row}`
  }

  /** A condition over both rows that is not true any more once its columns are gone. */
  around(condition: string): string {
    // One inside the other: SQLite would put the rows of a join into a table of their own, for each row that is written.
    return `(SELECT (SELECT (SELECT ${condition}) FROM ${this.as('new')}) FROM ${this.as('old')})`
  }
}
