/** The rows of a table that were set aside: they are where they should be when they are not in Postgres. */
import type pg from 'pg'

export class Rejects {
  /** Printed keys of rejected rows. */
  readonly keys = new Set<string>()
  readonly #client: pg.Client
  readonly #runId: string
  readonly #table: string
  #seen = ''

  constructor(client: pg.Client, runId: string, table: string) {
    this.#client = client
    this.#runId = runId
    this.#table = table
  }

  /** Reads them again where any came or went. */
  async refresh(): Promise<void> {
    const of = [this.#runId, this.#table]
    const { rows } = await this.#client.query<{ seen: string }>(
      `SELECT concat(count(*), ' ', max(id)) AS seen FROM tidemark.move_rejects
        WHERE run_id = $1 AND table_name = $2 AND outcome = 'rowRejected'`,
      of,
    )
    if (rows[0]?.seen === this.#seen) return
    const { rows: found } = await this.#client.query<{ row_key: string }>(
      "SELECT row_key FROM tidemark.move_rejects WHERE run_id = $1 AND table_name = $2 AND outcome = 'rowRejected'",
      of,
    )
    this.keys.clear()
    for (const { row_key } of found) this.keys.add(row_key)
    this.#seen = rows[0]?.seen ?? ''
  }
}
