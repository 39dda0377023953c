/** What the application's triggers keep beside the moved tables: while those stood aside, nobody kept it up. */
import { isCaptureName } from '../../sqlite/capture/capture.js'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import { foldAscii, quoteSqliteName } from '../../sqlite/tokenize.js'
import type { MovePlan } from '../move.js'

interface Entry {
  readonly type: string
  readonly name: string
  readonly tbl_name: string
  readonly sql: string
}

const mentions = (sql: string, name: string): boolean =>
  new RegExp(`(?<!\\w)${foldAscii(name).replaceAll(/[^\w\s]/g, '\\$&')}(?!\\w)`).test(foldAscii(sql))

/** Full-text indexes over another table can be made anew from it. */
const described = ({ name, sql }: Entry): string => {
  const own = quoteSqliteName(name)
  const isIndex = /\bUSING\s+fts\d/i.test(sql) && /\bcontent\s*=\s*(?!''|"")/i.test(sql)
  return isIndex ? `${name} (INSERT INTO ${own} (${own}) VALUES ('rebuild') makes it anew)` : name
}

/** The tables that stayed behind and that triggers of the moved ones write to or read. */
export const untoldTables = (db: SqliteDatabase, { tables }: MovePlan): readonly string[] => {
  const moved = new Set(tables.map(({ source }) => foldAscii(source)))
  const entries = db.prepare<[], Entry>("SELECT type, name, tbl_name, coalesce(sql, '') AS sql FROM sqlite_schema").all()
  const triggers = entries.filter(
    ({ type, name, tbl_name }) => type === 'trigger' && !isCaptureName(name) && moved.has(foldAscii(tbl_name)),
  )
  return entries
    .filter(({ type, name }) => type === 'table' && !isCaptureName(name) && !moved.has(foldAscii(name)))
    .filter(({ name }) => triggers.some(({ sql }) => mentions(sql, name)))
    .map(described)
}
