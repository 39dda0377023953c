import { reasonOf } from '../errors.js'
import { isCaptureName } from './capture/capture.js'
import { appSchemaVersion } from './capture/own-schema.js'
import { introspectTable, type ListedTable } from './introspect-table.js'
import type { SqliteDatabase, SqliteSchema, SqliteTable, SqliteTrigger, SqliteView, SqliteVirtualTable } from './sqlite.js'
import { parseCreateView, parseVirtualModule } from './statement.js'
import { foldAscii } from './tokenize.js'

interface CatalogueRow {
  readonly type: string
  readonly name: string
  readonly tbl_name: string
  readonly sql: string | null
}

interface ListRow {
  readonly name: string
  readonly type: 'table' | 'view' | 'virtual' | 'shadow'
  readonly wr: number
  readonly strict: number
}

type Unreadable = SqliteSchema['unreadable'][number]
type Listed = ReadonlyMap<string, ListRow>

/** Collects what reads well and names what does not. */
class Reading {
  readonly unreadable: Unreadable[] = []

  attempt<T>(type: string, name: string, read: () => T): T[] {
    try {
      return [read()]
    } catch (error) {
      this.fail(type, name, error)
      return []
    }
  }

  fail(type: string, name: string, error: unknown): void {
    this.unreadable.push({ type, name, reason: reasonOf(error) })
  }
}

/** All entries but those that a move put there. */
const catalogueRows = (db: SqliteDatabase): CatalogueRow[] =>
  db
    .prepare<[], CatalogueRow>('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid')
    .safeIntegers(false)
    .all()
    .filter(({ name, tbl_name }) => !isCaptureName(name) && !isCaptureName(tbl_name))

const tableList = (db: SqliteDatabase): Listed => {
  const rows = db
    .prepare<[], ListRow>(`SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main'`)
    .safeIntegers(false)
    .all()
  return new Map(rows.map((row) => [row.name, row]))
}

const isInternal = (name: string): boolean => foldAscii(name).startsWith('sqlite_')

const readTables = (db: SqliteDatabase, rows: readonly CatalogueRow[], listed: Listed, reading: Reading): SqliteTable[] =>
  rows.flatMap((row) => {
    const entry = listed.get(row.name)
    if (row.type !== 'table' || isInternal(row.name) || entry?.type !== 'table') return []
    const table: ListedTable = { ...entry, sql: row.sql ?? '' }
    return reading.attempt('table', row.name, () =>
      introspectTable(db, table, (name, error) => reading.fail('index', name, error)),
    )
  })

const viewColumns = (db: SqliteDatabase, name: string): string[] | null => {
  try {
    return db.prepare<[string], string>('SELECT name FROM pragma_table_xinfo(?) ORDER BY cid').pluck().all(name)
  } catch {
    return null
  }
}

const readViews = (db: SqliteDatabase, rows: readonly CatalogueRow[], listed: Listed, reading: Reading): SqliteView[] =>
  rows.flatMap(({ type, name, sql }) => {
    if (type !== 'view' || !listed.has(name)) return []
    return reading.attempt('view', name, () => {
      const { select, columns } = parseCreateView(sql ?? '')
      return { name, sql: sql ?? '', select, columns: viewColumns(db, name) ?? columns }
    })
  })

/** Shadow tables are named after their table: the longest name that fits owns them. */
const ownerOf = (shadow: string, virtuals: readonly string[]): string | undefined =>
  virtuals.filter((name) => shadow.startsWith(`${name}_`)).sort((a, b) => b.length - a.length)[0]

const readVirtualTables = (
  db: SqliteDatabase,
  rows: readonly CatalogueRow[],
  listed: Listed,
  reading: Reading,
): SqliteVirtualTable[] => {
  const ofType = (type: ListRow['type']) => rows.filter((row) => row.type === 'table' && listed.get(row.name)?.type === type)
  const virtuals = ofType('virtual')
  const names = virtuals.map((row) => row.name)
  const shadows = ofType('shadow').map((row) => row.name)
  return virtuals.flatMap(({ name, sql }) => {
    // Its module may be missing here; it is still known by name, and the reason is kept.
    reading.attempt('virtualTable', name, () => db.prepare('SELECT count(*) FROM pragma_table_xinfo(?)').get(name))
    return reading.attempt('virtualTable', name, () => ({
      name,
      module: parseVirtualModule(sql ?? ''),
      sql: sql ?? '',
      shadowTables: shadows.filter((shadow) => ownerOf(shadow, names) === name),
    }))
  })
}

const readTriggers = (rows: readonly CatalogueRow[]): SqliteTrigger[] =>
  rows.flatMap(({ type, name, tbl_name, sql }) => (type === 'trigger' ? [{ name, table: tbl_name, sql: sql ?? '' }] : []))

/** Entries that SQLite itself leaves out because it cannot parse them (see openSqlite). */
const nameUnparsed = (rows: readonly CatalogueRow[], listed: Listed, reading: Reading): void => {
  for (const { type, name, tbl_name } of rows) {
    const known = listed.has(type === 'table' || type === 'view' ? name : tbl_name)
    if (!known && !isInternal(name)) reading.fail(type, name, new Error('SQLite cannot parse its entry in sqlite_schema'))
  }
}

const pragma = <T>(db: SqliteDatabase, name: string): T => db.pragma(name, { simple: true }) as T

const readSchema = (db: SqliteDatabase): SqliteSchema => {
  const rows = catalogueRows(db)
  const listed = tableList(db)
  const reading = new Reading()
  const pageSizeBytes = Number(pragma(db, 'page_size'))
  nameUnparsed(rows, listed, reading)
  return {
    encoding: pragma(db, 'encoding'),
    journalMode: pragma(db, 'journal_mode'),
    pageSizeBytes,
    sizeBytes: Number(pragma(db, 'page_count')) * pageSizeBytes,
    userVersion: Number(pragma(db, 'user_version')),
    applicationId: Number(pragma(db, 'application_id')),
    schemaVersion: appSchemaVersion(db),
    tables: readTables(db, rows, listed, reading),
    views: readViews(db, rows, listed, reading),
    triggers: readTriggers(rows),
    virtualTables: readVirtualTables(db, rows, listed, reading),
    unreadable: reading.unreadable,
  }
}

/**
 * Everything the file's catalogue says, read in one transaction. An object that cannot be read is named in `unreadable`; the others are read
 * all the same. Errors of the file itself are raised as SQLite raises them: pass them to toSqliteError.
 */
export const introspect = (db: SqliteDatabase): SqliteSchema =>
  db.inTransaction ? readSchema(db) : db.transaction(() => readSchema(db)).deferred()
