/** Tries, while the file still takes the application's writes, whether the mirror could write: its statements are compiled, nothing is written. */
import { reasonOf } from '../../errors.js'
import { type CaptureDatabase, isCaptureName } from '../../sqlite/capture/capture.js'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import { foldAscii, quoteSqliteName } from '../../sqlite/tokenize.js'
import type { HeldRun } from '../live/live-run.js'
import { FileRows } from './file-rows.js'
import { Limbo } from './limbo.js'
import type { MirrorTable } from './mirror-table.js'
import { readMirrorTables } from './prepare-mirror.js'
import { Statements } from './statements.js'

/** A table that the mirror could not write to, and why. */
export interface UnwritableTable {
  readonly table: string
  readonly reason: string
}

/** A function or a collation that only the application has shows itself when a statement is compiled. */
const refusalOf = (db: SqliteDatabase, table: MirrorTable): string | undefined => {
  const name = quoteSqliteName(table.file.name)
  const columns = table.columns.map(({ source }) => quoteSqliteName(source))
  const marks = columns.map(() => '?')
  try {
    if (columns.length > 0) {
      db.prepare(`INSERT INTO ${name} (${columns.join(', ')}) VALUES (${marks.join(', ')})`)
      db.prepare(`UPDATE ${name} SET ${columns.map((column) => `${column} = ?`).join(', ')}`)
    }
    db.prepare(`DELETE FROM ${name}`)
    const statements = new Statements(db)
    new Limbo(db, new FileRows(db, table, statements), statements)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/** As it will be then: without the application's triggers, which may use what only the application has. */
const refusalWithoutTriggers = (db: SqliteDatabase, table: MirrorTable): string | undefined => {
  const triggers = db.prepare<[], { name: string; tbl_name: string }>(
    "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger'",
  )
  const own = triggers.all().filter(({ tbl_name }) => foldAscii(tbl_name) === foldAscii(table.file.name))
  db.exec('SAVEPOINT _tidemark_rehearsal')
  try {
    for (const { name } of own) if (!isCaptureName(name)) db.exec(`DROP TRIGGER ${quoteSqliteName(name)}`)
    return refusalOf(db, table)
  } finally {
    db.exec('ROLLBACK TO _tidemark_rehearsal; RELEASE _tidemark_rehearsal')
  }
}

/** The tables that could not be mirrored, so that nothing would lead back from a cutover. Raises TM_SQLITE_LOCKED. */
export const unwritableTables = async (file: CaptureDatabase, held: HeldRun): Promise<readonly UnwritableTable[]> => {
  const unwritable: UnwritableTable[] = []
  for (const table of readMirrorTables(held)) {
    if ((await file.read((db) => refusalOf(db, table))) === undefined) continue
    const reason = await file.write((db) => refusalWithoutTriggers(db, table))
    if (reason !== undefined) unwritable.push({ table: table.file.name, reason })
  }
  return unwritable
}
