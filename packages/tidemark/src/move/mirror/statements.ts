/** Prepared statements by their text; a table whose schema changes prepares them anew by itself. */
import type { Statement } from 'better-sqlite3'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'

const most = 400

export class Statements {
  readonly #db: SqliteDatabase
  readonly #known = new Map<string, Statement<unknown[]>>()

  constructor(db: SqliteDatabase) {
    this.#db = db
  }

  /** Rows come as arrays, whole numbers as bigint. */
  read(sql: string): Statement<unknown[], unknown[]> {
    return this.#of(sql, true) as Statement<unknown[], unknown[]>
  }

  /** Answers how many rows it changed. */
  run(sql: string, values: readonly unknown[]): number {
    return this.#of(sql, false).run(...values).changes
  }

  #of(sql: string, reads: boolean): Statement<unknown[]> {
    const found = this.#known.get(sql)
    if (found) return found
    if (this.#known.size >= most) this.#known.clear()
    const statement = this.#db.prepare<unknown[]>(sql)
    if (reads) statement.raw(true).safeIntegers(true)
    this.#known.set(sql, statement)
    return statement
  }
}
