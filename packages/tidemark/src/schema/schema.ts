/** The words of the schema floor: how it reaches a database, where migrations come from, and what it reports. */

import type { Clock } from '../time/clock.js'
import type { ExposureFinding, ExposureOptions, ExposureReport } from './exposure/exposure.js'

/** The part of a `pg` client that this floor uses. One client is one session: advisory locks and settings live in it. */
export interface SchemaClient {
  query<Row extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: readonly Row[]; readonly rowCount: number | null }>
  end(): Promise<void>
}

/**
 * Opens one direct session (never through a transaction pooler: session locks do not survive one), already connected.
 * `database` names another database of the same server, for the scratch copy of `diff`.
 */
export type SchemaConnect = (database?: string) => Promise<SchemaClient>

/**
 * A folder of `<version>_<name>.sql` files. Versions are ordered within their source only.
 * `supabase`: recorded in the ledger of the Supabase CLI, so that both tools agree. That CLI refuses to push while its
 * ledger holds a version without a file in `supabase/migrations`, so every other source is recorded in `tidemark.migrations`.
 */
export interface MigrationSource {
  readonly name: string
  /** A path or file URL. A folder that does not exist is a source without files. */
  readonly directory: string | URL
  readonly ledger: 'supabase' | 'tidemark'
}

/** One statement of a migration file. */
export interface Statement {
  /** Without the semicolon; the comments above it kept. */
  readonly text: string
  /** Line of the file, from 1, where the text begins: often a comment. */
  readonly textLine: number
  /** Line of the file of its first word. */
  readonly line: number
}

/** One migration file, read and taken apart. */
export interface Migration {
  readonly source: MigrationSource
  readonly version: string
  readonly name: string
  readonly file: string
  readonly statements: readonly Statement[]
  /** Hex digest of the statements; blanks and comments outside literals do not count. */
  readonly checksum: string
  /** False where the file says `-- tidemark: no-transaction`. */
  readonly transactional: boolean
}

/** `changed`: the file differs from what was applied. `missing`: applied, but there is no such file. */
export type MigrationState = 'applied' | 'pending' | 'changed' | 'missing'

export interface MigrationStatus {
  readonly source: string
  readonly version: string
  readonly name: string
  readonly state: MigrationState
  /** Null where another tool applied it and kept no time. */
  readonly appliedAt: Date | null
}

export interface UpOptions {
  /** `'head'` (default), or the last version to apply; the platform's own files are applied in any case. */
  readonly target?: string
  /** Says what would be applied, and writes nothing. */
  readonly dryRun?: boolean
  /** Also applies files older than the newest applied one of their source. */
  readonly allowOutOfOrder?: boolean
}

export interface AppliedMigration {
  readonly source: string
  readonly version: string
  readonly name: string
  readonly statements: number
  readonly elapsedMs: number
}

export interface UpReport {
  /** What was applied, or in a dry run would be, in order. */
  readonly applied: readonly AppliedMigration[]
  readonly dryRun: boolean
  /** What callers reach since, and should not, or should not without a second thought. */
  readonly findings: readonly ExposureFinding[]
}

/** What the objects compared by `diff` are. */
export type ObjectKind =
  | 'table'
  | 'column'
  | 'constraint'
  | 'index'
  | 'policy'
  | 'trigger'
  | 'view'
  | 'function'
  | 'enum'
  | 'sequence'

/** `extra`: only in the database. `missing`: only in the files. */
export interface SchemaDifference {
  readonly kind: ObjectKind
  readonly schema: string
  /** The table or view it belongs to; null for objects of their own. */
  readonly parent: string | null
  readonly name: string
  readonly state: 'extra' | 'missing' | 'changed'
  /** What differs; empty unless `changed`. */
  readonly attributes: readonly { readonly attribute: string; readonly database: string; readonly files: string }[]
}

export interface DiffOptions {
  /** Schemas to compare. Default: those that the files make, `public` and `tidemark`. */
  readonly schemas?: readonly string[]
  /** Tables of the database to leave out, as `schema.table`: those that a move made, for example. */
  readonly ignoreTables?: readonly string[]
}

export interface TypesOptions {
  /** Default `['public']`. */
  readonly schemas?: readonly string[]
}

/** Brings a database to its migrations and tells how the two compare. */
export interface Migrator {
  /**
   * Applies what is pending. Raises TM_SCHEMA_LOCKED, _CHECKSUM, _MISSING_FILE, _OUT_OF_ORDER, _UNKNOWN_TARGET, _FAILED, and
   * _EXPOSED where a migration opens rows to callers.
   */
  up(options?: UpOptions): Promise<UpReport>
  /** Every migration of files and ledger, source by source, in order of version. Writes nothing. */
  status(): Promise<readonly MigrationStatus[]>
  /** Writes a new empty file into the `supabase` source (or the one source there is) and gives its path. */
  create(name: string): Promise<string>
  /** Compares the database with a scratch one built from the files. Raises TM_SCHEMA_SCRATCH where none can be made. */
  diff(options?: DiffOptions): Promise<readonly SchemaDifference[]>
  /** What callers from outside reach in the exposed schemas and should not. Writes nothing. */
  check(options?: Pick<ExposureOptions, 'schemas'>): Promise<ExposureReport>
  /** TypeScript types of the live schema, in the shape that supabase-js takes; the same schema gives the same text. */
  types(options?: TypesOptions): Promise<string>
}

/** The login roles that take over from the superuser. */
export type LoginRole = 'migrator' | 'authenticator' | 'app' | 'feed' | 'auth'

export interface BootstrapOptions {
  /** Printable ASCII. Roles belong to the whole server: databases that share a server share these. */
  readonly passwords: Readonly<Record<LoginRole, string>>
  /** The URL of the session given, from which the URLs of the roles are made. */
  readonly url: string
  readonly clock?: Clock
}

/** Something the given role may not do, and what follows from that. */
export interface BootstrapSkip {
  readonly what: string
  readonly why: string
  readonly consequence: string
}

export interface BootstrapReport {
  /** Connection URLs with the passwords given; never to be logged. Where a role could not be made, the URL given stands in. */
  readonly urls: Readonly<Record<LoginRole, string>>
  /**
   * Names behind the URLs: `authenticator` may be `tidemark_authenticator`, and `auth` (ordinarily `supabase_auth_admin`) `tidemark_auth`,
   * where the server's own is another program's.
   */
  readonly roles: Readonly<Record<LoginRole, string>>
  readonly skipped: readonly BootstrapSkip[]
  /** Whether the tables of the schema `auth` are Tidemark's own. On Supabase they are Supabase's, and are left alone. */
  readonly ownsAuth: boolean
  /** True where nothing had to be done. */
  readonly upToDate: boolean
}
