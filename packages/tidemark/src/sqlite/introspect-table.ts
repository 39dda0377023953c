import { affinityOf } from './affinity.js'
import { parseCreateIndex } from './parse-create-index.js'
import { type ForeignKeyText, parseCreateTable, type TableText } from './parse-create-table.js'
import type {
  ForeignKeyAction,
  SqliteColumn,
  SqliteDatabase,
  SqliteForeignKey,
  SqliteIndex,
  SqliteIndexPart,
  SqliteTable,
} from './sqlite.js'
import { trimSql, UnexpectedSql } from './token-cursor.js'
import { foldAscii, quoteSqliteName } from './tokenize.js'

/** A table as `pragma_table_list` gives it, with its text from sqlite_schema. */
export interface ListedTable {
  readonly name: string
  readonly sql: string
  readonly wr: number
  readonly strict: number
}

interface ColumnRow {
  readonly name: string
  readonly type: string
  readonly notnull: number
  readonly dflt_value: string | null
  readonly pk: number
  /** 0 ordinary · 1 hidden · 2 virtual generated · 3 stored generated. */
  readonly hidden: number
}

interface IndexRow {
  readonly seq: number
  readonly name: string
  readonly unique: number
  readonly origin: SqliteIndex['origin']
}

interface IndexPartRow {
  readonly name: string | null
  readonly cid: number
  readonly desc: number
  readonly coll: string
}

interface ForeignKeyRow {
  readonly id: number
  readonly seq: number
  readonly table: string
  readonly from: string
  readonly to: string | null
  readonly on_update: ForeignKeyAction
  readonly on_delete: ForeignKeyAction
}

const query = <T>(db: SqliteDatabase, sql: string, ...values: readonly (string | number)[]): T[] =>
  db
    .prepare<unknown[], T>(sql)
    .safeIntegers(false)
    .all(...values)

/** The table_list row of a table, whatever the letter case of the name asked for. */
export const findTable = (db: SqliteDatabase, name: string): { readonly name: string; readonly type: string } | undefined =>
  query<{ name: string; type: string }>(
    db,
    `SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE`,
    name,
  )[0]

const columnRows = (db: SqliteDatabase, table: string): ColumnRow[] =>
  query(db, 'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid', table)

const readColumns = (rows: readonly ColumnRow[], text: TableText, strict: boolean): SqliteColumn[] =>
  rows.map((row, i) => {
    const written = text.columns[i]
    if (written?.name !== row.name)
      throw new UnexpectedSql(`column ${i + 1} reads ${written?.name} in its text and ${row.name} in SQLite`)
    const kind = row.hidden === 3 ? 'stored' : 'virtual'
    return {
      name: row.name,
      declaredType: written.declaredType,
      affinity: affinityOf(row.type, strict),
      notNull: row.notnull !== 0,
      defaultSql: row.dflt_value === null ? null : trimSql(row.dflt_value),
      collation: written.collation?.replace(/^(?:binary|nocase|rtrim)$/i, (name) => name.toUpperCase()) ?? 'BINARY',
      generated: row.hidden >= 2 ? { kind, expression: written.generated?.expression ?? '' } : null,
    }
  })

const partOf = (row: IndexPartRow, expression: string | undefined): SqliteIndexPart => ({
  column: row.cid >= 0 ? row.name : null,
  expression: row.cid >= 0 ? null : (expression ?? 'rowid'),
  descending: row.desc !== 0,
  collation: row.coll.replace(/^(?:binary|nocase|rtrim)$/i, (name) => name.toUpperCase()),
})

const readIndex = (db: SqliteDatabase, row: IndexRow): SqliteIndex => {
  const sql =
    query<{ sql: string | null }>(db, `SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?`, row.name)[0]?.sql ?? null
  const text = sql === null ? null : parseCreateIndex(sql)
  const parts = query<IndexPartRow>(
    db,
    'SELECT name, cid, "desc", coll FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno',
    row.name,
  )
  return {
    name: row.name,
    unique: row.unique !== 0,
    origin: row.origin,
    parts: parts.map((part, i) => partOf(part, text?.parts[i])),
    where: text?.where ?? null,
    sql,
  }
}

/** Indexes in the order of their making; SQLite lists the youngest first. */
const readIndexes = (db: SqliteDatabase, table: string, onUnreadable: (name: string, error: unknown) => void): SqliteIndex[] =>
  query<IndexRow>(db, 'SELECT seq, name, "unique", origin FROM pragma_index_list(?) ORDER BY seq DESC', table).flatMap((row) => {
    try {
      return [readIndex(db, row)]
    } catch (error) {
      onUnreadable(row.name, error)
      return []
    }
  })

