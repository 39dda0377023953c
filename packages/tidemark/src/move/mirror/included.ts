/**
 * Tables that were compared and put right at a moment of Postgres: changes of transactions that were visible then are in the file already
 * when the feed comes to them. Kept in the file, in the transaction of the rows.
 */
import { comparePositions, formatPosition, isSameEpoch, type Position, parsePosition } from '../../feed/position.js'
import { isVisible, parseSnapshot, type Snapshot } from '../../feed/sources/wal/snapshot.js'
import { hasTable } from '../../sqlite/capture/control.js'
import { withOwnSchemaChange } from '../../sqlite/capture/own-schema.js'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'

interface Entry {
  readonly snapshot: Snapshot
  /** Behind it nothing is visible to the snapshot. */
  readonly until: Position
}

const name = '_tidemark_resynced'

export class Included {
  readonly #tables = new Map<string, Entry>()

  /** Reads what the file keeps. */
  load(db: SqliteDatabase): void {
    this.#tables.clear()
    if (!hasTable(db, name)) return
    const rows = db.prepare<[], { t: string; snapshot: string; until: string }>(`SELECT t, snapshot, until FROM ${name}`).all()
    for (const { t, snapshot, until } of rows)
      this.#tables.set(t, { snapshot: parseSnapshot(snapshot), until: parsePosition(until) })
  }

  has(table: string, xid: bigint): boolean {
    const entry = this.#tables.get(table)
    return entry !== undefined && isVisible(xid, entry.snapshot)
  }

  /** Within a write transaction of the file. */
  add(db: SqliteDatabase, table: string, snapshot: string, until: Position): void {
    if (!hasTable(db, name))
      withOwnSchemaChange(db, () => db.exec(`CREATE TABLE ${name} (t TEXT PRIMARY KEY, snapshot TEXT, until TEXT)`))
    db.prepare(`INSERT OR REPLACE INTO ${name} (t, snapshot, until) VALUES (?, ?, ?)`).run(table, snapshot, formatPosition(until))
    this.#tables.set(table, { snapshot: parseSnapshot(snapshot), until })
  }

  /** Forgets what the mirror has passed; within a write transaction of the file. */
  prune(db: SqliteDatabase, position: Position): void {
    for (const [table, { until }] of this.#tables) {
      if (!isSameEpoch(position, until) || comparePositions(position, until) < 0) continue
      db.prepare(`DELETE FROM ${name} WHERE t = ?`).run(table)
      this.#tables.delete(table)
    }
  }
}
