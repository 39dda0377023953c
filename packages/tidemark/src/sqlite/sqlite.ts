/** What a SQLite file holds, as its own catalogue tells it. Everything downstream reads these facts and never the catalogue. */
import type Sqlite from 'better-sqlite3'

export type SqliteDatabase = Sqlite.Database

/** An open file. Nothing done through it changes the file, and other programs go on writing. */
export interface SqliteFile {
  /** Absolute. */
  readonly path: string
  readonly db: SqliteDatabase
  /** Version of the library that reads, not of the one that wrote. */
  readonly sqliteVersion: string
  readonly fileId: SqliteFileId
  /**
   * True where the folder refuses the files SQLite keeps beside a database in WAL mode and nobody else has them open: the file is
   * then read as if nobody could change it. Compare {@link SqliteFileId} afterwards.
   */
  readonly assumedUnchanging: boolean
  close(): void
}

/** What tells one file from another at the same path. Inode and device are decimal digits. */
export interface SqliteFileId {
  readonly inode: string
  readonly device: string
  readonly sizeBytes: number
}

export interface OpenSqliteOptions {
  /** The only mode there is; written out so that the call says so. */
  readonly readonly: true
  /** How long a read waits for a lock; the thread is blocked meanwhile. */
  readonly busyTimeoutMs: number
}

export type Affinity = 'INTEGER' | 'REAL' | 'NUMERIC' | 'TEXT' | 'BLOB'
export type StorageClass = 'null' | 'integer' | 'real' | 'text' | 'blob'

export interface SqliteColumn {
  readonly name: string
  /** As written, but for quotes, comments and needless blanks (`varchar(10)`); '' where no type was declared. */
  readonly declaredType: string
  readonly affinity: Affinity
  readonly notNull: boolean
  /** The default's SQL text as written, without the parentheses around it; null where there is none. */
  readonly defaultSql: string | null
  /** BINARY, NOCASE, RTRIM, or the name of a collation of the application. */
  readonly collation: string
  readonly generated: { readonly kind: 'stored' | 'virtual'; readonly expression: string } | null
}

export interface SqliteIndexPart {
  /** The column's name, or null where the part is an expression. */
  readonly column: string | null
  readonly expression: string | null
  readonly descending: boolean
  readonly collation: string
}

export interface SqliteIndex {
  /** SQLite's name; `sqlite_autoindex_…` for one that a constraint made. */
  readonly name: string
  readonly unique: boolean
  /** c: CREATE INDEX · u: UNIQUE constraint · pk: PRIMARY KEY. */
  readonly origin: 'c' | 'u' | 'pk'
  readonly parts: readonly SqliteIndexPart[]
  /** The predicate of a partial index. */
  readonly where: string | null
  readonly sql: string | null
}

export type ForeignKeyAction = 'NO ACTION' | 'RESTRICT' | 'SET NULL' | 'SET DEFAULT' | 'CASCADE'

export interface SqliteForeignKey {
  readonly name: string | null
  readonly columns: readonly string[]
  /** As written; SQLite allows a parent that does not exist. */
  readonly parentTable: string
  /** Resolved to the parent's primary key where none were written; empty where the parent has no such key. */
  readonly parentColumns: readonly string[]
  readonly onUpdate: ForeignKeyAction
  readonly onDelete: ForeignKeyAction
  readonly initiallyDeferred: boolean
}

export interface SqliteCheck {
  readonly name: string | null
  readonly expression: string
}

export interface SqliteTable {
  readonly name: string
  readonly sql: string
  readonly withoutRowid: boolean
  readonly strict: boolean
  readonly columns: readonly SqliteColumn[]
  readonly primaryKey: { readonly name: string | null; readonly columns: readonly string[] } | null
  /** The column that is another name of the rowid (INTEGER PRIMARY KEY). */
  readonly rowidAlias: string | null
  /** A name by which the rowid can be read: the alias, else the first of rowid, _rowid_, oid that is no column; null where there is none. */
  readonly rowidName: string | null
  readonly autoincrement: boolean
  /** The largest rowid ever given out (sqlite_sequence), where AUTOINCREMENT keeps one. */
  readonly highWater: bigint | null
  readonly indexes: readonly SqliteIndex[]
  readonly foreignKeys: readonly SqliteForeignKey[]
  readonly checks: readonly SqliteCheck[]
  /** Constraints with an ON CONFLICT clause of their own, which Postgres has no word for; absent where there are none. */
  readonly conflictClauses?: readonly SqliteConflictClause[]
}

export interface SqliteConflictClause {
  /** As in `UNIQUE (a, b)`, `NOT NULL (a)`, `PRIMARY KEY (id)`. */
  readonly constraint: string
  readonly action: 'ROLLBACK' | 'ABORT' | 'FAIL' | 'IGNORE' | 'REPLACE'
}

export interface SqliteView {
  readonly name: string
  readonly sql: string
  /** The SELECT after AS. */
  readonly select: string
  /**
   * Names of its columns in order, as SQLite gives them. Null where it cannot and none are written: a table or function is missing, or the
   * text relies on strings in double quotes, which this library does not take in queries.
   */
  readonly columns: readonly string[] | null
}

export interface SqliteTrigger {
  readonly name: string
  readonly table: string
  readonly sql: string
}

/** A table whose rows another module keeps (FTS, R-tree …) and the tables that module keeps them in. */
export interface SqliteVirtualTable {
  readonly name: string
  readonly module: string
  readonly sql: string
  readonly shadowTables: readonly string[]
}

export interface SqliteSchema {
  readonly encoding: 'UTF-8' | 'UTF-16le' | 'UTF-16be'
  readonly journalMode: string
  readonly pageSizeBytes: number
  readonly sizeBytes: number
  readonly userVersion: number
  readonly applicationId: number
  /** PRAGMA schema_version when this was read, as it would be without what a move did to the schema. */
  readonly schemaVersion: number
  /** Ordinary tables, in the order of their creation; neither sqlite_ ones nor shadow tables. */
  readonly tables: readonly SqliteTable[]
  readonly views: readonly SqliteView[]
  readonly triggers: readonly SqliteTrigger[]
  readonly virtualTables: readonly SqliteVirtualTable[]
  /** Catalogue entries that could not be understood, each with the reason: named, never dropped. */
  readonly unreadable: readonly { readonly type: string; readonly name: string; readonly reason: string }[]
}