/** The parent's columns in the parent's spelling. Without written ones: its primary key, where that has as many columns. */
const parentColumns = (db: SqliteDatabase, parent: string, rows: readonly ForeignKeyRow[]): string[] => {
  const columns = columnRows(db, parent)
  const spelled = (name: string) => columns.find((column) => foldAscii(column.name) === foldAscii(name))?.name ?? name
  const written = rows.flatMap((row) => (row.to === null ? [] : [spelled(row.to)]))
  if (written.length > 0) return written
  const key = columns.filter((column) => column.pk > 0).sort((a, b) => a.pk - b.pk)
  return key.length === rows.length ? key.map((column) => column.name) : []
}

const sameNames = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, i) => foldAscii(name) === foldAscii(b[i] ?? ''))

const readForeignKeys = (db: SqliteDatabase, table: string, texts: readonly ForeignKeyText[]): SqliteForeignKey[] => {
  const rows = query<ForeignKeyRow>(
    db,
    'SELECT id, seq, "table", "from", "to", on_update, on_delete FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq',
    table,
  )
  const ids = [...new Set(rows.map((row) => row.id))]
  return ids.map((id, i) => {
    const group = rows.filter((row) => row.id === id)
    const first = group[0] as ForeignKeyRow
    const columns = group.map((row) => row.from)
    const text = texts[i]
    const written =
      text && sameNames(text.columns, columns) && foldAscii(text.parentTable) === foldAscii(first.table) ? text : undefined
    return {
      name: written?.name ?? null,
      columns,
      parentTable: findTable(db, first.table)?.name ?? first.table,
      parentColumns: parentColumns(db, first.table, group),
      onUpdate: first.on_update,
      onDelete: first.on_delete,
      initiallyDeferred: written?.initiallyDeferred ?? false,
    }
  })
}

const hasSequence = (db: SqliteDatabase): boolean =>
  query(db, `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'sqlite_sequence'`).length > 0

const readHighWater = (db: SqliteDatabase, table: string): bigint | null => {
  if (!hasSequence(db)) return null
  const read = db.prepare<[string], bigint | null>('SELECT max(CAST(seq AS INTEGER)) FROM sqlite_sequence WHERE name = ?')
  return read.safeIntegers(true).pluck().get(table) ?? null
}

const rowidNames = ['rowid', '_rowid_', 'oid']

const rowidOf = (rows: readonly ColumnRow[], indexes: readonly SqliteIndex[], withoutRowid: boolean) => {
  if (withoutRowid) return { rowidAlias: null, rowidName: null }
  const key = rows.filter((row) => row.pk > 0)
  // SQLite keeps an index for every primary key but one that is the rowid itself.
  const isAlias = key.length === 1 && !indexes.some((index) => index.origin === 'pk')
  const rowidAlias = isAlias ? (key[0]?.name ?? null) : null
  const taken = new Set(rows.map((row) => foldAscii(row.name)))
  return { rowidAlias, rowidName: rowidAlias ?? rowidNames.find((name) => !taken.has(name)) ?? null }
}

const primaryKeyOf = (rows: readonly ColumnRow[], text: TableText): SqliteTable['primaryKey'] => {
  const key = rows.filter((row) => row.pk > 0).sort((a, b) => a.pk - b.pk)
  return key.length > 0 ? { name: text.primaryKeyName, columns: key.map((row) => row.name) } : null
}

/** Compiles a read of every stored column, so that a table which cannot be read shows itself before the copy. */
const proveReadable = (db: SqliteDatabase, table: string, rows: readonly ColumnRow[]): void => {
  const stored = rows.filter((row) => row.hidden === 0).map((row) => quoteSqliteName(row.name))
  db.prepare(`SELECT ${stored.join(', ')} FROM ${quoteSqliteName(table)}`)
}

/** All facts of one ordinary table. Throws where the table cannot be read; an index that cannot is reported and left out. */
export const introspectTable = (
  db: SqliteDatabase,
  listed: ListedTable,
  onUnreadableIndex: (name: string, error: unknown) => void,
): SqliteTable => {
  const { name, sql } = listed
  const text = parseCreateTable(sql)
  const rows = columnRows(db, name)
  proveReadable(db, name, rows)
  const indexes = readIndexes(db, name, onUnreadableIndex)
  const withoutRowid = listed.wr !== 0
  return {
    name,
    sql,
    withoutRowid,
    strict: listed.strict !== 0,
    columns: readColumns(rows, text, listed.strict !== 0),
    primaryKey: primaryKeyOf(rows, text),
    ...rowidOf(rows, indexes, withoutRowid),
    autoincrement: text.autoincrement,
    highWater: text.autoincrement ? readHighWater(db, name) : null,
    indexes,
    foreignKeys: readForeignKeys(db, name, text.foreignKeys),
    checks: text.checks,
    ...(text.conflictClauses.length > 0 && { conflictClauses: text.conflictClauses }),
  }
}
