/** AUTOINCREMENT in the file: an id that Postgres has given out is never given again, also where its row is gone. */
import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import { quoteIdentifier } from '../translate/identifiers.js'
import type { MirrorSession } from './mirror-session.js'
import type { MirrorTable } from './mirror-table.js'

export interface Counter {
  readonly table: string
  readonly value: bigint
}

/** The highest id that each identity of Postgres has given out, for the tables of the file that count theirs. */
export const readCounters = async (session: MirrorSession, tables: readonly MirrorTable[]): Promise<readonly Counter[]> => {
  const counters: Counter[] = []
  for (const { file, plan, columns } of tables) {
    const column = file.autoincrement ? columns.find(({ source }) => source === file.rowidAlias) : undefined
    if (!column) continue
    const name = `${quoteIdentifier(plan.targetSchema)}.${quoteIdentifier(plan.target)}`
    const { rows } = await session.query<{ sequence: string | null }>('SELECT pg_get_serial_sequence($1, $2) AS sequence', [
      name,
      column.target,
    ])
    const sequence = rows[0]?.sequence
    if (sequence == null) continue
    const { rows: found } = await session.query<{ last: string }>(
      `SELECT last_value::text AS last FROM ${sequence} WHERE is_called`,
    )
    if (found[0]) counters.push({ table: file.name, value: BigInt(found[0].last) })
  }
  return counters
}

/** Within a write transaction. Counters never go back. */
export const writeCounters = (db: SqliteDatabase, counters: readonly Counter[]): void => {
  for (const { table, value } of counters) {
    const { changes } = db.prepare('UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?').run(value, table)
    if (changes === 0) db.prepare('INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)').run(table, value)
  }
}
